"""How far a partition may be committed: up to the lowest message that is not finished."""

from __future__ import annotations

from collections import deque


class Offsets:
    """Those of one partition, begun in rising order (with holes where Kafka has some) and finished in any."""

    def __init__(self) -> None:
        self._begun: deque[int] = deque()
        self._finished: set[int] = set()
        self._next: int | None = None
        self.highest = -1  # that is finished

    def begin(self, offset: int) -> bool:
        """Whether it is a new one; one that was begun before is refused."""
        if self._next is not None and offset < self._next:
            return False
        self._begun.append(offset)
        self._next = offset + 1
        return True

    def finish(self, offset: int) -> None:
        """This message needs nothing more."""
        self._finished.add(offset)
        self.highest = max(self.highest, offset)
        while self._begun and self._begun[0] in self._finished:
            self._finished.remove(self._begun.popleft())

    @property
    def open(self) -> int:
        """How many were begun since the lowest that is not finished, that one included."""
        return len(self._begun)

    @property
    def position(self) -> int | None:
        """Where whoever comes next has to begin; None before the first message."""
        return self._begun[0] if self._begun else self._next
