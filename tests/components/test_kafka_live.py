"""A real broker, under each coordination: grants, refusals, changes and crashes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import ConfigResource, NewTopic, ResourceType

from components.kafka_machine import Here, Machine, installed, plan
from components.store_platform import lines_of
from greenfield.assurance.verify import prove
from greenfield.components import kafka
from greenfield.components.kafka import denials, proofs, tasks
from greenfield.components.zookeeper import proofs as zookeeper_proofs
from greenfield.model.content import plain
from greenfield.model.plan import Edge
from support.handshake import shown
from support.platform import wait_for

pytestmark = pytest.mark.e2e

TOPICS: dict[str, dict[str, object]] = {"orders": {"partitions": 2, "retention": "1d"}, "events": {}}
GRANTS = [
    ("catalog", "orders", "produce"),
    ("catalog", "events", "produce"),
    ("notifier", "orders", "consume"),
    ("auditor", "events", "produce"),
    ("auditor", "events", "consume"),
]


@pytest.fixture(scope="module", params=["kraft", "zookeeper"])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Kafka with its topics and grants, running."""
    folder = tmp_path_factory.mktemp(request.param)
    running = Machine(declared(request.param, folder), folder, *installed())
    try:
        running.up()
        yield running
    finally:
        running.down()


def declared(coordination: str, folder: Path, **topics: dict[str, object]) -> Any:
    """The platform of these tests, some topics otherwise."""
    return plan({"coordination": coordination, "topics": TOPICS | topics}, GRANTS, folder)


def coordination(machine: Machine) -> str:
    """That of the running one."""
    return str(machine.plan.resource("kafka").settings.model_dump()["coordination"])


def wiring(machine: Machine, service: str, topic: str, access: str) -> dict[str, str]:
    """The parts of a service's binding."""
    edge = Edge(service, topic, access, "kafka")
    binding = kafka.binding(machine.plan.resource("kafka"), edge, Here(machine.site))  # type: ignore[arg-type]
    return {name: plain(value) for name, value in binding.parts.items()}


def client(wires: dict[str, str], **settings: object) -> dict[str, object]:
    """What a service makes of its wiring."""
    return {
        "bootstrap.servers": wires["BOOTSTRAP_SERVERS"],
        "security.protocol": "ssl",
        "ssl.ca.location": wires["TLS_CA"],
        "ssl.certificate.location": wires["TLS_CERT"],
        "ssl.key.location": wires["TLS_KEY"],
        "log_level": 0,
        **settings,
    }


def send(producer: Producer, topic: str, value: bytes, key: bytes | None = None) -> KafkaError | None:
    """Sends one message and waits; the error that came back, if any."""
    seen: list[KafkaError | None] = []
    producer.produce(topic, value, key, on_delivery=lambda error, _: seen.append(error))
    assert producer.flush(30) == 0
    return seen[0]


def receive(consumer: Consumer, seconds: float = 30.0) -> bytes:
    """The next message."""

    def poll() -> bytes | None:
        message = consumer.poll(0.2)
        return None if message is None or message.error() else bytes(message.value())

    answer = wait_for("a message", poll, seconds)
    assert answer is not None
    return answer


def subscribed(machine: Machine, service: str, topic: str) -> Consumer:
    """A consumer of a service, from the beginning of the topic."""
    wires = wiring(machine, service, topic, "consume")
    consumer = Consumer(client(wires, **{"group.id": wires["GROUP"], "auto.offset.reset": "earliest"}))
    consumer.subscribe([wires["TOPIC"]])
    return consumer


def administrator(machine: Machine) -> Any:
    """A client that may do anything."""
    leaf = machine.site.leaves["kafka-admin"]
    servers = machine.site.endpoint("kafka-0/client")
    return tasks.connect(servers, {"ca": leaf.ca, "certificate": leaf.certificate, "key": leaf.key})


def names(machine: Machine) -> set[str]:
    """The topics that exist."""
    return {name for name in administrator(machine).list_topics(timeout=10).topics if not name.startswith("__")}


