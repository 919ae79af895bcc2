"""What mariadb-operator is told: accounts by certificate, grants on one database each, and replicas that are asked."""

from __future__ import annotations

import dataclasses

from components.on_kubernetes import Rendered, connections, rendered
from greenfield.components.mysql.accounts import PRIVILEGES, subject
from greenfield.programs.cluster import ClusterSettings

USES = {"keeper": {"invoices": "own,read"}, "reader": {"invoices": "read", "archive": "write"}}
DATABASES = ["invoices", "archive"]


def bills(**settings: object) -> Rendered:
    """Servers that are watched."""
    return rendered("mysql", {"databases": DATABASES, **settings}, USES, name="bills", watched=True)


def test_accounts_are_certificates_and_nothing_else() -> None:
    """By the subject that the server of this machine asks for; no password, and not ten connections."""
    spec = bills().spec("User/bills.keeper")
    assert spec["require"] == {"subject": subject("shop", "service", "keeper")}
    assert not {field for field in spec if "assword" in field}
    assert spec["maxUserConnections"] == 200


def test_grants_are_the_strongest_of_each_edge_on_one_database() -> None:
    """The operator's default would be every database."""
    found = bills()
    grants = {name: found.spec(f"Grant/{name}") for name in found.kinds()["Grant"]}
    assert {(each["username"], each["database"]): tuple(each["privileges"]) for each in grants.values()} == {
        ("keeper", "invoices"): PRIVILEGES["own"],
        ("reader", "invoices"): PRIVILEGES["read"],
        ("reader", "archive"): PRIVILEGES["write"],
    }
    assert not any(each["grantOption"] for each in grants.values())


def test_databases_outlive_their_resource_and_hold_every_character() -> None:
    """The operator's defaults are three bytes and a DROP."""
    for name in DATABASES:
        spec = bills().spec(f"Database/bills.{name}")
        assert (spec["characterSet"], spec["collate"]) == ("utf8mb4", "utf8mb4_unicode_ci")
        assert spec["cleanupPolicy"] == "Skip"


def test_a_commit_is_on_a_replica_before_anybody_sees_it() -> None:
    """And the field in which the operator keeps the writer's index is never ours."""
    found = bills(nodes=3)
    replication = found.spec("MariaDB/bills")["replication"]
    assert replication["semiSyncWaitPoint"] == "AfterSync"
    assert replication["primary"] == {"autoFailover": True}
    assert replication["agent"]["basicAuth"] == {"enabled": True}
    assert found.cluster.doors["bills"].host == "bills-primary"
    single = bills()
    assert "replication" not in single.spec("MariaDB/bills")
    assert single.cluster.doors["bills"].host == "bills"


def test_a_lost_replica_is_made_anew_where_the_cluster_takes_snapshots() -> None:
    """Else nothing pretends so."""
    found = bills(nodes=3)
    assert "PhysicalBackup" not in found.kinds()
    assert "recovery" not in found.spec("MariaDB/bills")["replication"]["replica"]
    settings = ClusterSettings(snapshots="csi-snapshots")
    able = dataclasses.replace(found, cluster=dataclasses.replace(found.cluster, settings=settings))
    replica = able.spec("MariaDB/bills")["replication"]["replica"]
    assert replica["bootstrapFrom"] == {"physicalBackupTemplateRef": {"name": "bills.template"}}
    assert able.spec("PhysicalBackup/bills.template")["schedule"] == {"suspend": True}


def test_tls_is_required_and_every_name_of_a_server_is_in_its_certificate() -> None:
    """Those of the members, too, by which replicas follow."""
    found = bills(nodes=3)
    tls = found.spec("MariaDB/bills")["tls"]
    assert tls["enabled"]
    assert tls["required"]
    names = found.spec("Certificate/bills")["dnsNames"]
    assert {"bills-primary", "*.bills-internal.shop.svc.cluster.local", "localhost"} <= set(names)


def test_every_container_is_restricted() -> None:
    """Server, agent, init container and exporter; the operator gives them nothing of itself."""
    spec = bills(nodes=3).spec("MariaDB/bills")
    exporter = spec["metrics"]["exporter"]
    for container in (spec, spec["replication"]["agent"], spec["replication"]["initContainer"], exporter):
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert set(container["resources"]) == {"requests", "limits"}
    for pod in (spec["podSecurityContext"], exporter["podSecurityContext"]):
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["inheritMetadata"]["labels"] == {"sidecar.istio.io/inject": "false"}


def test_the_network_opens_what_the_operator_needs() -> None:
    """An agent asks the API server for its resource, at the start and at each probe; a single server has none."""
    assert connections(bills(nodes=3).allows) == {
        ("mariadb-system/mariadb-operator", "bills", (3306, 5555)),
        ("bills", "bills", (3306,)),
        ("bills", "10.0.0.1/32", (443, 6443)),
        ("bills.metrics", "bills", (3306,)),
        ("monitoring/prometheus", "bills.metrics", (9104,)),
    }
    assert not any(allow.target.blocks for allow in bills().allows)
