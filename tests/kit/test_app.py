"""What every application of the kit answers, whatever its own code does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from greenfield_kit import deadline
from greenfield_kit.app import Service
from greenfield_kit.connections import Wiring, WiringError
from greenfield_kit.correlation import request_id


class Order(BaseModel):
    """A body."""

    quantity: int


def application(service: Service) -> FastAPI:
    """Routes that succeed, break, and take their time."""
    app = service.app()

    @app.get("/id")
    async def identity() -> dict[str, str]:
        return {"id": request_id.get(), "left": f"{deadline.left():.1f}"}

    @app.post("/orders")
    async def order(body: Order) -> Order:
        return body

    @app.get("/gone")
    async def gone() -> None:
        raise HTTPException(404, "There is no such thing.")

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("password is hunter2")

    @app.get("/slow")
    async def slow() -> None:
        await asyncio.Event().wait()

    return app


def asked(method: str, path: str, service: Service | None = None, **options: object) -> httpx.Response:
    """One request, in this process."""
    app = application(service or Service("shop"))

    async def story() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.request(method, path, **options)  # type: ignore[arg-type]

    return asyncio.run(story())


@pytest.fixture(autouse=True)
def quiet_logs() -> object:
    """The kit writes JSON to standard output; tests want the root logger as it was."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], root.level = before


def test_a_request_id_is_taken_over_or_made() -> None:
    """So that one request can be found in the logs of all services."""
    assert asked("GET", "/id", headers={"x-request-id": "abc"}).json()["id"] == "abc"
    assert len(asked("GET", "/id").json()["id"]) == 32


def test_a_deadline_is_taken_over_but_never_longer_than_our_own() -> None:
    """What callers have no patience for is not worked on."""
    assert asked("GET", "/id", headers={deadline.HEADER: "2000"}).json()["left"] == "2.0"
    assert asked("GET", "/id", headers={deadline.HEADER: "999999"}).json()["left"] == f"{deadline.DEFAULT_S:.1f}"
    assert asked("GET", "/id", headers={deadline.HEADER: "soon"}).json()["left"] == f"{deadline.DEFAULT_S:.1f}"


def test_what_takes_longer_than_its_deadline_is_broken_off() -> None:
    """With a problem, and the handler cancelled."""
    answer = asked("GET", "/slow", headers={deadline.HEADER: "20"})
    assert answer.status_code == 504
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/gone", 404), ("GET", "/nowhere", 404), ("GET", "/broken", 500), ("DELETE", "/orders", 405)],
)
def test_every_error_is_a_problem_that_tells_nothing_of_the_inside(method: str, path: str, status: int) -> None:
    """RFC 9457, with the request id to look for in the log."""
    answer = asked(method, path, headers={"x-request-id": "abc"})
    body = answer.json()
    assert answer.status_code == body["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["request_id"] == "abc"
    assert "hunter2" not in answer.text


def test_a_wrong_body_is_told_with_its_place() -> None:
    """And without what was sent."""
    answer = asked("POST", "/orders", json={"quantity": "a secret"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["at"] == "body/quantity"
    assert "a secret" not in answer.text


def failing(after: float = 0.0) -> Callable[[], Awaitable[None]]:
    """A connection that is away."""

    async def check() -> None:
        await asyncio.sleep(after)
        raise ConnectionError("no route to 10.0.0.1")

    return check


def test_alive_is_not_ready() -> None:
    """A service without its database lives, is not ready, and does not tell where the database is."""
    service = Service("shop")
    service._keep("ledger", failing(), failing())
    assert asked("GET", "/health/live", service).status_code == 200
    answer = asked("GET", "/health/ready", service)
    assert answer.status_code == 503
    assert answer.json()["connections"] == {"ledger": "ConnectionError"}
    assert "10.0.0.1" not in answer.text


def test_what_is_not_needed_may_be_away() -> None:
    """Readiness tells it, and is ready."""
    service = Service("shop")
    service._keep("ledger", failing(), failing(), needed=False)
    service._keep("archive", failing(after=60), failing(), needed=False)  # hangs, and nobody waits for it
    answer = asked("GET", "/health/ready", service, headers={deadline.HEADER: "1500"})
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "connections": {"ledger": "ConnectionError", "archive": "TimeoutError"}}


def test_wiring_that_is_not_there_says_how_to_get_it() -> None:
    """The variable, the name and the remedy."""
    with pytest.raises(WiringError, match=r"LEDGER_STORE_URL is not set.*uses.*greenfield run"):
        Wiring("ledger-store", {})["URL"]
    assert "secret" not in repr(Wiring("ledger", {"LEDGER_URL": "secret"}))
