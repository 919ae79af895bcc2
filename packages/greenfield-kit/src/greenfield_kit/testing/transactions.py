"""A transaction without a database, for fakes that wait for a commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

Act = Callable[[], Awaitable[None]]


class FakeTransaction:
    """A transaction of nothing: leaving it commits, an exception rolls back."""

    def __init__(self) -> None:
        self._acts: list[Act] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        acts, self._acts = self._acts, []
        for act in acts if error is None else ():
            await act()

    def after_commit(self, act: Act) -> None:
        """Awaits ``act`` once it is committed."""
        self._acts.append(act)
