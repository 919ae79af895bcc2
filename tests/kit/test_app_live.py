"""Too much of everything, on real sockets: load, bodies, patience; and what SIGTERM ends."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from greenfield_kit import deadline
from kit.apps.limited import LIMITS
from kit.served import Served, served, wait_until
from support.platform import wait_for

pytestmark = pytest.mark.e2e

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An application with small limits."""
    with served(tmp_path_factory.mktemp("limited"), "limited") as application:
        yield application


def said(application: Served, *parts: bytes, ends: bool = True) -> bytes:
    """What is answered to raw bytes; ``ends`` closes the sending half after them."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(application.socket))
        for part in parts:
            connection.sendall(part)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        return connection.recv(65536)


async def met_by(application: Served, path: str, clients: int, each: int) -> Counter[int]:
    """The answers that so many clients get who ask one after the other."""
    met: Counter[int] = Counter()
    async with application.client() as client:

        async def ask() -> None:
            for _ in range(each):
                answer = await client.get(path)
                met[answer.status_code] += 1
                if answer.status_code == 503:
                    assert answer.headers["retry-after"] == "1"
                    assert answer.headers["content-type"] == PROBLEM
                    assert answer.json()["status"] == 503

        async def look() -> None:
            while not all(task.done() for task in loading):
                assert (await client.get("/health/ready")).status_code == 200

        loading = [asyncio.create_task(ask()) for _ in range(clients)]
        await look()
        await asyncio.gather(*loading)
    return met


def test_who_comes_too_many_is_told_at_once_and_health_is_always_answered(limited: Served) -> None:
    """Four are worked on, four wait; both where requests wait for a store and where they compute."""
    met = asyncio.run(met_by(limited, "/waits/0.1", clients=40, each=3))
    assert set(met) == {200, 503}
    assert met[200] >= 8
    met = asyncio.run(met_by(limited, "/computes", clients=40, each=10))
    assert set(met) == {200, 503}
    assert (limited.get("/waits/0")).status_code == 200, "and when it is over, it is over"


def test_a_route_may_have_a_limit_of_its_own(limited: Served) -> None:
    """It is told by another number, because others are answered."""

    async def two() -> list[int]:
        async with limited.client() as client:
            answers = await asyncio.gather(*(client.get("/dear") for _ in range(2)))
        return sorted(answer.status_code for answer in answers)

    assert asyncio.run(two()) == [200, 429]


@pytest.mark.parametrize("path", ["/orders", "/upload"])
def test_a_body_that_is_too_large_is_refused(limited: Served, path: str) -> None:
    """Whether it says so itself, or comes in pieces without an end."""
    kind = {"content-type": "application/json"}
    told = limited.request("POST", path, content=b'{"quantity": 1, "note": "' + b"x" * 2000 + b'"}', headers=kind)
    pieces = limited.request("POST", path, content=iter([b"[", *([b"1," * 100] * 20)]), headers=kind)
    for answer in (told, pieces):
        assert (answer.status_code, answer.headers["content-type"]) == (413, PROBLEM)


def test_a_length_that_lies_waits_for_no_more_than_its_time(limited: Served) -> None:
    """A gigabyte that is announced costs nothing."""
    head = (
        b"POST /orders HTTP/1.1\r\nhost: app\r\ncontent-type: application/json\r\ncontent-length: 1000000000\r\n\r\n{"
    )
    assert said(limited, head, ends=False).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", [b"/orders", b"/upload"])
def test_a_body_that_does_not_come_ends_after_its_time(limited: Served, path: bytes) -> None:
    """Sooner than the request's own deadline."""
    head = b"POST %s HTTP/1.1\r\nhost: app\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{" % path
    began = time.monotonic()
    assert said(limited, head, ends=False).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < LIMITS.seconds


def test_slow_bodies_take_nobodys_turn(limited: Served) -> None:
    """Many more of them than are worked on at a time, and everybody else is answered."""
    head = b"POST /orders HTTP/1.1\r\nhost: app\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    slow = [socket.socket(socket.AF_UNIX) for _ in range(50)]
    try:
        for connection in slow:
            connection.connect(str(limited.socket))
            connection.sendall(head)
        assert limited.get("/waits/0.01").status_code == 200
    finally:
        for connection in slow:
            connection.close()


def test_work_that_nobody_waits_for_is_cancelled(limited: Served) -> None:
    """Once its client has gone; it is no error."""
    before = limited.seen().get("cancelled", 0)
    with pytest.raises(httpx.ReadTimeout):
        limited.get("/waits/4", timeout=0.3)
    wait_for("the work to be cancelled", lambda: limited.seen().get("cancelled", 0) == before + 1, 3)
    assert "client has gone" in [line["message"] for line in limited.lines()]
    assert limited.get("/waits/0").status_code == 200


def test_what_is_done_after_the_answer_is_not_held_to_the_callers_patience(limited: Served) -> None:
    """It has time of its own."""
    before = limited.seen().get("afterwards", 0)
    assert limited.get("/afterwards", headers={deadline.HEADER: "200"}).status_code == 200
    wait_for("the work to be done", lambda: limited.seen().get("afterwards", 0) == before + 1, 5)


