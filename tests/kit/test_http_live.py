"""Calls of another service that hangs, fails, restarts, or is busy: on real sockets, of real processes."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Unpack

import aiohttp
import pytest

from greenfield_kit import deadline
from greenfield_kit.circuit import LONGEST_OPEN_S, ROW
from greenfield_kit.correlation import request_id
from greenfield_kit.http import CalleeError, CalleeTimeoutError, Client, Options
from greenfield_kit.retries import Budget
from kit.served import Served, served, wait_until
from support.platform import wait_for

pytestmark = pytest.mark.e2e

Story = Callable[[Client], Awaitable[None]]


@pytest.fixture
def callee(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """One that is called, with the wiring of whoever calls it."""
    with served(tmp_path, "callee") as application:
        monkeypatch.setenv("CALLEE_URL", "http://callee")
        monkeypatch.setenv("CALLEE_UDS", str(application.socket))
        yield application


@pytest.fixture
def caller(tmp_path: Path, callee: Served) -> Iterator[Served]:
    """One that calls it for whoever asks."""
    with served(tmp_path, "caller", CALLEE_URL="http://callee", CALLEE_UDS=str(callee.socket)) as application:
        yield application


def told(story: Story, budget: Budget | None = None) -> None:
    """Runs a story with a client."""

    async def whole() -> None:
        client = Client("callee", budget=budget)
        try:
            await story(client)
        finally:
            await client.close()

    asyncio.run(whole())


async def gave_up(client: Client, path: str, seconds: float, **options: Unpack[Options]) -> bool:
    """Whether a call ends with its deadline: by the callee's own word, or without one."""
    try:
        async with deadline.within(seconds):
            return (await client.get(path, **options)).status_code == 504
    except (CalleeTimeoutError, deadline.DeadlineError):
        return True


def test_a_callee_that_hangs_costs_its_callers_their_deadline_and_no_more(callee: Served, caller: Served) -> None:
    """All are answered in time, those who need nobody at once; when it is back, so is the caller, by itself."""

    async def ask(client: aiohttp.ClientSession, path: str) -> int:
        async with client.get(path, headers={deadline.HEADER: "3000"}) as answer:
            return answer.status

    async def back(client: aiohttp.ClientSession) -> bool:
        return await ask(client, "/asks") == 200

    async def whole() -> None:
        async with caller.session() as client:
            assert await back(client)
            callee.process.send_signal(signal.SIGSTOP)
            waiting = asking = {asyncio.create_task(ask(client, "/asks")) for _ in range(100)}
            alone: Counter[int] = Counter()
            while waiting:
                alone[await ask(client, "/alone")] += 1
                _, waiting = await asyncio.wait(waiting, timeout=0.1)
            assert set(alone) == {200}, alone
            assert set(await asyncio.gather(*asking)) == {503, 504}
            assert await ask(client, "/asks") == 503
            callee.process.send_signal(signal.SIGCONT)
            await wait_until("the callee to be called again", lambda: back(client), LONGEST_OPEN_S * 3)

    asyncio.run(whole())
    assert callee.seen().get("/ok", 0) < 75


def test_retries_of_a_callee_that_fails_for_everybody_are_no_storm(callee: Served) -> None:
    """A tenth of the requests, and what had been saved."""

    async def story(client: Client) -> None:
        answers = await asyncio.gather(*(client.get("/busy") for _ in range(40)))
        answers += [await client.get("/busy") for _ in range(160)]
        assert {answer.status_code for answer in answers} == {503}

    told(story, Budget(ratio=0.1, per_second=0.0, most=10.0))
    assert 200 + 20 <= callee.seen()["/busy"] <= 200 + 20 + 10


def test_what_may_not_be_repeated_is_not(callee: Served) -> None:
    """Unless whoever calls says that it may."""

    async def story(client: Client) -> None:
        assert (await client.post("/busy")).status_code == 503
        assert (await client.post("/busy", idempotent=True)).status_code == 503

    told(story)
    assert callee.seen()["/busy"] == 1 + 3


def test_retry_after_is_waited_for_where_the_deadline_allows(callee: Served) -> None:
    """Else the answer is that it is busy, and at once."""

    async def story(client: Client) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert (await client.get("/busy-once/patient")).text == "now"
        assert loop.time() - began >= 1.0
        async with deadline.within(0.9):
            assert (await client.get("/busy-once/hurried")).status_code == 503

    told(story)
    assert callee.seen()["hurried"] == 1


