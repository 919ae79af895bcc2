"""What a service of the kit cannot help: something behind it is away, or too slow.

An application answers so; a consumer takes it for no fault of the message, and tries that until it is back.
"""

from __future__ import annotations

from typing import ClassVar


class UnavailableError(RuntimeError):
    """Something that the work needs does not answer: 503, and worth another try a little later."""

    status: ClassVar[int] = 503
    retry_after_s: float | None = 1.0
