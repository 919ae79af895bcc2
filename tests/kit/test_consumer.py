"""The decisions of consuming, without a broker: positions, what a failure says, identity, handlers, letters."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Literal

import httpx
import psycopg
import pymongo.errors
import pymysql
import pytest
import redis.exceptions
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from greenfield_kit.cloudevents import CloudEvent
from greenfield_kit.consumer import Consumer, Limits, RejectedError, UnavailableError, UndecodableError
from greenfield_kit.consumer import failures as said
from greenfield_kit.consumer.failures import verdict
from greenfield_kit.consumer.offsets import Offsets
from greenfield_kit.dead_letters import Letter
from greenfield_kit.http import CalleeError, CalleeTimeoutError
from greenfield_kit.inbox import Inbox
from greenfield_kit.message import Message
from greenfield_kit.topic import PublishError


class Order(BaseModel):
    """A body that says its version."""

    version: Literal[1, 2] = 1
    total: int


def message(value: bytes | None = b"{}", **facts: Any) -> Message:
    """One that stands at orders/0/7."""
    return Message(**{"topic": "orders", "partition": 0, "offset": 7, "value": value, **facts})


# --- positions


@given(st.lists(st.integers(1, 3), min_size=1, max_size=60), st.randoms())
def test_a_position_is_the_lowest_that_is_not_finished(gaps: list[int], chance: Any) -> None:
    """Whatever the order of finishing and the holes between offsets, at every moment."""
    offsets = Offsets()
    begun = [sum(gaps[: index + 1]) for index in range(len(gaps))]
    assert offsets.position is None
    assert all(offsets.begin(offset) for offset in begun)
    left = set(begun)
    for offset in chance.sample(begun, len(begun)):
        offsets.finish(offset)
        left.discard(offset)
        assert offsets.position == (min(left) if left else begun[-1] + 1)
        assert offsets.open == (sum(each >= min(left) for each in begun) if left else 0)


def test_what_was_begun_is_not_begun_again() -> None:
    """As when a partition is read from an earlier position once more."""
    offsets = Offsets()
    assert [offsets.begin(offset) for offset in (5, 6, 5, 6, 7)] == [True, True, False, False, True]


# --- failures


class StatusError(httpx.HTTPStatusError):
    """An answer of a service that was called."""

    def __init__(self, status: int) -> None:
        request = httpx.Request("GET", "http://callee")
        super().__init__("no", request=request, response=httpx.Response(status, request=request))


def stored(error: Exception, kind: type[exc.DBAPIError] = exc.OperationalError) -> exc.DBAPIError:
    """A driver's error as SQLAlchemy raises it."""
    return kind("insert", {}, error)


def postgres(state: str) -> exc.DBAPIError:
    """An error of PostgreSQL by its state."""
    return stored(psycopg.errors.lookup(state)("no"))


def mysql(number: int, kind: type[pymysql.Error] = pymysql.OperationalError) -> exc.DBAPIError:
    """An error of MariaDB by its number."""
    return stored(kind(number, "no"))


AWAY: list[Exception] = [
    ConnectionRefusedError(),
    TimeoutError(),
    OSError(28, "no space left"),
    stored(psycopg.OperationalError("connection refused")),
    *map(postgres, ["40001", "40P01", "57P01", "53300", "08006", "25006", "55P03", "28P01", "57014"]),
    *map(mysql, [2003, 2006, 2013, 1040, 1045, 1053, 1205, 1213, 1290]),
    stored(pymysql.InterfaceError(0, ""), exc.InterfaceError),
    exc.TimeoutError("the pool is empty"),
    pymongo.errors.ServerSelectionTimeoutError("no"),
    pymongo.errors.NotPrimaryError("no"),
    redis.exceptions.ConnectionError("no"),
    redis.exceptions.TimeoutError("no"),
    httpx.ConnectError("no"),
    httpx.ReadTimeout("no"),
    StatusError(503),
    StatusError(429),
    PublishError("no"),
    CalleeError("left alone for a moment"),
    CalleeTimeoutError("no answer"),
    UnavailableError("no"),
]
FAILED: list[Exception] = [
    ValueError("no"),
    FileNotFoundError(2, "no"),
    *map(postgres, ["23505", "22001", "42P01", "42703", "22P05"]),
    *(mysql(number, kind) for number, kind in ((1062, pymysql.IntegrityError), (1406, pymysql.DataError))),
    *map(mysql, [1054, 1366]),
    pymongo.errors.DuplicateKeyError("no"),
    redis.exceptions.ResponseError("WRONGTYPE"),
    StatusError(500),
    StatusError(404),
]


