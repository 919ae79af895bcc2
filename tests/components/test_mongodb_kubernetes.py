"""What MongoDB's operator is told: members, roles of our own, users by certificate, and what their agents may ask."""

from __future__ import annotations

from components.on_kubernetes import Rendered, connections, rendered, secrets
from greenfield.components.mongodb.roles import ACTIONS, role
from greenfield.model.content import Secret

USES = {"keeper": {"reviews": "own"}, "reader": {"reviews": "read,write"}}


def docs(**settings: object) -> Rendered:
    """A replica set that is watched."""
    return rendered("mongodb", {"databases": ["reviews"], **settings}, USES, name="docs", watched=True)


def test_users_are_certificates_with_the_strongest_role_of_their_edges() -> None:
    """And have no secret."""
    users = {user["name"]: user for user in docs().spec("MongoDBCommunity/docs")["users"]}
    assert set(users) == {"CN=keeper,OU=service,O=shop", "CN=reader,OU=service,O=shop"}
    assert {user["db"] for user in users.values()} == {"$external"}
    reader = users["CN=reader,OU=service,O=shop"]
    assert reader["roles"] == [{"name": role("write"), "db": "reviews"}]
    assert "passwordSecretRef" not in reader


def test_roles_are_ours_and_each_includes_the_one_before() -> None:
    """None may make users, hand anything on, or drop the database."""
    security = docs().spec("MongoDBCommunity/docs")["security"]
    assert [each["role"] for each in security["roles"]] == [role(access) for access in ACTIONS]
    assert set(ACTIONS["read"]) < set(ACTIONS["write"]) < set(ACTIONS["own"])
    assert not {"dropDatabase", "createUser", "createRole", "grantRole"} & set(ACTIONS["own"])
    (privilege,) = security["roles"][0]["privileges"]
    assert privilege["resource"] == {"db": "reviews", "collection": ""}


def test_the_only_way_in_is_a_certificate() -> None:
    """The agents', too, whose subject must name a country, or the operator refuses it."""
    found = docs()
    authentication = found.spec("MongoDBCommunity/docs")["security"]["authentication"]
    assert (authentication["modes"], authentication["agentMode"]) == (["X509"], "X509")
    agent = found.spec("Certificate/docs.admin")
    assert agent["secretName"] == authentication["agentCertificateSecretRef"]["name"]
    assert agent["commonName"] == "mms-automation-agent"
    assert agent["subject"]["countries"] == ["ZZ"]
    assert agent["subject"]["organizationalUnits"] == ["platform"]


def test_clients_know_every_member_by_the_name_in_its_certificate() -> None:
    """The driver finds the primary by them."""
    found = docs(nodes=3)
    door = found.cluster.doors["docs"]
    assert door.hosts == tuple(f"docs-{i}.docs-svc.shop.svc.cluster.local" for i in range(3))
    assert "*.docs-svc.shop.svc.cluster.local" in found.spec("Certificate/docs")["dnsNames"]


def test_the_agents_may_read_one_secret_and_touch_their_own_pods() -> None:
    """By an account of the store's own; no other store's pods are theirs."""
    found = docs(nodes=3)
    secret, own = found.manifests["Role/docs"]["rules"]
    assert (secret["resourceNames"], secret["verbs"]) == (["docs-config"], ["get"])
    assert (own["resourceNames"], own["verbs"]) == (["docs-0", "docs-1", "docs-2"], ["get", "patch", "delete"])
    pod = found.spec("MongoDBCommunity/docs")["statefulSet"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "docs"


def test_every_container_has_requests_and_limits() -> None:
    """The operator's own, by their names."""
    template = docs(nodes=3).spec("MongoDBCommunity/docs")["statefulSet"]["spec"]["template"]
    containers = [*template["spec"]["containers"], *template["spec"]["initContainers"]]
    assert len(containers) == 4
    assert all(set(container["resources"]) == {"requests", "limits"} for container in containers)
    assert template["metadata"]["labels"] == {"sidecar.istio.io/inject": "false"}


def test_a_budget_where_there_is_more_than_one() -> None:
    """The operator makes none."""
    assert docs(nodes=3).spec("PodDisruptionBudget/docs")["selector"] == {"matchLabels": {"app": "docs-svc"}}
    assert "PodDisruptionBudget" not in docs().kinds()


def test_series_are_read_over_tls_with_a_password() -> None:
    """A sealed one."""
    found = docs()
    (endpoint,) = found.spec("ServiceMonitor/docs")["endpoints"]
    assert endpoint["scheme"] == "https"
    assert list(secrets(found.manifests["Secret/docs.prometheus.login"])) == [Secret("docs.prometheus")]


def test_the_network_opens_what_the_agents_need() -> None:
    """The operator itself never calls."""
    assert connections(docs(nodes=3).allows) == {
        ("docs", "docs", (27017,)),
        ("docs", "10.0.0.1/32", (443, 6443)),
        ("monitoring/prometheus", "docs", (9216,)),
    }
