"""One dead letter, and how a message of Kafka carries it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from greenfield_kit.message import Message

Headers = Sequence[tuple[str, bytes | None]]
_PREFIX: Final = "dead-letter-"
_REASON: Final = 1000  # characters of it that are kept


@dataclass(frozen=True)
class Letter:
    """A message, why and when it died, and how often it was tried; ``replays`` counts how often it died again."""

    message: Message
    error: str
    reason: str
    tries: int
    died_at: datetime
    replays: int = 0

    @classmethod
    def of(cls, message: Message, error: BaseException, tries: int) -> Letter:
        """One that dies now."""
        return cls(message, type(error).__name__, str(error)[:_REASON], tries, datetime.now(UTC))

    def again(self, error: BaseException, tries: int) -> Letter:
        """The same after a replay that failed, too."""
        return replace(Letter.of(self.message, error, tries), tries=self.tries + tries, replays=self.replays + 1)

    @property
    def key(self) -> bytes:
        """Where the message stood."""
        return self.message.position.encode()

    def headers(self) -> list[tuple[str, bytes | None]]:
        """The message's own, which nobody can have written as if they were of the letter, and those of the letter."""
        message, own = self.message, [pair for pair in self.message.headers if not pair[0].startswith(_PREFIX)]
        told = {
            "topic": message.topic,
            "partition": str(message.partition),
            "offset": str(message.offset),
            "id": message.id,
            "error": self.error,
            "reason": self.reason,
            "tries": str(self.tries),
            "replays": str(self.replays),
            "at": self.died_at.isoformat(),
            **({"time": message.time.isoformat()} if message.time else {}),
            **({"value": "null"} if message.value is None else {}),
        }
        letter = [(f"{_PREFIX}{name}", text.encode(errors="backslashreplace")) for name, text in told.items()]
        return [*own, *letter, (f"{_PREFIX}key", message.key)]

    @classmethod
    def read(cls, value: bytes, headers: Headers) -> Letter:
        """As it was written; ValueError for what is no letter."""
        told = {name.removeprefix(_PREFIX): held for name, held in headers if name.startswith(_PREFIX)}
        texts = {name: (held or b"").decode(errors="backslashreplace") for name, held in told.items()}
        try:
            message = Message(
                topic=texts["topic"],
                partition=int(texts["partition"]),
                offset=int(texts["offset"]),
                key=told["key"],
                value=None if texts.get("value") == "null" else value,
                headers=tuple(pair for pair in headers if not pair[0].startswith(_PREFIX)),
                time=datetime.fromisoformat(texts["time"]) if "time" in texts else None,
            )
            counts = int(texts["tries"]), datetime.fromisoformat(texts["at"]), int(texts["replays"])
        except KeyError as exc:
            raise ValueError(f"the header {_PREFIX}{exc.args[0]} is missing") from exc
        return cls(message, texts["error"], texts["reason"], *counts)

    def as_json(self) -> dict[str, Any]:
        """Plain data, without the body: that may be anybody's secret."""
        message = self.message
        return {
            "position": message.position,
            "id": message.id,
            "key": None if message.key is None else message.key.decode(errors="backslashreplace"),
            "error": self.error,
            "reason": self.reason,
            "tries": self.tries,
            "replays": self.replays,
            "died_at": self.died_at.isoformat(),
            "time": message.time.isoformat() if message.time else None,
            "bytes": len(message.value) if message.value is not None else None,
        }