@pytest.mark.parametrize("error", AWAY, ids=repr)
def test_what_is_away_is_known_by_every_driver(error: Exception) -> None:
    """As it is raised, and as the cause of another; but a body that was refused is refused."""
    assert verdict(error) == "away"
    outer = RuntimeError("the invoice was not written")
    outer.__cause__ = error
    assert verdict(outer) == "away"
    assert verdict(_from(RejectedError("no"), error)) == "rejected"


@pytest.mark.parametrize("error", FAILED, ids=repr)
def test_a_messages_own_failure_is_not_taken_for_an_outage(error: Exception) -> None:
    """Or it would be tried for ever, and hold its key up."""
    assert verdict(error) == "failed"


def _from(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_the_names_of_errors_are_those_of_the_libraries() -> None:
    """A library that moves a class is noticed."""
    for name in said._ERRORS:
        module, _, kind = name.rpartition(".")
        found = getattr(importlib.import_module(module), kind)
        assert f"{found.__module__}.{found.__qualname__}" == name


def test_pauses_grow_and_end_and_are_drawn() -> None:
    """No two of them alike, and the tries take as long as the limits' page says."""
    limits = Limits()
    pauses = [limits.pause_s(tries) for tries in range(1, limits.tries)]
    assert 19 <= sum(pauses) <= 27
    assert limits.pause_s(10_000) <= limits.longest_pause_s
    assert len({limits.pause_s(3) for _ in range(20)}) > 10


# --- identity


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ({"headers": (("message-id", b"a"),)}, "a"),
        ({"headers": (("message-id", b"a"), ("message-id", b"b"))}, "b"),
        ({"headers": (("message-id", b"\xff"),)}, "\\xff"),
        ({"headers": (("message-id", None),)}, "orders/0/7"),
        ({"headers": (("message-id", b""),)}, "orders/0/7"),
        ({"headers": (("ce_id", b"1"), ("ce_source", b"shop"))}, "shop#1"),
        ({"value": CloudEvent(id="1", source="shop", type="t", subject="s").encoded()}, "shop#1"),
        ({"value": b'{"specversion": "1.0", "source": "shop"}'}, "orders/0/7"),
        ({"value": b'["specversion"'}, "orders/0/7"),
        ({"value": b'["specversion", ' + b"[" * 100_000}, "orders/0/7"),
        ({"value": b'"specversion"'}, "orders/0/7"),
        ({"value": None}, "orders/0/7"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_message_is_known_by_what_its_publisher_says(given: dict[str, Any], known: str) -> None:
    """Else by where it stands."""
    assert message(**given).id == known


def test_the_same_id_of_another_topic_or_consumer_is_another() -> None:
    """Events of several topics may be numbered alike."""
    engine = create_async_engine("postgresql+psycopg://nobody@nowhere/nothing")
    inbox, other = Inbox(engine, "invoicer"), Inbox(engine, "auditor")
    one = message(headers=(("message-id", b"1"),))
    elsewhere = message(topic="events", headers=(("message-id", b"1"),))
    found = {inbox.digest(one), inbox.digest(elsewhere), other.digest(one)}
    assert len(found) == 3
    assert {len(each) for each in found} == {32}
    assert inbox.digest(message(offset=9, partition=2, headers=(("message-id", b"1"),))) in found


# --- handlers


def taken(function: Callable[..., Coroutine[Any, Any, None]], *messages: Message, batch: int = 0) -> None:
    """Runs a handler once."""
    asyncio.run(Consumer("orders", function, batch=batch).handler().take(messages))


def test_a_handler_gets_what_it_asks_for() -> None:
    """Bodies as their type says, the message by annotation, lists in batches."""
    seen: list[Any] = []

    async def typed(order: Order, found: Message) -> None:
        seen.append((order.total, found.offset))

    async def raw(body: bytes | None) -> None:
        seen.append(body)

    async def plain(body: dict[str, int]) -> None:
        seen.append(body)

    async def many(orders: list[Order], messages: list[Message]) -> None:
        seen.append([(order.total, each.offset) for order, each in zip(orders, messages, strict=True)])

    taken(typed, message(b'{"total": 3}'))
    taken(raw, message(b"\xff"))
    taken(raw, message(None))
    taken(plain, message(b'{"a": 1}'))
    taken(many, message(b'{"total": 1}'), message(b'{"total": 2}', offset=8), batch=5)
    assert seen == [(3, 7), b"\xff", None, {"a": 1}, [(1, 7), (2, 8)]]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"version": 3, "total": 1}', "version: Input should be 1 or 2"),
        (b'{"total": "a secret"}', "total: Input should be a valid integer"),
        (b"\xff", "body: Invalid JSON"),
        (None, "body: Input should be"),
    ],
)
def test_a_body_that_is_not_what_is_asked_for_is_refused_with_the_reason(value: bytes | None, reason: str) -> None:
    """An unknown version among them; nothing of the body is told."""

    async def typed(order: Order) -> None:
        raise AssertionError

    with pytest.raises(UndecodableError, match=reason) as caught:
        taken(typed, message(value))
    assert "secret" not in str(caught.value)
    assert verdict(caught.value) == "rejected"


