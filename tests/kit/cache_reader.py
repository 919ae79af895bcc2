"""A process that reads one key of the cache as a test says on standard input, and tells on standard output what it got.

A line in is ``READERS SECONDS TTL STALE LOAD_S``: so many read again and again for so long. An origin that takes
``LOAD_S`` notes each load in the file that ``ORIGIN`` names, with its begin and its end by the machine's clock.
A line out is a JSON object of gets, failures by name, and loads.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter

from greenfield_kit.cache import Cache, Policy
from kit.cached import FERN, Thing


def note(word: str) -> None:
    """A line in the origin's book, whole even when many write."""
    book = os.open(os.environ["ORIGIN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(book, f"{word} {os.getpid()} {time.monotonic()}\n".encode())
    os.close(book)


async def read(cache: Cache, readers: int, seconds: float, ttl: float, stale: float, load_s: float) -> None:
    """One line's worth."""
    met: Counter[str] = Counter()

    async def load() -> Thing:
        note("begin")
        await asyncio.sleep(load_s)
        note("end")
        return FERN

    async def reader() -> None:
        ends = time.monotonic() + seconds
        while True:
            try:
                assert await cache.get("hot", Thing, load, ttl=ttl, stale=stale) == FERN
                met["got"] += 1
            except Exception as exc:  # noqa: BLE001 - whatever it is, it is what the test asks about
                met[type(exc).__name__] += 1
            if time.monotonic() >= ends:
                return
            await asyncio.sleep(0)

    await asyncio.gather(*(reader() for _ in range(readers)))
    print(json.dumps(met), flush=True)


async def main() -> None:
    """Line by line, until there are no more."""
    cache = Cache("cache", Policy(**json.loads(os.environ.get("POLICY", "{}"))))
    while line := await asyncio.to_thread(sys.stdin.readline):
        readers, *numbers = line.split()
        seconds, ttl, stale, load_s = map(float, numbers)
        await read(cache, int(readers), seconds, ttl, stale, load_s)
    await cache.close()


if __name__ == "__main__":
    asyncio.run(main())
