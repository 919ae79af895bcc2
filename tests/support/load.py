"""Load that does not wait for its answers: so many requests a second, come what may."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from support.platform import Platform

if TYPE_CHECKING:
    import httpx

INTERNAL_ERROR = 500  # from here on an answer is told with its words


def under_load(
    platform: Platform, path: str, act: Callable[[], object], *, rate: int = 100, after_s: float = 2.0
) -> Counter[str]:
    """What became of the requests sent while ``act`` ran, and ``after_s`` on.

    By status code, with the words of a server's error, or by the error's name.

    Every other request takes a connection of its own, the rest share kept-alive ones; nothing is sent twice.
    """
    return asyncio.run(_under_load(platform, path, act, rate, after_s))


async def _under_load(
    platform: Platform, path: str, act: Callable[[], object], rate: int, after_s: float
) -> Counter[str]:
    met: Counter[str] = Counter()
    kept = platform.async_client()
    acting = asyncio.get_running_loop().run_in_executor(None, act)
    sent: list[asyncio.Task[None]] = []
    begin, ends = time.monotonic(), float("inf")
    async with kept:
        while (now := time.monotonic()) < ends:
            fresh = len(sent) % 2 == 0
            sent.append(asyncio.create_task(_ask(platform.async_client() if fresh else kept, path, met, close=fresh)))
            if acting.done() and ends == float("inf"):
                ends = now + after_s
            await asyncio.sleep(max(0.0, begin + len(sent) / rate - time.monotonic()))
        await asyncio.gather(*sent)
        await acting
    return met


async def _ask(client: httpx.AsyncClient, path: str, met: Counter[str], *, close: bool) -> None:
    import httpx

    try:
        answer = await client.get(path)
        met[f"{answer.status_code}" + (f": {answer.text}" if answer.status_code >= INTERNAL_ERROR else "")] += 1
    except httpx.HTTPError as exc:
        met[f"{type(exc).__name__}: {exc}"] += 1
    finally:
        if close:
            await client.aclose()
