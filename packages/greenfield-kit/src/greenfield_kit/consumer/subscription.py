"""What a consumer is told by the wiring of a topic that it consumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from greenfield_kit.connections import Wiring, kafka


@dataclass(frozen=True)
class Subscription:
    """A topic, the group, which is the service, and the topic of its dead letters, of which nobody else knows."""

    name: str
    topic: str
    group: str
    dead_letters: str
    connection: Mapping[str, str | int] = field(repr=False)

    @classmethod
    def wired(cls, name: str) -> Subscription:
        """As ``<NAME>_…`` in the environment says; WiringError where something is not set."""
        wiring = Wiring(name)
        return cls(name, wiring["TOPIC"], wiring["GROUP"], wiring["DEAD_LETTERS"], kafka(name))

    @property
    def attributes(self) -> dict[str, str]:
        """By what traces and metrics tell it apart: OpenTelemetry's semantic conventions."""
        return {
            "messaging.system": "kafka",
            "messaging.destination.name": self.topic,
            "messaging.consumer.group.name": self.group,
        }