@pytest.mark.parametrize(
    "header", [b"soon", b"-5", b"1e3", b"99999999999999999999", b"\xb2", b"", b" ", b"0x10", b"1.5"]
)
def test_a_deadline_that_is_none_is_the_longest(limited: Served, header: bytes) -> None:
    """Never an error, and never longer than our own."""
    answer = said(
        limited, b"GET /id HTTP/1.1\r\nhost: app\r\n%s: %s\r\n\r\n" % (deadline.HEADER.encode(), header), ends=False
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    left = float(answer.partition(b'"left":')[2].partition(b",")[0])
    assert LIMITS.seconds - 1 < left <= LIMITS.seconds


def test_a_deadline_of_nothing_is_answered_without_work(limited: Served) -> None:
    """The caller has given up already."""
    before = limited.seen().get("waits", 0)
    assert limited.get("/waits/1", headers={deadline.HEADER: "0"}).status_code == 504
    assert limited.seen().get("waits", 0) == before


@pytest.mark.parametrize("given", [b"a\tb", b"\xff\xfe", b'"quoted"', b"x" * 129, b"two words", b""])
def test_an_id_that_is_none_is_made_new(limited: Served, given: bytes) -> None:
    """Nothing that a client sends reaches logs and answers as it likes."""
    answer = said(limited, b"GET /nowhere HTTP/1.1\r\nhost: app\r\nx-request-id: %s\r\n\r\n" % given, ends=False)
    identity = answer.partition(b'"request_id": "')[2].partition(b'"')[0]
    assert len(identity) == 32, answer
    assert int(identity, 16)


@pytest.mark.parametrize("url", ["/waits/%00", "/id?x=%00", "/waits/%ff", "/id?x=%ed%a0%80", "/%c3%28"])
def test_a_url_that_is_no_text_is_refused(limited: Served, url: str) -> None:
    """NUL, and what is not UTF-8, lone surrogates among it."""
    answer = said(limited, b"GET %s HTTP/1.1\r\nhost: app\r\n\r\n" % url.encode(), ends=False)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert PROBLEM.encode() in answer


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"quantity": 1}', 200),
        (b'{"quantity": 1, "note": "\\\\u0000"}', 200),
        (b'{"quantity": 1, "note": "\\u0000"}', 400),
        (b'{"quantity": 1, "note": "\xff"}', 400),
        (b'{"quantity": 1, "note": "\\ud800"}', 400),
        (b'{"quantity": 1, "note": "\\ud83e\\udeb4"}', 200),
        (b'{"quantity": ' + b"9" * 900 + b"}", 200),
        (b'{"quantity": 1e400}', 422),
        (b'{"quantity": NaN}', 422),
        (b"[" * 500, 400),
        (b'{"quantity": 1, "note": "' + b"[" * 500 + b'"}', 200),
        (b"{", 422),
        (b"", 422),
        (b"null", 422),
    ],
)
def test_a_body_that_is_malformed_is_the_clients_mistake(limited: Served, body: bytes, status: int) -> None:
    """And never ours."""
    answer = limited.request("POST", "/orders", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert status == 200 or answer.headers["content-type"] == PROBLEM


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", None, "nonsense"])
def test_a_body_of_another_kind_is_told_so(limited: Served, kind: str | None) -> None:
    """415, with what would be taken."""
    headers = {"content-type": kind} if kind else {}
    answer = limited.request("POST", "/orders", content=b'{"quantity": 1}', headers=headers)
    assert (answer.status_code, answer.headers["accept"]) == (415, "application/json")
    assert answer.headers["content-type"] == PROBLEM


def test_errors_of_a_middleware_are_problems_too(limited: Served) -> None:
    """Refusals as such, mistakes without what is inside."""
    grumpy, furious = limited.get("/grumpy"), limited.get("/furious")
    assert (grumpy.status_code, grumpy.json()["detail"]) == (403, "Not today.")
    assert furious.status_code == 500
    assert "hunter2" not in furious.text
    assert grumpy.headers["content-type"] == furious.headers["content-type"] == PROBLEM
    assert [line for line in limited.lines() if line["message"] == "unhandled" and "hunter2" in line["error"]]


def test_sigterm_under_load_loses_no_request(tmp_path: Path) -> None:
    """Whatever it has begun is answered; then it ends well, and in time.

    A client that sends on a kept connection in the moment in which that is closed has sent nothing: it may try again.
    """

    async def whole(application: Served) -> Counter[str]:
        met: Counter[str] = Counter()
        async with application.client() as client:

            async def ask() -> None:
                while True:
                    try:
                        met[str((await client.get("/waits/0.3")).status_code)] += 1
                    except (httpx.ConnectError, httpx.RemoteProtocolError):
                        return  # there is nobody any more

            asking = [asyncio.create_task(ask()) for _ in range(4)]
            await wait_until("load", lambda: _true(met["200"] >= 8))
            application.process.send_signal(signal.SIGTERM)
            outcomes = await asyncio.gather(*asking, return_exceptions=True)
            met.update(type(outcome).__name__ for outcome in outcomes if outcome is not None)
        return met

    with served(tmp_path, "limited") as application:
        met = asyncio.run(whole(application))
        assert application.process.wait(10) == 0
        began = sum(line["message"] == "waits" for line in application.lines())
    assert set(met) == {"200"}, met
    assert met["200"] == began


async def _true(answer: bool) -> bool:
    return answer
