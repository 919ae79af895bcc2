"""The way to Redis: one connection, on which many ask at once and are answered in order.

redis-py gives a connection to one caller at a time. Here callers share one: nobody waits for a free one, what is asked
in the same moment goes out as one packet, and a caller who goes away costs nobody the connection.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from greenfield_kit.cache.circuit import Circuit

CONNECT_S = 1.0
GOODBYE_S = 3.0  # what a server may take to end a TLS session
LATE_S = 0.005  # an answer that is already in this process is not late because the process was
log = logging.getLogger("greenfield_kit")


class AwayError(Exception):
    """Redis does not answer in time, or is left alone because it did not."""


class Channel:
    """Commands to one Redis. Each is answered, or raises AwayError within twice ``answer_s`` seconds.

    After failures in a row nothing is tried any more and AwayError comes at once, until a trial in the background,
    which no caller waits for, went well.
    """

    def __init__(self, name: str, url: str, answer_s: float) -> None:
        self.name = name
        self._answer_s = answer_s
        self._pool: ConnectionPool = ConnectionPool.from_url(
            url, protocol=2, socket_connect_timeout=GOODBYE_S, socket_timeout=None, driver_info=None
        )
        self._session: _Session | None = None
        self._tasks: set[asyncio.Task[None]] = set()  # of every session that has not quite ended
        self._opening: asyncio.Task[_Session] | None = None
        self._trial: asyncio.Task[None] | None = None
        self.circuit = Circuit(lambda: asyncio.get_running_loop().time())

    async def ask(self, *words: bytes | int, patiently: bool = False) -> Any:
        """What Redis answers to a command. Raises AwayError, or ResponseError where Redis refuses.

        ``patiently``: a connection that is being made is waited for until it is, or has failed.
        """
        if self.circuit.state != "closed":
            self._try_again()
            raise AwayError(f"{self.name} is left alone for a while")
        return await self._ask(*words, patiently=patiently)

    async def close(self) -> None:
        """Ends the connection; the next command opens another."""
        running = [task for task in (self._opening, self._trial) if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._session is not None:
            self._session.lose(AwayError(f"{self.name} is closed"))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._session = self._opening = self._trial = None

    async def _ask(self, *words: bytes | int, patiently: bool = False) -> Any:
        session = self._session
        if session is None or session.lost:
            session = await self._opened(max(CONNECT_S, self._answer_s) + LATE_S if patiently else self._answer_s)
        try:
            return await session.ask(words)
        except ReadOnlyError:
            session.lose(AwayError(f"{self.name} is no longer the master"))
            raise

    async def _opened(self, patience_s: float) -> _Session:
        """The session, opened once for all who want one."""
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(_heard)
        opening = self._opening
        done, _ = await asyncio.wait([opening], timeout=patience_s)
        if not done:
            self._fail("it is not reached")
            raise AwayError(f"{self.name} was not reached within {patience_s:g} s")
        return opening.result()

    async def _open(self) -> _Session:
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(max(CONNECT_S, self._answer_s)):
                await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException as exc:
            await connection.disconnect(nowait=True)
            if not isinstance(exc, (RedisError, OSError)):  # TimeoutError is an OSError
                raise
            self._fail(str(exc) or "it does not answer")
            raise AwayError(f"{self.name} is not to be reached") from exc
        self._session = _Session(connection, self._answer_s, self._fail, self._succeed)
        for task in self._session.tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return self._session

    def _succeed(self) -> None:
        if self.circuit.succeed():
            log.info("cache is back", extra={"cache": self.name})

    def _fail(self, reason: str) -> None:
        if self.circuit.fail():
            log.warning("cache is passed by", extra={"cache": self.name, "reason": reason})

    def _try_again(self) -> None:
        if self.circuit.takes_trial():
            self._trial = asyncio.create_task(self._tried())

    async def _tried(self) -> None:
        try:
            await self._ask(b"PING")
        except (AwayError, ResponseError):
            if self.circuit.state == "half-open":  # nobody has said so yet: opening it takes longer than an answer may
                self._fail("it does not answer")


def _heard(opening: asyncio.Task[_Session]) -> None:
    """The circuit knows of a failure; whoever wanted the session may have gone."""
    if not opening.cancelled():
        opening.exception()


class _Session:
    """One connection with what is under way on it. It is lost with the first answer that is late, for all who wait."""

    def __init__(self, connection: AbstractConnection, answer_s: float, failed: Any, succeeded: Any) -> None:
        self.lost = False
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._answer_s = answer_s
        self._failed, self._succeeded = failed, succeeded
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._unsent: list[bytes] = []
        self._sendable = asyncio.Event()
        self._watch: asyncio.TimerHandle | None = None
        self.tasks = (asyncio.create_task(self._read()), asyncio.create_task(self._write()))

    async def ask(self, words: tuple[bytes | int, ...]) -> Any:
        """The answer to one command."""
        answered: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((self._loop.time(), answered))
        self._unsent += self._connection.pack_command(*words)
        self._sendable.set()
        if self._watch is None:
            self._watch = self._loop.call_later(self._answer_s, self._look_for_late)
        return await answered

    def lose(self, reason: AwayError) -> None:
        """Ends it; everyone who waits learns the reason."""
        if self.lost:
            return
        self.lost = True
        if self._watch is not None:
            self._watch.cancel()
        for task in self.tasks:
            task.cancel()
        for _, answered in self._waiting:
            if not answered.done():
                answered.set_exception(reason)
        self._waiting.clear()

    async def _read(self) -> None:
        """Hands each answer to whoever asked for it, a refusal as an exception."""
        answer: Any
        try:
            while True:
                try:
                    answer = await self._connection.read_response(timeout=math.inf, disconnect_on_error=False)
                except ResponseError as exc:
                    answer = exc
                self._succeeded()
                _, answered = self._waiting.popleft()
                if answered.done():
                    continue  # whoever asked went away
                if isinstance(answer, ResponseError):
                    answered.set_exception(answer)
                else:
                    answered.set_result(answer)
        except (RedisError, OSError) as exc:
            self._break(str(exc))
        finally:
            await self._end()

    async def _end(self) -> None:
        """At once: a goodbye by TLS takes as long as the other side likes, and a cache has nothing left to say."""
        writer = self._connection._writer  # redis-py has no other way to end a connection without a goodbye
        await self._connection.disconnect(nowait=True)
        if writer is not None:
            writer.transport.abort()
            await asyncio.sleep(0)  # for the loop to close it
            await asyncio.sleep(0)

    async def _write(self) -> None:
        """Sends what has come together since the last time."""
        try:
            while True:
                await self._sendable.wait()
                self._sendable.clear()
                packet, self._unsent = self._unsent, []
                await self._connection.send_packed_command(packet, check_health=False)
        except (RedisError, OSError) as exc:
            self._break(str(exc))

    def _break(self, reason: str) -> None:
        if not self.lost:
            self._failed(reason)
            self.lose(AwayError(reason))

    def _look_for_late(self) -> None:
        self._watch = None
        if not self._waiting:
            return
        left = self._waiting[0][0] + self._answer_s - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._look_for_late)
        else:
            self._watch = self._loop.call_later(LATE_S, self._give_up, self._waiting[0][1])

    def _give_up(self, oldest: asyncio.Future[Any]) -> None:
        self._watch = None
        if self._waiting and self._waiting[0][1] is oldest:
            self._break(f"no answer within {self._answer_s:g} s")
        else:
            self._look_for_late()
