"""What every request gets: an id, a deadline, and an answer when something breaks."""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextvars import ContextVar
from typing import TYPE_CHECKING

from greenfield_kit import deadline
from greenfield_kit.problems import problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

request_id: ContextVar[str] = ContextVar("request_id", default="")
_LONGEST_ID = 128
log = logging.getLogger("greenfield_kit")


class Requests:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request within its deadline; anything else passes through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")[:_LONGEST_ID]
        request_id.set(given or uuid.uuid4().hex)
        seconds = deadline.begin(headers.get(deadline.HEADER.encode(), b"").decode("latin-1"))
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(seconds) as patience:
                await self.app(scope, receive, watched)
        except TimeoutError:
            if not patience.expired():
                raise
            log.warning("deadline passed", extra={"path": scope["path"], "seconds": seconds})
            if not begun:
                answer = problem(504, "The deadline passed", f"There was no answer within {seconds:g} s.")
                await answer(scope, receive, send)
