"""Event loops that end with nothing open."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Answer = TypeVar("Answer")
_GOODBYE_S = 5.0


def run(story: Coroutine[Any, Any, Answer], seconds: float | None = None) -> Answer:
    """As ``asyncio.run``; at the end it waits until all connections are closed, and fails where they are not.

    aiomysql leaves without waiting for what TLS has to say: its socket would be found unclosed by some later test.
    """
    sockets = selectors.DefaultSelector()

    async def told() -> Answer:
        answer = await asyncio.wait_for(story, seconds)
        async with asyncio.timeout(_GOODBYE_S):
            while len(sockets.get_map()) > 1:  # one is the loop's own
                await asyncio.sleep(0.01)
        return answer

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(sockets)) as runner:
        return runner.run(told())
