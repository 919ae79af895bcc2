"""What happened, in the words of CloudEvents 1.0, so that consumers need not know every producer."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field


class CloudEvent(BaseModel):
    """One happening: ``type`` says what, ``subject`` to whom or what, ``source`` who tells it.

    The same happening has the same ``id`` however often it is told: give one wherever it may be told again.
    """

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    source: str
    type: str
    subject: str
    time: datetime = Field(default_factory=lambda: datetime.now(UTC))
    data: dict[str, Any] = Field(default_factory=dict)

    def encoded(self) -> bytes:
        """As a message carries it: JSON."""
        return self.model_dump_json().encode()