def test_every_proof_holds_and_leaves_no_trace(machine: Machine) -> None:
    """Edges work, all else is refused; nothing was created by asking."""
    resource = machine.plan.resource("kafka")
    gathered = [proof for edge in machine.plan.edges for proof in proofs.grants(resource, edge, machine)]
    gathered += proofs.refusals(resource, machine)
    for ensemble in machine.plan.of_kind("zookeeper"):
        gathered += zookeeper_proofs.refusals(ensemble, machine)
    before = names(machine)
    checks = prove(gathered)
    assert [check for check in checks if not check.ok] == []
    assert {check.category for check in checks} == {"edge", "undeclared", "plaintext", "authority", "identity"}
    assert names(machine) == before
    groups = administrator(machine).list_consumer_groups().result().valid
    assert "bystander" not in {group.group_id for group in groups}


def test_a_denial_can_be_read_in_the_log(machine: Machine) -> None:
    """Who, what and which access stand in a line of the broker's log."""
    stranger = machine.stranger_leaf()
    wires = wiring(machine, "catalog", "orders", "produce")
    wires |= {"TLS_CERT": stranger.certificate, "TLS_KEY": stranger.key}
    producer = Producer(client(wires, **{"enable.idempotence": False}))
    error = send(producer, "orders", b"mine")
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    kafka_resource, log = machine.plan.resource("kafka"), lines_of(machine.log)
    found = list(denials.denied(kafka_resource, machine.plan, machine.site, log))
    assert ("stranger", "orders", "DESCRIBE of topic orders") in {(d.source, d.target, d.asked) for d in found}


def test_dead_letters_are_read_and_written_by_their_consumer_alone(machine: Machine) -> None:
    """Neither by who produces what it consumes, nor by another consumer."""
    letters = wiring(machine, "notifier", "orders", "consume")["DEAD_LETTERS"]
    assert send(Producer(client(wiring(machine, "notifier", "orders", "consume"))), letters, b"mine", b"1") is None
    for other, topic, access in (("catalog", "orders", "produce"), ("auditor", "events", "consume")):
        error = send(Producer(client(wiring(machine, other, topic, access))), letters, b"not mine", b"1")
        assert error is not None
        assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    kept = administrator(machine)
    asked = ConfigResource(ResourceType.TOPIC, letters)
    found = kept.describe_configs([asked])[asked].result()
    assert found["cleanup.policy"].value == "compact,delete"
    assert "events.notifier.dead-letters" not in names(machine)


def test_a_message_goes_through_by_the_wiring_alone(machine: Machine) -> None:
    """What a service finds in its environment is enough to produce and to consume."""
    consumer = subscribed(machine, "notifier", "orders")
    try:
        assert send(Producer(client(wiring(machine, "catalog", "orders", "produce"))), "orders", b"one book") is None
        assert receive(consumer) == b"one book"
    finally:
        consumer.close()


@pytest.mark.parametrize("name", ["kafka-admin", "kafka-internal", "kafka", "platform"])
def test_a_service_named_like_the_platform_gains_nothing(machine: Machine, name: str) -> None:
    """The unit in the certificate decides, not the name."""
    leaf = machine.pretending(name)
    servers = machine.site.endpoint("kafka-0/client")
    pretender = tasks.connect(servers, {"ca": leaf.ca, "certificate": leaf.certificate, "key": leaf.key})
    answer = pretender.create_topics([NewTopic("stolen", 1, 1)])["stolen"]
    with pytest.raises(KafkaException) as caught:
        answer.result(30)
    assert caught.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_what_is_as_declared_is_left_alone(machine: Machine) -> None:
    """A reconciler that has nothing to do says so."""
    assert machine.settle() == ["everything was as declared"] * 2


