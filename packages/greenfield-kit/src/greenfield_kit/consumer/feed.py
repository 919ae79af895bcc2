"""The client of Kafka, in one thread of its own, which alone touches it: messages come up, positions go down.

Memory is bounded twice: by what the client fetches ahead (``FETCHED_KIB``), and by who takes the messages, who names
the partitions that are full.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from greenfield_kit.message import Message

if TYPE_CHECKING:
    from confluent_kafka import Consumer as Client
    from confluent_kafka import KafkaError, TopicPartition
    from confluent_kafka import Message as Carrier

    from greenfield_kit.consumer.subscription import Subscription

AT_ONCE: Final = 500
"""Messages that one turn brings at most."""
FETCHED_KIB: Final = 16 << 10
BUSY_S, IDLE_S = 0.05, 0.5  # how long a turn waits for messages: less where something waits to be committed
SESSION_S: Final = 10
"""A member that is killed is missed after so long."""
_CLOSE_S: Final = 3.0
"""For what is not confirmed yet, and once more to leave the group."""
_WATCH_S: Final = 5.0
_COMPLAIN_S: Final = 10.0

Positions = Mapping[int, int]
Result = TypeVar("Result")
log = logging.getLogger("greenfield_kit")


class Keeper(Protocol):
    """Who takes the messages."""

    async def give_up(self, partitions: Collection[int], lost: bool) -> Positions:
        """These go to somebody else: ends what is under way there; how far each has come."""
        ...


class Feed:
    """One member of a group, on one topic."""

    def __init__(self, subscription: Subscription, keeper: Keeper) -> None:
        self._subscription, self._keeper = subscription, keeper
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"{subscription.name}-feed")
        self._loop = asyncio.get_running_loop()
        self._client: Client | None = None
        self._held: set[int] = set()
        self._paused: set[int] = set()
        self._committed: dict[int, int] = {}
        self._unconfirmed: set[int] = set()
        self._ends: dict[int, int] = {}
        self._watched_at = self._complained_at = 0.0

    async def turn(self, positions: Positions, full: Collection[int], seconds: float) -> list[Message]:
        """Commits, stops and goes on reading as told, and brings what there is within ``seconds``."""
        return await self._run(lambda: self._turn(positions, full, seconds))

    async def close(self, positions: Positions) -> None:
        """Commits and leaves the group."""
        await self._run(lambda: self._close(positions))
        self._thread.shutdown(wait=False)

    def lags(self, positions: Positions) -> dict[int, int]:
        """Messages that are not finished, by partition held, as far as it is known where the partition ends."""
        return {number: max(0, end - positions.get(number, end)) for number, end in list(self._ends.items())}

    # --- in the thread

    async def _run(self, what: Callable[[], Result]) -> Result:
        return await self._loop.run_in_executor(self._thread, what)

    def _turn(self, positions: Positions, full: Collection[int], seconds: float) -> list[Message]:
        client = self._opened()
        self._commit(client, positions, wait=False)
        self._pause(client, full)
        self._watch(client)
        first = client.poll(seconds)
        if first is None:
            return []
        carriers = (first, *client.consume(AT_ONCE - 1, 0))
        return [message for message in map(self._message, carriers) if message is not None]

    def _opened(self) -> Client:
        if self._client is None:
            from confluent_kafka import Consumer as Client

            self._client = Client({**_settings(self._subscription), "on_commit": self._confirmed})
            self._client.subscribe(
                [self._subscription.topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
            )
        return self._client

    def _message(self, carrier: Carrier) -> Message | None:
        if (error := carrier.error()) is not None:
            self._complain(error)
            return None
        partition, offset = carrier.partition(), carrier.offset()
        assert partition is not None
        assert offset is not None
        if partition not in self._held:  # fetched before it went to somebody else
            return None
        _, milliseconds = carrier.timestamp()
        return Message(
            topic=carrier.topic() or "",
            partition=partition,
            offset=offset,
            key=carrier.key(),
            value=carrier.value(),
            headers=tuple(carrier.headers() or ()),
            time=_time(milliseconds),
        )

    def _complain(self, error: KafkaError) -> None:
        """The client goes on by itself, but for what is fatal; said every few seconds, as it says it all the time."""
        from confluent_kafka import KafkaException

        if error.fatal():
            raise KafkaException(error)
        if time.monotonic() - self._complained_at > _COMPLAIN_S:
            self._complained_at = time.monotonic()
            log.warning("cannot read", extra={"topic": self._subscription.topic, "reason": error.str()})

    def _commit(self, client: Client, positions: Positions, *, wait: bool) -> None:
        from confluent_kafka import KafkaException

        moved = {n: at for n, at in positions.items() if n in self._held and self._committed.get(n) != at}
        if not moved:
            return
        try:
            client.commit(offsets=[self._at(number, at) for number, at in moved.items()], asynchronous=not wait)
        except KafkaException as exc:
            self._not_committed(exc.args[0])
            return
        self._committed |= moved
        self._unconfirmed |= set() if wait else moved.keys()

    def _confirmed(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        for each in partitions:
            self._unconfirmed.discard(each.partition)
            if error is not None or each.error is not None:
                self._committed.pop(each.partition, None)  # and is committed once more with the next turn
        if error is not None:
            self._not_committed(error)

    def _not_committed(self, error: KafkaError) -> None:
        log.warning(
            "not committed, it may come again", extra={"topic": self._subscription.topic, "reason": error.str()}
        )

    def _pause(self, client: Client, full: Collection[int]) -> None:
        wanted = self._held & set(full)
        if wanted - self._paused:
            client.pause([self._at(number) for number in wanted - self._paused])
        if freed := (self._paused & self._held) - wanted:
            client.resume([self._at(number) for number in freed])
        self._paused = wanted

    def _watch(self, client: Client) -> None:
        """Where partitions end: as the last fetch told, and by asking where none is under way."""
        from confluent_kafka import KafkaException

        if time.monotonic() - self._watched_at < _WATCH_S:
            return
        self._watched_at = time.monotonic()
        for number in self._held:
            try:
                asked = number in self._paused
                _, end = client.get_watermark_offsets(self._at(number), timeout=0.5, cached=not asked) or (0, -1)
            except KafkaException:
                return  # the broker is away, which others tell
            if end >= 0:
                self._ends[number] = end

    def _close(self, positions: Positions) -> None:
        client = self._client
        if client is None:
            return
        self._commit(client, positions, wait=False)
        deadline = time.monotonic() + _CLOSE_S
        self._pause(client, self._held)
        while self._unconfirmed and time.monotonic() < deadline:
            client.poll(0.05)
        self._leave(client)

    def _leave(self, client: Client) -> None:
        """Leaves the group. A broker that does not answer is not waited for, as ``close`` would do."""
        leaving = threading.Thread(target=client.close, name=f"{self._subscription.name}-leave", daemon=True)
        leaving.start()
        leaving.join(_CLOSE_S)
        if leaving.is_alive():
            log.warning("left without the broker's answer", extra={"topic": self._subscription.topic})

    def _at(self, number: int, offset: int | None = None) -> TopicPartition:
        from confluent_kafka import TopicPartition

        if offset is None:
            return TopicPartition(self._subscription.topic, number)
        return TopicPartition(self._subscription.topic, number, offset)

    # --- called by the client, while it polls

    def _assigned(self, _: Client, partitions: list[TopicPartition]) -> None:
        numbers = {each.partition for each in partitions}
        self._held |= numbers
        self._paused |= numbers  # so the next turn has them read, whatever the client remembers of an earlier time

    def _revoked(self, client: Client, partitions: list[TopicPartition]) -> None:
        numbers = {each.partition for each in partitions}
        self._commit(client, self._wait(self._keeper.give_up(numbers, lost=False)), wait=True)
        self._forget(numbers)

    def _lost(self, _: Client, partitions: list[TopicPartition]) -> None:
        numbers = {each.partition for each in partitions}
        self._wait(self._keeper.give_up(numbers, lost=True))
        self._forget(numbers)

    def _forget(self, numbers: set[int]) -> None:
        self._held -= numbers
        self._paused -= numbers
        self._unconfirmed -= numbers
        for number in numbers:
            self._committed.pop(number, None)
            self._ends.pop(number, None)

    def _wait(self, what: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()


def _settings(subscription: Subscription) -> dict[str, Any]:
    return {
        **subscription.connection,
        "group.id": subscription.group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": SESSION_S * 1000,
        "partition.assignment.strategy": "cooperative-sticky",
        "queued.max.messages.kbytes": FETCHED_KIB,
        "queued.min.messages": 10 * AT_ONCE,
    }


def _time(milliseconds: int) -> datetime | None:
    """None where the message has none, or one that no calendar has."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds > 0 else None
    except (OverflowError, ValueError, OSError):
        return None
