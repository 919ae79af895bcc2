"""The topics of a cluster: those declared, and for each of their consumers one for what it could not handle.

A consumer's dead letters are its own: no other edge opens them, so that what is put back is seen by it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from greenfield.components.kafka import Settings, dead_letters
from greenfield.model.plan import Plan, Resource

DEAD_LETTERS: Final[Mapping[str, str | int]] = {
    # A letter's key is where the message stood: a letter written twice is one, and a null in its place ends it.
    "cleanup.policy": "compact,delete",
    "retention.ms": 14 * 86_400_000,  # time for a person to look; every consumer's inbox remembers for longer
    "segment.ms": 86_400_000,  # only closed segments are compacted and dropped
    "max.message.bytes": 2 << 20,  # the largest message of any topic, and what is told about it
}


@dataclass(frozen=True)
class Topic:
    """A topic as Kafka is told of it."""

    partitions: int
    config: Mapping[str, str | int]


def topics(resource: Resource, plan: Plan) -> Mapping[str, Topic]:
    """All of a cluster's, by name."""
    settings = resource.settings
    assert isinstance(settings, Settings)
    declared = {
        name: Topic(topic.partitions, {"retention.ms": topic.retention_ms}) for name, topic in settings.topics.items()
    }
    # One partition: letters are few, and their order is then that of their dying.
    dead = {dead_letters(topic, consumer): Topic(1, DEAD_LETTERS) for consumer, topic in consumed(resource, plan)}
    return declared | dead


def consumed(resource: Resource, plan: Plan) -> list[tuple[str, str]]:
    """Who consumes what: (service, which is the group, and topic)."""
    return sorted((edge.source, edge.target) for edge in plan.edges_to(resource.name) if edge.access == "consume")