def test_a_topic_is_added_and_grows_and_never_shrinks(machine: Machine) -> None:
    """Partitions and retention follow the declaration; fewer partitions are refused with a remedy."""
    before, admin = machine.plan, administrator(machine)
    steps: list[tuple[dict[str, object], str]] = [
        ({"partitions": 2}, "created 1 topic returns"),
        ({"partitions": 5}, "added partitions to 1 topic returns"),
        ({"partitions": 5, "retention": "2h"}, "set retention.ms of 1 topic returns"),
    ]
    try:
        for topic, answer in steps:
            machine.adopt(declared(coordination(machine), machine.folder, returns=topic))
            assert machine.settle()[0] == answer
        assert len(admin.list_topics("returns", timeout=10).topics["returns"].partitions) == 5
        asked = ConfigResource(ResourceType.TOPIC, "returns")
        assert admin.describe_configs([asked])[asked].result()["retention.ms"].value == "7200000"
        machine.adopt(declared(coordination(machine), machine.folder, returns={"partitions": 1}))
        with pytest.raises(RuntimeError, match="Topic returns has 5 partitions and Kafka cannot take any away"):
            machine.settle()
    finally:
        machine.adopt(before)


def test_a_removed_grant_ends_open_sessions(machine: Machine) -> None:
    """Who was consuming, and who was producing, is refused with the next request."""
    producer = Producer(client(wiring(machine, "auditor", "events", "produce")))
    consumer = subscribed(machine, "auditor", "events")
    before = machine.plan
    try:
        assert send(producer, "events", b"before") is None
        assert receive(consumer) == b"before"
        kept = [grant for grant in GRANTS if grant[0] != "auditor"]
        machine.adopt(plan({"coordination": coordination(machine), "topics": TOPICS}, kept, machine.folder))
        needed, settled = machine.reconcilers("needed", "settled")
        assert (needed.when, settled.when) == ("needed", "settled")
        machine.run(needed)
        assert send(producer, "events", b"grants are only added before") is None
        assert machine.run(settled) == "revoked 7 permissions"
        error = send(producer, "events", b"after")
        assert error is not None
        assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        refused = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}
        wait_for("the consumer to be refused", lambda: _error_code(consumer) in refused)
    finally:
        machine.adopt(before)
        machine.settle()
        consumer.close()


def _error_code(consumer: Consumer) -> int | None:
    message = consumer.poll(0.2)
    return message.error().code() if message is not None and message.error() else None


def listeners(machine: Machine) -> dict[str, int]:
    """The serial number that each port of the broker shows."""
    ports = {name: address for name, address in machine.site.ports.items() if name.startswith("kafka-0/")}
    return {name: shown(*address).serial_number for name, address in ports.items()}


def test_every_listener_shows_a_renewed_certificate_and_sessions_stay(machine: Machine) -> None:
    """Told so, without a pause: who was producing does so on."""
    before, begun = listeners(machine), machine.running["kafka-0"].pid
    no_other = {"reconnect.backoff.ms": 60000, "reconnect.backoff.max.ms": 60000}  # longer than a message is waited for
    producer = Producer(client(wiring(machine, "catalog", "orders", "produce"), **no_other))
    assert send(producer, "orders", b"before") is None
    machine.renew()
    assert listeners(machine) == before
    (told,) = machine.reconcilers("renewed")
    assert machine.run(told) == "the brokers show their present certificates"
    after = listeners(machine)
    assert after.keys() == before.keys() >= {"kafka-0/client", "kafka-0/internal"}
    assert {name for name, serial in before.items() if after[name] == serial} == set()
    assert send(producer, "orders", b"after") is None
    assert machine.running["kafka-0"].pid == begun


def test_a_killed_broker_comes_back_with_its_messages(machine: Machine) -> None:
    """Started again as often as it takes, it serves within 30 s what was written just before."""
    process = machine.process("kafka-0")
    wires = wiring(machine, "catalog", "orders", "produce")
    assert send(Producer(client(wires)), "orders", b"just before") is None
    machine.stop("kafka-0", signal.SIGKILL)

    def back() -> bool:
        if "kafka-0" not in machine.running or machine.running["kafka-0"].poll() is not None:
            machine.launch(process)
        return machine.ready(process)

    wait_for("the broker", back, 30)
    consumer = subscribed(machine, "notifier", "orders")
    try:
        wait_for("the message", lambda: receive(consumer) == b"just before")
    finally:
        consumer.close()
    assert machine.settle() == ["everything was as declared"] * 2
