"""Answers at once, late, with an error, or that there is nothing."""

from __future__ import annotations

import asyncio
import logging

from fastapi import HTTPException

from greenfield_kit.app import Service

SLOW_S = 1.05  # a little more than the platform takes for slow

service = Service("answerer")
app = service.app()
log = logging.getLogger("answerer")


@app.get("/fine")
async def fine() -> dict[str, str]:
    """At once."""
    return {"answer": "fine"}


@app.get("/late")
async def late() -> dict[str, str]:
    """Late."""
    await asyncio.sleep(SLOW_S)
    return {"answer": "late"}


@app.get("/broken")
async def broken() -> None:
    """Not at all."""
    log.warning("about to break")
    raise RuntimeError("it is broken")


@app.get("/nothing")
async def nothing() -> None:
    """That there is nothing is no fault."""
    raise HTTPException(404, "There is nothing.")
