"""One with small limits, for everything that is too much."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from greenfield_kit import deadline
from greenfield_kit.app import Service
from greenfield_kit.limits import AtMost, Limits

log = logging.getLogger(__name__)
seen: Counter[str] = Counter()
LIMITS = Limits(seconds=5.0, body_bytes=1000, body_s=0.5, at_once=4, waiting=4, wait_s=0.2, lag_s=0.01, hiccup_s=0.1)
app: FastAPI = Service("limited").app(LIMITS)


class Order(BaseModel):
    """A body."""

    quantity: int
    note: str = ""


class Grumpy:
    """A middleware of the application's own, which refuses by itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One path is refused, one breaks it."""
        if scope.get("path") == "/grumpy":
            raise HTTPException(403, "Not today.")
        if scope.get("path") == "/furious":
            raise RuntimeError("the password is hunter2")
        await self.app(scope, receive, send)


app.add_middleware(Grumpy)


@app.get("/count")
async def count() -> dict[str, int]:
    """What has happened."""
    return dict(seen)


@app.get("/id")
async def identity(request: Request) -> dict[str, object]:
    """What is left of the deadline."""
    return {"left": deadline.left(), "host": request.headers.get("host")}


@app.post("/orders")
async def order(body: Order) -> Order:
    """A body that is parsed."""
    return body


@app.post("/upload")
async def upload(request: Request) -> dict[str, int]:
    """A body that streams."""
    return {"bytes": sum([len(chunk) async for chunk in request.stream()])}


@app.get("/waits/{seconds}")
async def waits(seconds: float) -> dict[str, bool]:
    """Takes its time, as one does that asks a store."""
    seen["waits"] += 1
    log.info("waits")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        seen["cancelled"] += 1
        raise
    return {"waited": True}


@app.get("/computes")
async def computes() -> dict[str, bool]:
    """Works for 2 ms without a pause."""
    ends = time.perf_counter() + 0.002
    while time.perf_counter() < ends:
        pass
    return {"computed": True}


@app.get("/dear", dependencies=[Depends(AtMost(1))])
async def dear() -> dict[str, bool]:
    """One at a time."""
    await asyncio.sleep(0.5)
    return {"done": True}


@app.get("/afterwards")
async def afterwards(tasks: BackgroundTasks) -> dict[str, bool]:
    """Answers, then works on for longer than the caller would have waited."""
    tasks.add_task(later)
    return {"answered": True}


async def later() -> None:
    """The work that follows."""
    await asyncio.sleep(0.5)
    seen["afterwards"] += 1
