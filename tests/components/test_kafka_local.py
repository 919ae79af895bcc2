"""What Kafka and its ZooKeeper ask of a machine, and what they run there; compared as data, nothing is started."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from components.kafka_machine import plan
from greenfield.components import kafka as kafka_component
from greenfield.components.kafka import local as kafka
from greenfield.components.zookeeper import local as zookeeper
from greenfield.errors import UnsupportedError
from greenfield.model.binding import Leaf
from greenfield.model.content import plain
from greenfield.model.local import Command, LeafClaim, PortClaim, Process, Reconcile, Site, Task
from greenfield.model.plan import Plan
from greenfield.model.tool import Installation

SIDES = {"kafka": kafka, "zookeeper": zookeeper}
TOOLS = {
    "java": Installation("java", "17.0.15", "PATH", "", {"java": "/usr/bin/java"}),
    "apache-kafka": Installation("apache-kafka", "3.9.1", "Maven", "/tools/kafka"),
}
GRANTS = [("catalog", "orders", "produce"), ("notifier", "orders", "consume")]


def declared(grants: Iterable[tuple[str, str, str]] = GRANTS, **settings: object) -> Plan:
    """A platform with one broker and the topic ``orders``."""
    return plan({"topics": {"orders": {}}, **settings}, grants, Path("/nowhere"))


def fulfilled(plan: Plan) -> Site:
    """A machine on which every claim got what it asked for."""
    ports: dict[str, tuple[str, int]] = {}
    leaves: dict[str, Leaf] = {}
    for resource in plan.resources:
        for claim in SIDES[resource.kind].claims(resource, plan) if resource.kind in SIDES else ():
            if isinstance(claim, PortClaim):
                ports[claim.name] = (claim.host, claim.preferred)
            elif isinstance(claim, LeafClaim):
                paths = (f"/pki/{claim.name}.{suffix}" for suffix in ("crt", "key", "pem"))
                leaves[claim.name] = Leaf(f"/pki/{claim.authority}-ca.crt", *paths)
    folders = ("/root", "/data", "/scratch", "/sockets", "/logs", "/secrets", "/cache")
    return Site(*folders, ports=ports, leaves=leaves, tools=TOOLS)


def nodes(plan: Plan) -> dict[str, Process | Task]:
    """All that the components yield, by name."""
    site = fulfilled(plan)
    return {
        node.name: node
        for resource in plan.resources
        if resource.kind in SIDES
        for node in SIDES[resource.kind].local(resource, plan, site)
    }


def process(plan: Plan, name: str) -> Process:
    """A process by name."""
    node = nodes(plan)[name]
    assert isinstance(node, Process)
    return node


def configuration(plan: Plan, name: str) -> Mapping[str, str]:
    """The properties of a process's own configuration."""
    text = plain(process(plan, name).files[0].content)
    return dict(line.split("=", 1) for line in text.splitlines())


@pytest.mark.parametrize("coordination", ["kraft", "zookeeper"])
def test_every_listener_is_tls_with_a_client_certificate(coordination: str) -> None:
    """There is no plaintext port, and only the services' listener trusts the services' authority."""
    broker = configuration(declared(coordination=coordination), "kafka-0")
    listeners = [listener.partition("://")[0] for listener in broker["listeners"].split(",")]
    protocols = dict(pair.split(":") for pair in broker["listener.security.protocol.map"].split(","))
    for listener in listeners:
        prefix = f"listener.name.{listener.lower()}"
        assert protocols[listener] == "SSL"
        assert broker[f"{prefix}.ssl.client.auth"] == "required"
        trusted = "services" if listener == "CLIENT" else "platform"
        assert broker[f"{prefix}.ssl.truststore.location"] == f"/pki/{trusted}-ca.crt"


def test_zookeeper_listens_by_tls_only() -> None:
    """No plaintext client port, and nobody is let in without a certificate of the platform's authority."""
    member = configuration(declared(coordination="zookeeper"), "kafka-zookeeper-0")
    assert "clientPort" not in member
    assert member["ssl.clientAuth"] == "need"
    assert member["ssl.trustStore.location"] == "/pki/platform-ca.crt"
    assert member["admin.enableServer"] == "false"


def test_a_larger_ensemble_speaks_tls_among_its_members() -> None:
    """The quorum's ports are encrypted, each member with the number that its file says."""
    three = declared(coordination="zookeeper", nodes=3)
    ensemble = three.resource("kafka-zookeeper")
    site = fulfilled(replace(three, resources=(ensemble,)))
    members = [node for node in zookeeper.local(ensemble, three, site) if isinstance(node, Process)]
    for number, member in enumerate(members, 1):
        lines = plain(member.files[0].content).splitlines()
        assert "sslQuorum=true" in lines
        assert sum(line.startswith("server.") for line in lines) == 3
        assert plain(member.files[-1].content) == str(number)


