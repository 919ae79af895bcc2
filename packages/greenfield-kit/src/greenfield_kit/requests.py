"""What every request gets: an id, a deadline, and an answer when something breaks."""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextvars import ContextVar
from typing import TYPE_CHECKING

from greenfield_kit import deadline, telemetry
from greenfield_kit.conventions import method, span_name
from greenfield_kit.problems import problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from greenfield_kit.telemetry import Span

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
        if scope["path"].startswith("/health/"):  # asked all the time, and nobody's trace
            with telemetry.untraced():
                await self._answer(scope, receive, send, seconds)
            return
        with telemetry.span(span_name(scope["method"]), "server", _asked(scope), telemetry.joining(headers)) as span:
            try:
                await self._answer(scope, receive, _told(send, span), seconds)
            finally:
                _name(span, scope)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, seconds: float) -> None:
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


def _asked(scope: Scope) -> dict[str, str]:
    return {
        "http.request.method": method(scope["method"]),
        "url.path": scope["path"],
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
    }


def _name(span: Span | None, scope: Scope) -> None:
    """After the route that answered, once it is known: paths are too many to be names."""
    if span is not None and (route := getattr(scope.get("route"), "path", "")):
        span.set_attribute("http.route", route)
        span.update_name(span_name(scope["method"], route))


def _told(send: Send, span: Span | None) -> Send:
    """Sends, and writes the status into the span."""
    if span is None:
        return send

    async def telling(message: Message) -> None:
        if message["type"] == "http.response.start":
            span.set_attribute("http.response.status_code", message["status"])
            if more := span.answer():
                message["headers"] = [*message.get("headers", ()), *more]
        await send(message)

    return telling
