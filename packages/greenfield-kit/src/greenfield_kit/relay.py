"""The relay: publishes what waits in an outbox, in a service's own process or alone.

    python -m greenfield_kit.relay TOPIC DATABASE

In any number of processes: one leads, the others stand by.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import logging
import signal
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import sqlalchemy as sa

from greenfield_kit import connections, logs, metrics, telemetry
from greenfield_kit.outbox import Outbox
from greenfield_kit.outbox.lead import leading
from greenfield_kit.outbox.term import Term
from greenfield_kit.outbox.waiting import BATCH_ROWS, Waiting

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

GATHER_S = 0.02  # after a batch: what is written meanwhile goes out together
SHORTEST_S, LONGEST_S = 0.005, 0.5  # between two looks at the table: twice as long each time while there is nothing
CANDIDATE_S = 1.0  # between two attempts to lead
TROUBLE_S = 2.0  # before the next attempt where nothing can be published
log = logging.getLogger("greenfield_kit")
_relays: WeakSet[Relay] = WeakSet()


class Relay:
    """Publishes the messages of one outbox while no other process does. ``term`` is None where another leads."""

    def __init__(self, outbox: Outbox, engine: AsyncEngine) -> None:
        self.name = outbox.name
        self.term: Term | None = None
        self._outbox = outbox
        self._engine = engine
        self._woken = asyncio.Event()
        self._closing = asyncio.Event()
        self._closed = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Relays meanwhile; at the end the batch at hand is finished, and whoever stands by may lead."""
        self._closed = False
        relaying = asyncio.create_task(self.run())
        try:
            yield
        finally:
            self.close()
            await relaying

    async def run(self) -> None:
        """Relays until ``close``, whatever happens to the database and the broker."""
        loop, self._woken, self._closing = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        if self._closed:
            return
        self._outbox.wake = functools.partial(loop.call_soon_threadsafe, self._woken.set)
        _relays.add(self)
        while not self._closing.is_set():
            outcome: Any = (await asyncio.gather(self._candidate(), return_exceptions=True))[0]
            if isinstance(outcome, asyncio.CancelledError):
                raise outcome
            if isinstance(outcome, BaseException):
                log.error("relay leads no more", exc_info=outcome, extra={"outbox": self.name})
            await _within(CANDIDATE_S, self._closing)

    def close(self) -> None:
        """``run`` ends soon."""
        self._closed = True
        self._closing.set()
        self._woken.set()

    async def _candidate(self) -> None:
        async with leading(self._engine, self._outbox.tables.waiting.name) as session:
            if session is not None:
                log.info("relay leads", extra={"outbox": self.name})
                await self._lead(session)

    async def _lead(self, session: AsyncConnection) -> None:
        self.term = term = Term(self.name, Waiting(session, self._outbox.tables))
        pause = SHORTEST_S
        try:
            while not self._closing.is_set():
                done = await term.turn()
                if done or term.trouble:
                    await _within(TROUBLE_S if term.trouble else GATHER_S * (done < BATCH_ROWS), self._closing)
                    pause = SHORTEST_S
                else:
                    pause = SHORTEST_S if await _within(pause, self._woken) else min(2 * pause, LONGEST_S)
                self._woken.clear()
            await term.end()
        finally:
            self.term = None
            await asyncio.to_thread(term.abandon)


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Whether it comes to pass in that time."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


def _read(part: str) -> Iterable[tuple[float, Mapping[str, str]]]:
    for relay in list(_relays):
        if relay.term is not None:
            yield getattr(relay.term.lag, part), {"outbox": relay.name}


for _name, _unit, _part, _description in (
    ("outbox.waiting", "{message}", "waiting", "Messages that wait to be published."),
    ("outbox.oldest.age", "s", "oldest_s", "How long the oldest message has waited."),
    ("outbox.aside", "{message}", "aside", "Messages kept aside: they, or an earlier one of their key, were refused."),
):
    metrics.gauge(_name, _unit, _description, functools.partial(_read, _part))


def engine_of(database: str) -> AsyncEngine:
    """The engine of a wired database, whichever kind it is."""
    if connections.Wiring(database)["URL"].startswith("postgresql"):
        return connections.postgres(database)
    return connections.mysql(database)


async def _alone(relay: Relay, engine: AsyncEngine) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, relay.close)
    await relay.run()
    await engine.dispose()
    await asyncio.to_thread(telemetry.close)


async def _resolve(outbox: Outbox, engine: AsyncEngine, arguments: argparse.Namespace) -> None:
    """Says what is to become of what is aside; the leader does it within a second or so."""
    aside = outbox.tables.aside
    async with engine.begin() as connection:
        if arguments.retry:
            await connection.execute(sa.update(aside).where(aside.c.id.in_(arguments.retry)).values(reason=None))
        if arguments.drop:
            await connection.execute(sa.delete(aside).where(aside.c.id.in_(arguments.drop)))
        for each in await Waiting(connection, outbox.tables).aside():
            print(json.dumps(vars(each)))
    await engine.dispose()


def main(words: list[str] | None = None) -> None:
    """Relays until SIGTERM; or shows, retries or drops what is kept aside."""
    parser = argparse.ArgumentParser(prog="python -m greenfield_kit.relay", description="Publishes an outbox.")
    parser.add_argument("topic", help="the name of the outbox, and of the topic it is for")
    parser.add_argument("database", help="the name of the database in which it is")
    parser.add_argument("--aside", action="store_true", help="show what is kept aside, as JSON lines, and end")
    parser.add_argument("--retry", type=int, nargs="+", metavar="ID", help="send refused messages once more, and end")
    parser.add_argument("--drop", type=int, nargs="+", metavar="ID", help="delete refused messages for good, and end")
    arguments = parser.parse_args(words)
    outbox, engine = Outbox(arguments.topic), engine_of(arguments.database)
    if arguments.aside or arguments.retry or arguments.drop:
        asyncio.run(_resolve(outbox, engine, arguments))
        return
    logs.configure()
    telemetry.configure()
    asyncio.run(_alone(Relay(outbox, engine), engine))


if __name__ == "__main__":
    main()
