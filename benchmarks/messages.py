"""Writes messages as a service does: ``python -m benchmarks.messages TOPIC DATABASE``, with a service's wiring.

Each is its key's next number and the time at which its transaction began. Writers take turns in nothing: they have keys
of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import time

from greenfield_kit.outbox import Outbox
from greenfield_kit.relay import engine_of

WRITERS, KEYS = 4, 50  # at once; and keys for each
PADDING = "x" * 200


async def write(topic: str, database: str, count: int, rate: float, together: int) -> None:
    """``count`` messages, ``together`` in one transaction; at a ``rate`` a second, or as fast as it goes (0)."""
    engine, outbox, begin = engine_of(database), Outbox(topic), time.monotonic()
    turns = itertools.count()

    async def writer(name: int) -> None:
        for number in itertools.count():
            if (turn := next(turns)) * together >= count:
                return
            if rate:
                await asyncio.sleep(max(0.0, begin + turn * together / rate - time.monotonic()))
            key = f"{name}-{number % KEYS}"
            async with engine.begin() as connection:
                for place in range(together):
                    value = f"{number * together + place} {time.time()} {PADDING}"
                    await outbox.add(connection, key, value.encode())

    await asyncio.gather(*map(writer, range(WRITERS)))
    await engine.dispose()


def main() -> None:
    """Writes, and prints the messages a second."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.messages")
    parser.add_argument("topic")
    parser.add_argument("database")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--together", type=int, default=1)
    given = parser.parse_args()
    begin = time.monotonic()
    asyncio.run(write(given.topic, given.database, given.count, given.rate, given.together))
    print(given.count / (time.monotonic() - begin))


if __name__ == "__main__":
    main()
