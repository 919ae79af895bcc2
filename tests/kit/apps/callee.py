"""One that is called: it answers, fails, or takes its time as the path says, and counts."""

from __future__ import annotations

import asyncio
from collections import Counter

from fastapi import Request, Response

from greenfield_kit import deadline
from greenfield_kit.app import Service

app = Service("callee").app()
seen: Counter[str] = Counter()


@app.get("/count")
async def count() -> dict[str, int]:
    """How often each path was asked for, and how its work ended."""
    return dict(seen)


@app.api_route("/ok", methods=["GET", "POST"])
async def ok() -> dict[str, float]:
    """At once, with what is left of the deadline."""
    seen["/ok"] += 1
    return {"left": deadline.left()}


@app.api_route("/busy", methods=["GET", "POST"])
async def busy() -> Response:
    """Never ready."""
    seen["/busy"] += 1
    return Response(status_code=503)


@app.get("/busy-once/{key}")
async def busy_once(key: str) -> Response:
    """Ready a second after it was first asked for."""
    seen[key] += 1
    return Response(status_code=503, headers={"retry-after": "1"}) if seen[key] == 1 else Response("now")


@app.get("/slow-once/{key}")
async def slow_once(key: str) -> dict[str, int]:
    """The first answer never comes, the second at once."""
    seen[key] += 1
    if seen[key] == 1:
        await never(f"{key} cancelled")
    return {"answered": seen[key]}


@app.get("/hangs")
async def hangs() -> None:
    """Works until it is told to stop."""
    seen["/hangs"] += 1
    await never("cancelled")


@app.get("/echo")
async def echo(request: Request) -> dict[str, str]:
    """The headers that came."""
    return dict(request.headers)


async def never(ended: str) -> None:
    """Waits, and notes that it was broken off."""
    try:
        await asyncio.Event().wait()
    finally:
        seen[ended] += 1
