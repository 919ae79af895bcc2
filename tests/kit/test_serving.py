"""An application in the process of its tests."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI, Request, Response

from greenfield_kit.testing.serving import StartupError, serving


def application(told: list[str]) -> FastAPI:
    """One that tells when it begins and ends, and counts in between."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        told.append("begun")
        beating = asyncio.create_task(beat())
        yield
        beating.cancel()
        told.append("ended")

    beats = asyncio.Semaphore(0)

    async def beat() -> None:
        while True:
            await asyncio.sleep(0)
            beats.release()

    app = FastAPI(lifespan=lifespan)

    @app.post("/echo")
    async def echo(request: Request) -> Response:
        return Response(gzip.compress(await request.body()), headers={"content-encoding": "gzip", "x-a": "1"})

    @app.get("/beats")
    async def beaten() -> None:
        await beats.acquire()

    @app.get("/broken")
    async def broken() -> None:
        raise LookupError("nothing here")

    return app


def test_it_begins_answers_and_ends() -> None:
    """Bodies and headers are what the application made them, and what it does besides goes on between requests."""
    told: list[str] = []
    with serving(application(told)) as client:
        assert told == ["begun"]
        answer = client.post("/echo", content=b"hello")
        assert (answer.status_code, answer.content, answer.headers["x-a"]) == (200, b"hello", "1")
        assert client.get("/beats").status_code == 200
        assert client.get("/nowhere").status_code == 404
    assert told == ["begun", "ended"]
    assert "serving" not in {thread.name for thread in threading.enumerate()}


def test_what_it_raises_is_raised_to_who_asked() -> None:
    """A test sees the mistake, not a 500; and the application ends all the same."""
    told: list[str] = []
    with serving(application(told)) as client, pytest.raises(LookupError, match="nothing here"):
        client.get("/broken")
    assert told == ["begun", "ended"]


def test_one_that_cannot_begin_says_why() -> None:
    """Whether it raises or refuses."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        raise OSError("no such host")
        yield

    with pytest.raises(StartupError, match="no such host"), serving(FastAPI(lifespan=lifespan)):
        pass


def test_one_that_knows_no_lifespan_is_served() -> None:
    """As servers do: then there is nothing to begin."""

    async def bare(scope: object, receive: object, send: object) -> None:
        assert isinstance(scope, dict)
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 204, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body"})  # type: ignore[operator]

    with serving(bare) as client:
        assert client.get("/").status_code == 204
