"""The same handlers on plain FastAPI and on the kit, for benchmarks that give them more than they can do.

``answers`` is as small as it may be. ``works`` is a usual request: 5 ms at a store, of which 20 connections are had,
and 1 ms of its own. ``computes`` is 2 ms of its own, without a pause.
"""

from __future__ import annotations

import asyncio
import time

from fastapi import FastAPI
from pydantic import BaseModel

from greenfield_kit.app import Service

STORE_S, OWN_S, POOL = 0.005, 0.001, 20

plain = FastAPI()
kit = Service("laden").app()


class Answer(BaseModel):
    """A small one."""

    number: int
    words: str = "as small as an answer may be"


def compute(seconds: float) -> None:
    """Work of this thread's own: processor time, whoever else is busy here."""
    ends = time.thread_time() + seconds
    while time.thread_time() < ends:
        pass


def laden(app: FastAPI) -> None:
    """Gives an application the handlers."""
    pool = asyncio.Semaphore(POOL)

    @app.get("/health/live")
    async def alive() -> dict[str, bool]:
        """Lives."""
        return {"alive": True}

    @app.get("/answers/{number}")
    async def answer(number: int) -> Answer:
        """Nothing but the way there and back."""
        return Answer(number=number)

    @app.get("/works/{number}")
    async def works(number: int) -> Answer:
        """A store, then work."""
        async with pool:
            await asyncio.sleep(STORE_S)
        compute(OWN_S)
        return Answer(number=number)

    @app.get("/computes/{number}")
    async def computes(number: int) -> Answer:
        """Work alone."""
        compute(2 * OWN_S)
        return Answer(number=number)


for each in (plain, kit):
    laden(each)
