"""The progress of a reconcile: which names have been reached, failed, or wait for one that failed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from greenfield.errors import StartError


@dataclass
class Node:
    """A process or task on its way. Times are the event loop's, in seconds; ``last`` is what it waited for longest."""

    name: str
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failure: StartError | None = None
    begun: float = 0.0
    ended: float = 0.0
    last: str = ""


class Nodes:
    """All nodes of one reconcile."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._nodes = {name: Node(name) for name in names}
        self._moved = asyncio.Event()

    def __getitem__(self, name: str) -> Node:
        return self._nodes[name]

    async def reached(self, dependencies: frozenset[str], node: Node) -> None:
        """Waits until all of them have been reached; notes when, and which was the last."""
        for name in dependencies:
            await self._nodes[name].gate.wait()
        node.begun = asyncio.get_running_loop().time()
        node.last = max(dependencies, key=lambda name: self._nodes[name].ended, default="")

    def reach(self, node: Node) -> None:
        """It is ready, or done."""
        node.failure = None
        node.ended = asyncio.get_running_loop().time()
        node.gate.set()
        self._move()

    def fail(self, node: Node, failure: StartError | None) -> None:
        """It failed, for now."""
        node.failure = failure or StartError(f"{node.name} was stopped before it was ready.")
        self._move()

    def failures(self) -> dict[str, StartError]:
        """What failed, by name."""
        return {node.name: node.failure for node in self._nodes.values() if node.failure is not None}

    def waiting_on(self, name: str, dependencies: Callable[[str], frozenset[str]]) -> list[str]:
        """What a node still waits for."""
        if name not in self._nodes or self._nodes[name].begun:
            return []
        return sorted(other for other in dependencies(name) if not self._nodes[other].gate.is_set())

    async def settle(self, dependencies: Callable[[str], frozenset[str]]) -> None:
        """Waits until nothing moves any more: each is reached, has failed, or waits for one that has."""
        while not self._is_settled(dependencies):
            await self._moved.wait()

    def _is_settled(self, dependencies: Callable[[str], frozenset[str]]) -> bool:
        open_names = {node.name for node in self._nodes.values() if not node.gate.is_set()}
        stuck = {name for name in open_names if self._nodes[name].failure is not None}
        while True:
            blocked = {name for name in open_names - stuck if dependencies(name) & stuck}
            if not blocked:
                return open_names == stuck
            stuck |= blocked

    def critical_path(self) -> tuple[tuple[str, float], ...]:
        """The chain that decided: from what was ready last back along what each waited for, with its own seconds."""
        done = [node for node in self._nodes.values() if node.gate.is_set()]
        node = max(done, key=lambda each: each.ended, default=None)
        chain: list[tuple[str, float]] = []
        while node is not None:
            chain.append((node.name, max(0.0, node.ended - node.begun)))
            node = self._nodes.get(node.last)
        return tuple(reversed(chain))

    def _move(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