def test_a_callee_gets_less_time_than_its_caller_has(callee: Served) -> None:
    """So that its answer arrives while somebody still waits for it; its work is broken off."""

    async def story(client: Client) -> None:
        async with deadline.within(2.0):
            left = (await client.get("/ok")).json()["left"]
            assert 1.0 < left < 2.0
        assert await gave_up(client, "/hangs", 0.5)
        async with deadline.within(60.0):
            assert (await client.get("/ok")).json()["left"] <= deadline.DEFAULT_S

    told(story)
    wait_for("its work to be broken off", lambda: callee.seen().get("cancelled") == 1, 5)


def test_a_caller_without_time_left_sends_nothing(callee: Served) -> None:
    """It would be work for nobody."""

    async def story(client: Client) -> None:
        _, token = deadline.begin(0.0)
        with pytest.raises(CalleeTimeoutError, match="no time"):
            await client.get("/ok")
        deadline.end(token)

    told(story)
    assert "/ok" not in callee.seen()


def test_a_callee_that_restarts_costs_no_caller_an_error(callee: Served) -> None:
    """Connections that were kept are known to be stale: not even what may not be repeated meets one."""

    async def story(client: Client) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            await asyncio.gather(*(client.get("/ok") for _ in range(20)))
            await asyncio.to_thread(callee.stop, number)
            await asyncio.to_thread(callee.start)
            answers = await asyncio.gather(*(client.post("/ok") for _ in range(20)))
            assert {answer.status_code for answer in answers} == {200}

    told(story)


def test_nothing_was_sent_where_nobody_listens_so_it_is_tried_again(callee: Served) -> None:
    """Whatever the method; then the caller is told, and soon it is not even tried."""

    async def story(client: Client) -> None:
        callee.stop()
        callee.socket.unlink(missing_ok=True)
        trying = asyncio.create_task(client.post("/ok"))
        with pytest.raises(CalleeError, match="cannot be reached"):
            await trying
        assert not client.circuit.is_open
        for _ in range(ROW):
            with pytest.raises(CalleeError):
                await client.post("/ok")
        with pytest.raises(CalleeError, match="left alone"):
            await client.post("/ok")
        await asyncio.to_thread(callee.start)

        async def back() -> bool:
            try:
                return (await client.post("/ok")).status_code == 200
            except CalleeError:
                return False

        await wait_until("the circuit to close", back)
        assert not client.circuit.is_open

    told(story)


def test_a_hedge_is_sent_only_where_asked_for_and_paid_for(callee: Served) -> None:
    """The first good answer counts, and the other call is broken off."""

    async def story(client: Client) -> None:
        assert (await client.get("/slow-once/hedged", hedge_after=0.1)).json() == {"answered": 2}
        await wait_until("the first to be cancelled", lambda: cancelled("hedged"))
        assert await gave_up(client, "/slow-once/plain", 0.5)

    async def poor(client: Client) -> None:
        assert await gave_up(client, "/slow-once/poor", 0.5, hedge_after=0.1)

    async def cancelled(key: str) -> bool:
        return "hedged cancelled" in await asyncio.to_thread(callee.seen)

    told(story)
    told(poor, Budget(most=0.5, per_second=0.0))
    assert callee.seen()["poor"] == 1


def test_id_and_own_headers_travel_and_an_answer_is_whole(callee: Served) -> None:
    """The id is that of the request at hand."""

    async def story(client: Client) -> None:
        request_id.set("abc")
        answer = await client.get("/echo", headers={"x-own": "1"}, params={"sku": ["a", "b"]})
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "application/json"
        sent = answer.json()
        assert (sent["x-request-id"], sent["x-own"], sent["host"]) == ("abc", "1", "callee")
        assert int(sent[deadline.HEADER]) < deadline.DEFAULT_S * 1000

    told(story)


def test_impatience_of_one_caller_does_not_cut_off_the_others(callee: Served) -> None:
    """Time-outs of less than a second say nothing of the callee: its circuit stays closed."""

    async def story(client: Client) -> None:
        for _ in range(ROW + 1):
            assert await gave_up(client, "/hangs", 0.05)
        assert not client.circuit.is_open

    told(story)