def test_the_broker_waits_for_its_ensemble() -> None:
    """The ensemble is ready first; with KRaft there is nothing to wait for but the archive of classes."""
    assert process(declared(coordination="zookeeper"), "kafka-0").after == ("kafka-classes", "resource:kafka-zookeeper")
    assert process(declared(), "kafka-0").after == ("kafka-classes",)


def test_an_edge_changes_tasks_and_no_process() -> None:
    """So a broker keeps running when grants or topics change."""
    before, after = nodes(declared()), nodes(declared([*GRANTS, ("auditor", "orders", "consume")]))
    assert {name for name in before if before[name] != after[name]} == {"kafka-topics", "kafka-revoke"}
    grown = nodes(declared(topics={"orders": {"partitions": 9}}))
    assert {name for name in before if before[name] != grown[name]} == {"kafka-topics"}


def test_grants_are_added_first_and_revoked_when_all_has_settled() -> None:
    """Two tasks of one reconciler; the one that takes away does so last."""
    found = nodes(declared())
    topics, revoke = found["kafka-topics"], found["kafka-revoke"]
    assert isinstance(topics, Task)
    assert isinstance(revoke, Task)
    assert isinstance(topics.action, Reconcile)
    assert isinstance(revoke.action, Reconcile)
    assert (topics.when, topics.action.input["prune"]) == ("needed", False)
    assert (revoke.when, revoke.action.input["prune"]) == ("settled", True)
    assert topics.action.input["grants"] == [list(grant) for grant in GRANTS]


def test_the_archive_of_classes_fits_its_program() -> None:
    """What is made once for the machine is what the broker maps, under the same class path."""
    found = nodes(declared())
    task, broker = found["kafka-classes"], found["kafka-0"]
    assert isinstance(task, Task)
    assert isinstance(task.action, Command)
    assert isinstance(broker, Process)
    assert f"-XX:SharedArchiveFile={task.action.produces}" in broker.argv
    assert task.action.argv[-2:] == ("-cp", "/tools/kafka/libs/*")
    assert broker.argv[broker.argv.index("-cp") + 1] == "/tools/kafka/libs/*"
    (listed,) = (argument for argument in task.action.argv if argument.startswith("-XX:SharedClassListFile="))
    assert "kafka/Kafka" in Path(listed.partition("=")[2]).read_text().splitlines()


def test_the_heap_follows_the_tier_and_never_starves() -> None:
    """A quarter of what the tier asks for, at least 192 MiB."""
    heaps = {size: process(declared(size=size), "kafka-0").argv[2] for size in ("small", "large", "xlarge")}
    assert heaps == {"small": "-Xmx192m", "large": "-Xmx256m", "xlarge": "-Xmx512m"}


def test_the_cluster_is_formatted_with_a_stable_id() -> None:
    """The same every time, 22 characters, one for each platform and cluster."""

    def formatted(plan: Plan) -> dict[str, str]:
        (file,) = (file for file in process(plan, "kafka-0").files if file.path.endswith("meta.properties"))
        assert file.on_change == "nothing"
        return dict(line.split("=", 1) for line in plain(file.content).splitlines())

    first = formatted(declared())
    assert first == formatted(declared())
    assert len(first["cluster.id"]) == len(first["directory.id"]) == 22
    assert first["cluster.id"] != first["directory.id"]


def test_the_coordinations_keep_their_data_apart() -> None:
    """Neither can read what the other wrote; changing back finds the old messages."""
    kraft, zoo = (configuration(declared(coordination=name), "kafka-0")["log.dirs"] for name in ("kraft", "zookeeper"))
    assert kraft != zoo


def test_more_brokers_are_refused_with_the_remedy() -> None:
    """What this target cannot run yet, it says, and what to write instead."""
    three = declared(nodes=3)
    with pytest.raises(UnsupportedError, match="kafka asks for 3 brokers") as caught:
        list(kafka.claims(three.resource("kafka"), three))
    assert "nodes: 1" in caught.value.hint


def test_the_component_is_found_by_its_parts() -> None:
    """Both sides of the component are there, for the engine and for ``verify``."""
    assert kafka_component.COMPONENT.local() is not None
    assert kafka_component.COMPONENT.proofs() is not None
