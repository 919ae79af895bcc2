"""A message as it was found in a topic, and what it is known by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

MESSAGE_ID = "message-id"
"""The header by which a consumer knows a message again, however often it comes: 32 hexadecimal digits, or the
caller's own words. It stays the same from the outbox's ``add`` on."""
_CE_ID, _CE_SOURCE = "ce_id", "ce_source"
"""CloudEvents in binary mode: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md"""


@dataclass(frozen=True)
class Message:
    """One message. ``value`` is None for a tombstone; headers are bytes, because Kafka promises nothing else."""

    topic: str
    partition: int
    offset: int
    key: bytes | None = None
    value: bytes | None = field(default=None, repr=False)
    headers: tuple[tuple[str, bytes | None], ...] = field(default=(), repr=False)
    time: datetime | None = None

    @property
    def position(self) -> str:
        """Where it stands: ``topic/partition/offset``."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def size(self) -> int:
        """Bytes that it holds, headers aside."""
        return len(self.key or b"") + len(self.value or b"")

    @cached_property
    def id(self) -> str:
        """What stays the same when it is published once more: see ``identity``."""
        return identity(self)

    def header(self, name: str) -> str | None:
        """The last header of that name as text; bytes that are no UTF-8 are shown escaped. None where there is none."""
        found = next((value for key, value in reversed(self.headers) if key == name), None)
        return None if found is None else found.decode(errors="backslashreplace")

    def texts(self) -> dict[str, str]:
        """All headers that have a value, as text, the last of a name."""
        return {name: value.decode(errors="backslashreplace") for name, value in self.headers if value is not None}


def identity(message: Message) -> str:
    """The header ``message-id``; else source and id of a CloudEvent, in headers or in the body; else its position."""
    if given := message.header(MESSAGE_ID):
        return given
    if event := message.header(_CE_ID):
        return f"{message.header(_CE_SOURCE) or ''}#{event}"
    return _of_event(message.value or b"") or message.position


def _of_event(value: bytes) -> str:
    """Source and id of a CloudEvent in structured mode; empty for anything else."""
    if b'"specversion"' not in value:
        return ""
    try:
        event: Any = json.loads(value)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(event, Mapping) or "specversion" not in event or not event.get("id"):
        return ""
    return f"{event.get('source', '')}#{event['id']}"
