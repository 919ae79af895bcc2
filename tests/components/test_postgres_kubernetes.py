"""What CloudNativePG is told: who is who, who is let in, what survives, and what the network opens."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from components.on_kubernetes import CATALOGUE, Rendered, connections, rendered
from greenfield.components.postgres.roles import entries, groups, identities

USES = {"keeper": {"ledger": "own", "archive": "read"}, "reader": {"ledger": "read"}}
DATABASES = ["ledger", "archive"]


def three(**more: object) -> Rendered:
    """Three servers that are watched."""
    return rendered("postgres", {"nodes": 3, "databases": DATABASES, **more}, USES, watched=True)


def test_every_service_and_group_has_a_role_with_the_memberships_of_its_edges() -> None:
    """Groups include the weaker ones; the services are members, have no password, and go with their last edge."""
    found = three()
    roles = {
        spec["name"]: spec for title in found.kinds()["DatabaseRole"] for spec in [found.spec(f"DatabaseRole/{title}")]
    }
    assert set(roles) == {"platform:admin", "keeper", "reader", *groups("ledger"), *groups("archive")}
    assert roles["ledger:own"]["inRoles"] == ["ledger:write"]
    assert roles["keeper"]["inRoles"] == ["archive:read", "ledger:own"]
    assert [name for name, spec in roles.items() if spec["login"]] == ["platform:admin", "keeper", "reader"]
    assert all(roles[name]["disablePassword"] for name in ("platform:admin", "keeper", "reader"))
    assert {name for name, spec in roles.items() if spec["databaseRoleReclaimPolicy"] == "delete"} == {
        "keeper",
        "reader",
    }


def test_the_door_is_the_one_of_this_machine_and_ends_in_a_refusal() -> None:
    """By the whole subject of a certificate, into databases of which one is a member."""
    postgresql = three().spec("Cluster/store")["postgresql"]
    assert postgresql["pg_hba"] == [*entries(DATABASES, "all"), "host all all all reject"]
    assert postgresql["pg_ident"] == list(identities("shop", "store-admin"))


def test_certificates_bear_the_same_subjects_as_on_this_machine() -> None:
    """Organization, unit and name, and the SPIFFE id."""
    found = three()
    spec = found.spec("Certificate/store.keeper")
    assert spec["subject"] == {"organizations": ["shop"], "organizationalUnits": ["service"]}
    assert (spec["commonName"], spec["uris"]) == ("keeper", ["spiffe://cluster.local/ns/shop/sa/keeper"])
    mounted = found.side.mount("keeper", found.resource, found.plan)
    assert {key.name for key in mounted.values()} == {spec["secretName"]}
    assert found.cluster.doors["store"].host in found.spec("Certificate/store")["dnsNames"]
    certificates = found.spec("Cluster/store")["certificates"]
    assert set(certificates.values()) == {"store-tls", "store.replication-tls"}
    assert found.spec("Certificate/store.replication")["commonName"] == "streaming_replica"


def test_a_commit_survives_the_primary() -> None:
    """One standby has it, and only such a one takes over; a single server has no budget that blocks its node."""
    synchronous = three().spec("Cluster/store")["postgresql"]["synchronous"]
    assert synchronous == {"method": "any", "number": 1, "dataDurability": "required", "failoverQuorum": True}
    single = rendered("postgres", {"databases": DATABASES}, USES).spec("Cluster/store")
    assert "synchronous" not in single["postgresql"]
    assert single["enablePDB"] is False
    assert "topologySpreadConstraints" not in single


def test_databases_belong_to_the_administrator_and_outlive_their_resource() -> None:
    """So that no service drops one, and no deletion does."""
    found = three()
    for name in DATABASES:
        spec = found.spec(f"Database/store.{name}")
        assert (spec["name"], spec["owner"], spec["databaseReclaimPolicy"]) == (name, "platform:admin", "retain")


def test_a_job_for_each_database_that_another_edge_replaces() -> None:
    """Its name says what it does, so that a changed script is run, and an unchanged one is not run again."""
    jobs = set(three().kinds()["Job"])
    assert len(jobs) == len(DATABASES)
    assert jobs == set(three().kinds()["Job"])
    fewer = rendered("postgres", {"nodes": 3, "databases": DATABASES}, {"keeper": USES["keeper"]}, watched=True)
    changed = set(fewer.kinds()["Job"]) - jobs
    assert [name.split("-")[2] for name in changed] == ["ledger"]


def test_jobs_are_restricted_and_read_their_own_login_alone() -> None:
    """No token, no root, no sidecar; libpq refuses a key that more may read."""
    found = three()
    for name in found.kinds()["Job"]:
        pod = found.spec(f"Job/{name}")["template"]
        assert pod["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        (login,) = (each for each in pod["spec"]["volumes"] if each["name"] == "login")
        assert login["secret"] == {"secretName": "store.admin-tls", "defaultMode": 0o440}
        (container,) = pod["spec"]["containers"]
        assert container["image"] == found.spec("Cluster/store")["imageName"]


def test_the_network_opens_what_the_operator_needs() -> None:
    """And no more."""
    assert connections(three().allows) == {
        ("store", "store", (5432, 8000)),
        ("cnpg-system/cloudnative-pg", "store", (5432, 8000)),
        ("store", "10.0.0.1/32", (443, 6443)),
        ("store.grants", "store", (5432,)),
        ("monitoring/prometheus", "store", (9187,)),
    }
    away = connections(three(backup="s3://bucket/path").allows) - connections(three().allows)
    assert away == {("store", "0.0.0.0/0,::/0", (443,))}


def test_backups_go_where_the_declaration_says() -> None:
    """By the plugin, with the pods' own identity at the cloud."""
    found = three(backup="gs://bucket/path")
    configuration = found.spec("ObjectStore/store.backups")["configuration"]
    assert configuration["destinationPath"] == "gs://bucket/path"
    assert configuration["googleCredentials"] == {"gkeEnvironment": True}
    (plugin,) = found.spec("Cluster/store")["plugins"]
    assert plugin["parameters"] == {"barmanObjectName": "store.backups"}
    assert {chart.name for chart in found.side.charts(found.resource, found.plan)} >= {"plugin-barman-cloud"}
    assert "ObjectStore" not in three().kinds()


def test_a_backup_elsewhere_is_refused_where_it_is_written() -> None:
    """Not by the operator, later."""
    with pytest.raises(ValidationError, match="pattern"):
        CATALOGUE["postgres"].settings.model_validate({"backup": "ftp://bucket"})


def test_the_ensemble_of_this_machine_is_nothing_there() -> None:
    """The operator elects by the API server."""
    found = three()
    side = CATALOGUE["etcd"].kubernetes()
    assert side is not None
    (ensemble,) = found.plan.of_kind("etcd")
    assert list(side.manifests(ensemble, found.plan, found.cluster)) == []
    assert side.door(ensemble, found.plan) is None


def test_the_logs_volume_cannot_be_filled_by_a_lost_standby() -> None:
    """Half of it, at most, waits for one."""
    spec = three(storage="20Gi").spec("Cluster/store")
    assert spec["walStorage"]["size"] == "5120Mi"
    assert spec["postgresql"]["parameters"]["max_slot_wal_keep_size"] == "2560MB"
