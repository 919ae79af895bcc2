"""What may be declared of Kafka, and what it becomes."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from greenfield.components.kafka import COMPONENT, Settings, dead_letters
from greenfield.components.kafka.roles import Permission, permissions, principal_of_platform
from greenfield.model.binding import Binding, Leaf
from greenfield.model.component import Context
from greenfield.model.content import plain
from greenfield.model.plan import Edge, Resource
from greenfield.spec.names import LONGEST_NAME, label

CONTEXT = Context("shop", "local", ("a", "b", "c"), "/nowhere")
LEAF = Leaf("/pki/ca.crt", "/pki/catalog.crt", "/pki/catalog.key", "/pki/catalog.pem")


class Somewhere:
    """A target in which broker N listens on 10.0.0.N."""

    def address(self, resource: Resource, port: str) -> tuple[str, int]:
        """The first broker."""
        return self.addresses(resource, port)[0]

    def addresses(self, resource: Resource, port: str) -> tuple[tuple[str, int], ...]:
        """All brokers."""
        assert port == "client"
        return tuple((f"10.0.0.{member.index}", 9092) for member in resource.members)

    def leaf(self, service: str, resource: Resource) -> Leaf:
        """The same for everybody."""
        return LEAF


def planned(**settings: object) -> list[Resource]:
    """The resources that a declaration becomes."""
    return list(COMPONENT.plan("kafka", Settings.model_validate(settings), CONTEXT))


def bound(access: str) -> Binding:
    """How ``catalog`` reaches ``orders`` on three brokers."""
    kafka = planned(nodes=3, topics={"orders": {}})[0]
    return COMPONENT.binding(kafka, Edge("catalog", "orders", access, "kafka"), Somewhere())  # type: ignore[arg-type]


def test_a_broker_alone_needs_nobody() -> None:
    """KRaft is the default, and brings nothing along."""
    (kafka,) = planned(topics={"orders": {}})
    assert [member.name for member in kafka.members] == ["kafka-0"]
    assert kafka.needs == ()
    assert [(part.name, part.kind) for part in kafka.parts] == [("orders", "topic")]


def test_zookeeper_comes_along_and_is_needed() -> None:
    """``coordination: zookeeper`` plans an ensemble of three for any larger number of brokers."""
    kafka, ensemble = planned(nodes=5, coordination="zookeeper")
    assert kafka.needs == (ensemble.name,) == ("kafka-zookeeper",)
    assert ensemble.brought_by == "kafka"
    assert [(member.name, member.zone) for member in ensemble.members] == [
        ("kafka-zookeeper-0", "a"),
        ("kafka-zookeeper-1", "b"),
        ("kafka-zookeeper-2", "c"),
    ]


def test_three_brokers_of_many_are_controllers() -> None:
    """A quorum of three survives the loss of one; more would only slow it."""
    (kafka,) = planned(nodes=5)
    assert [member.role for member in kafka.members] == ["broker,controller"] * 3 + ["broker"] * 2


@pytest.mark.parametrize(
    "settings",
    [
        {"nodes": 2},
        {"nodes": 10},
        {"nodes": 0},
        {"nodes": True},
        {"nodes": "3"},
        {"coordination": "raft"},
        {"size": "huge"},
        {"storage": "20GB"},
        {"topics": {"orders": {"partitions": 0}}},
        {"topics": {"orders": {"retention": "a week"}}},
        {"topics": {"orders": {"compact": True}}},
        {"replicas": 3},
    ],
    ids=str,
)
def test_what_kafka_does_not_know_is_refused(settings: dict[str, object]) -> None:
    """Numbers that cannot work, wrong types and unknown keys are mistakes."""
    with pytest.raises(ValidationError):
        Settings.model_validate(settings)


def test_a_producer_learns_where_and_as_whom() -> None:
    """All brokers, the topic, and the certificate; no group."""
    binding = bound("produce")
    assert plain(binding.url) == "kafka://10.0.0.0:9092,10.0.0.1:9092,10.0.0.2:9092/orders"
    assert {name: plain(value) for name, value in binding.parts.items()} == {
        "HOST": "10.0.0.0",
        "PORT": "9092",
        "BOOTSTRAP_SERVERS": "10.0.0.0:9092,10.0.0.1:9092,10.0.0.2:9092",
        "TOPIC": "orders",
        "TLS_CA": LEAF.ca,
        "TLS_CERT": LEAF.certificate,
        "TLS_KEY": LEAF.key,
        "TLS_PEM": LEAF.pem,
    }


def test_a_consumer_learns_its_group_and_where_its_dead_letters_go() -> None:
    """The group is the service's own name; who only produces has neither."""
    parts = bound("consume").parts
    assert plain(parts["GROUP"]) == "catalog"
    assert plain(parts["DEAD_LETTERS"]) == "orders.catalog.dead-letters"
    assert not {"GROUP", "DEAD_LETTERS"} & bound("produce").parts.keys()


def test_a_grant_gives_its_access_and_no_more() -> None:
    """Producing is writing; consuming is reading, in a group of one's own, and keeping dead letters of one's own."""
    assert permissions([("catalog", "orders", "produce")]) == {
        Permission("User:catalog", "topic", "orders", "WRITE"),
        Permission("User:catalog", "topic", "orders", "DESCRIBE"),
    }
    assert permissions([("notifier", "orders", "consume")]) == {
        Permission("User:notifier", "topic", "orders", "READ"),
        Permission("User:notifier", "topic", "orders", "DESCRIBE"),
        Permission("User:notifier", "group", "notifier", "READ"),
        Permission("User:notifier", "topic", "orders.notifier.dead-letters", "READ"),
        Permission("User:notifier", "topic", "orders.notifier.dead-letters", "WRITE"),
        Permission("User:notifier", "topic", "orders.notifier.dead-letters", "DESCRIBE"),
    }


def test_dead_letters_have_a_name_that_nothing_declared_can_have() -> None:
    """And that both Kafka (249 characters of a few kinds) and Kubernetes (a DNS subdomain) take, however long it is."""
    longest = "a" * LONGEST_NAME
    name = dead_letters(longest, longest)
    assert not label(name)
    assert len(name) <= 249
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", name)
    assert len({dead_letters("a", "b-c"), dead_letters("a-b", "c"), dead_letters("b-c", "a")}) == 3


def test_no_service_can_be_named_like_the_platform() -> None:
    """A part of the platform has a character in its name that no DNS label has."""
    assert ":" in principal_of_platform("kafka-admin")