async def _no_body() -> None: ...
async def _no_inbox(body: bytes, transaction: AsyncConnection) -> None: ...
async def _unknown(body: bytes, number: int) -> None: ...
async def _one(body: bytes) -> None: ...
async def _mixed(bodies: list[bytes], message: Message) -> None: ...
def _not_async(body: bytes) -> None: ...


@pytest.mark.parametrize(
    ("function", "batch", "words"),
    [
        (_no_body, 0, "its first argument, annotated, is one"),
        (_no_inbox, 0, "name one by `inbox=`"),
        (_unknown, 0, "asks for number"),
        (_one, 9, "gains nothing without `inbox=`"),
        (_mixed, 9, "asks for message"),
        (_not_async, 0, "must be an `async def`"),
    ],
)
def test_a_handler_that_cannot_be_called_is_refused_where_it_is_written(
    function: Callable[..., Any], batch: int, words: str
) -> None:
    """With what to do, before anything is consumed."""
    with pytest.raises(TypeError, match=words):
        Consumer("orders", function, batch=batch)


# --- letters


@given(
    st.one_of(st.none(), st.binary(max_size=50)),
    st.one_of(st.none(), st.binary(max_size=50)),
    st.lists(st.tuples(st.text(max_size=20), st.one_of(st.none(), st.binary(max_size=20))), max_size=5),
    st.text(max_size=2000),
)
def test_a_letter_brings_back_the_message_as_it_was(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]], reason: str
) -> None:
    """Key, value and headers to the byte, but for headers that pretend to be a letter's; and why and how often."""
    found = message(value, key=key, headers=tuple(headers), time=datetime(2026, 1, 2, tzinfo=UTC))
    letter = Letter.of(found, ValueError(reason), tries=3).again(KeyError("x"), tries=1)
    back = Letter.read(value or b"", letter.headers())
    own = tuple(pair for pair in headers if not pair[0].startswith("dead-letter-"))
    assert back.message == message(value, key=key, headers=own, time=found.time)
    assert (back.tries, back.replays, back.error, back.reason) == (4, 1, "KeyError", "'x'")
    assert back.key == b"orders/0/7"
    assert back.message.id == found.id


def test_what_is_no_letter_is_told_from_one() -> None:
    """Somebody else's message in the topic breaks nothing."""
    with pytest.raises(ValueError, match="dead-letter-topic is missing"):
        Letter.read(b"", [("a", b"b")])
