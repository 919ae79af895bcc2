"""A service to be called, for tests of those who call it."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI, Request, Response

app = FastAPI()
counts: dict[str, int] = {}


@app.api_route("/echo", methods=["GET", "POST"])
async def echo(request: Request) -> dict[str, Any]:
    """What arrived."""
    return {
        "method": request.method,
        "query": dict(request.query_params),
        "body": (await request.body()).decode(),
        "deadline": "x-request-timeout-ms" in request.headers or any("deadline" in name for name in request.headers),
        "kind": request.headers.get("x-kind"),
    }


@app.api_route("/busy/{key}", methods=["GET", "POST"])
async def busy(key: str) -> Response:
    """Busy the first time."""
    counts[key] = counts.get(key, 0) + 1
    return Response(str(counts[key]), 503 if counts[key] == 1 else 200)


@app.get("/slow")
async def slow() -> None:
    """Never answers."""
    await asyncio.Event().wait()


@app.get("/moved")
async def moved() -> Response:
    """Sends elsewhere."""
    return Response(status_code=307, headers={"location": "/echo"})
