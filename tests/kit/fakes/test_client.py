"""What a client of another service promises, over a real socket and in this process alike."""

from __future__ import annotations

import asyncio
import socket as sockets
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from greenfield_kit import deadline
from greenfield_kit.http import CalleeError, CalleeTimeoutError, Client
from greenfield_kit.testing.callee import FakeClient
from kit.fakes.callee import app
from support.platform import wait_for

pytestmark = pytest.mark.e2e
TESTS = Path(__file__).parents[2]
Play = Callable[[Callable[[Client], Awaitable[None]]], None]


@pytest.fixture(scope="module")
def socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the service listens, served as the platform serves an `app`."""
    path = tmp_path_factory.mktemp("callee") / "app.sock"
    line = [sys.executable, "-m", "granian", "--interface", "asgi", "--uds", str(path), "kit.fakes.callee:app"]
    process = subprocess.Popen(line, cwd=TESTS)
    try:
        wait_for("the service", lambda: accepts(path), 60)
        yield path
    finally:
        process.terminate()
        process.wait(30)


def accepts(path: Path) -> bool:
    """Whether somebody listens there."""
    with sockets.socket(sockets.AF_UNIX) as tried:
        return tried.connect_ex(str(path)) == 0


@pytest.fixture(params=["real", "fake"])
def play(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Tells a story to a client."""
    if request.param == "real":
        monkeypatch.setenv("CALLEE_URL", "http://callee")
        monkeypatch.setenv("CALLEE_UDS", str(request.getfixturevalue("socket")))

    def played(story: Callable[[Client], Awaitable[None]]) -> None:
        async def told() -> None:
            client = Client("callee") if request.param == "real" else FakeClient("callee", app)
            try:
                await story(client)
            finally:
                await client.close()

        asyncio.run(told())

    return played


def test_what_is_asked_arrives(play: Play) -> None:
    """Method, query, body and headers."""

    async def story(client: Client) -> None:
        got = (await client.get("/echo", params={"sku": "fern"}, headers={"x-kind": "test"})).json()
        assert (got["method"], got["query"], got["kind"]) == ("GET", {"sku": "fern"}, "test")
        assert (await client.post("/echo", content=b"bytes")).json()["body"] == "bytes"
        assert (await client.post("/echo", json={"a": 1})).json()["body"].replace(" ", "") == '{"a":1}'

    play(story)


def test_any_status_is_an_answer_and_nobody_is_followed(play: Play) -> None:
    """Whoever asks decides."""

    async def story(client: Client) -> None:
        assert (await client.get("/nowhere")).status_code == 404
        moved = await client.get("/moved")
        assert (moved.status_code, moved.headers["location"]) == (307, "/echo")

    play(story)


def test_what_may_be_repeated_is_tried_again_and_nothing_else(play: Play) -> None:
    """By its method, or by the caller's word."""

    async def story(client: Client) -> None:
        assert (await client.get(f"/busy/{uuid.uuid4()}")).text == "2"
        assert (await client.post(f"/busy/{uuid.uuid4()}")).status_code == 503
        assert (await client.post(f"/busy/{uuid.uuid4()}", idempotent=True)).text == "2"

    play(story)


def test_a_callee_that_hangs_costs_no_more_than_the_deadline(play: Play) -> None:
    """Then the caller knows."""

    async def story(client: Client) -> None:
        with pytest.raises((CalleeTimeoutError, deadline.DeadlineError)):
            async with deadline.within(0.2):
                await client.get("/slow")

    play(story)


def test_a_fake_can_be_away() -> None:
    """As one whose sidecar is not there."""

    async def story() -> None:
        client = FakeClient("callee", app)
        client.away = True
        with pytest.raises(CalleeError):
            await client.get("/echo")
        client.away = False
        assert (await client.get("/echo")).status_code == 200

    asyncio.run(story())
