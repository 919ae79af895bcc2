"""What every request gets: an id, a deadline, its turn, and an answer when something breaks or is too much."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote_to_bytes

from starlette.exceptions import HTTPException

from greenfield_kit import correlation, deadline, telemetry
from greenfield_kit.bodies import Body, ClientGoneError, Held
from greenfield_kit.conventions import method, span_name
from greenfield_kit.limits import RETRY_AFTER_S, Admission, Limits
from greenfield_kit.problems import MEDIA_TYPE, broken, problem, refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from greenfield_kit.telemetry import Span

    Bound = Callable[[float], AbstractContextManager[Any]]

WATCHED_AFTER_S = 0.1  # a request this old is worth asking whether its client is still there
AFTERWARDS_S = deadline.DEFAULT_S  # for what is done once the client has its answer
_DEADLINE, _ID = deadline.HEADER.encode(), correlation.HEADER.encode()
_HEALTH = "/health/"
_BUSY: list[tuple[bytes, bytes]] = [
    (b"content-type", MEDIA_TYPE.encode()),
    (b"retry-after", b"%d" % RETRY_AFTER_S),
]
log = logging.getLogger("greenfield_kit")


class Requests:
    """ASGI middleware around the whole application. ``bounds`` hold drivers to the seconds of a request."""

    def __init__(self, app: ASGIApp, limits: Limits | None = None, bounds: Sequence[Bound] = ()) -> None:
        self.app = app
        self.limits = limits or Limits()
        self._bounds = bounds
        self._admission = Admission(self.limits)
        self._held = Held(self.limits.bodies_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request within its limits; anything else passes through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        correlation.request_id.set(correlation.accepted(headers.get(_ID)))
        health = scope["path"].startswith(_HEALTH)
        if not health and self._admission.is_overloaded():
            await _turn_away(send)
            return
        at_hand, token = deadline.begin(deadline.asked(headers.get(_DEADLINE), self.limits.seconds))
        exchange = _Exchange(scope, Body(receive, headers, self.limits, may_have=_may_have_body(scope, headers)), send)
        try:
            if health:  # asked all the time: nobody's trace, and never turned away
                with telemetry.untraced():
                    await self._worked_on(exchange, at_hand)
            elif await self._received(exchange):
                await self._taken(exchange, headers, at_hand)
        finally:
            exchange.close()
            deadline.end(token)

    async def _received(self, exchange: _Exchange) -> bool:
        """Whether it may be worked on: its URL and its body can be read. If not, it is answered."""
        scope, body = exchange.scope, exchange.body
        if body.ended and b"%" not in scope["raw_path"] and b"%" not in scope["query_string"]:
            return True
        try:
            _check_url(scope)
            body.check_length()
            if body.is_read_before:
                await body.read(self._held)
        except HTTPException as error:
            await refused(error)(scope, body, exchange.send)
            return False
        except ClientGoneError:
            return False
        return True

    async def _taken(self, exchange: _Exchange, headers: Mapping[bytes, bytes], at_hand: deadline.Deadline) -> None:
        if deadline.left() <= 0:
            await exchange.too_late(0.0)
            return
        if not (self._admission.enters() or await self._admission.enters_later()):
            await _turn_away(exchange.send)
            return
        try:
            scope = exchange.scope
            with telemetry.span(
                span_name(scope["method"]), "server", _asked(scope), telemetry.joining(headers)
            ) as exchange.span:
                try:
                    await self._worked_on(exchange, at_hand)
                except Exception as error:  # noqa: BLE001 - the outermost of the application: nobody else would answer
                    await exchange.fail(error)
                finally:
                    _name(exchange.span, scope)
        finally:
            self._admission.leave()

    async def _worked_on(self, exchange: _Exchange, at_hand: deadline.Deadline) -> None:
        """The application's answer, or 504; its work is cancelled when the deadline passes or the client has gone."""
        seconds = exchange.begin(at_hand)
        try:
            if not self._bounds:
                await self.app(exchange.scope, exchange.body, exchange.send)
                return
            with ExitStack() as held:
                for bound in self._bounds:
                    held.enter_context(bound(seconds))
                await self.app(exchange.scope, exchange.body, exchange.send)
        except asyncio.CancelledError:
            if not await exchange.was_cut_off(seconds):
                raise


class _Exchange:
    """One request and its answer, as far as they have come.

    One timer looks at it, first when it is old enough to ask whether its client is still there: most never are.
    """

    __slots__ = ("_begun", "_cut", "_deadline", "_done", "_send", "_task", "_timer", "_watch", "body", "scope", "span")

    def __init__(self, scope: Scope, body: Body, send: Send) -> None:
        self.scope = scope
        self.body = body
        self.span: Span | None = None
        self._send = send
        self._begun = self._done = False
        self._cut: Literal["", "late", "left"] = ""
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None

    def begin(self, at_hand: deadline.Deadline) -> float:
        """From now on the application works on it; the seconds it has."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._deadline = at_hand
        self._task = asyncio.current_task()
        self._timer = loop.call_at(min(at_hand.ends_at, now + WATCHED_AFTER_S), self._look)
        return at_hand.ends_at - now

    async def send(self, message: Message) -> None:
        """Sends, and tells the span. Once all is sent nobody waits any more: what is still done has its own time."""
        if message["type"] == "http.response.start":
            self._begun = True
            if self.span is not None:
                self.span.set_attribute("http.response.status_code", message["status"])
                if more := self.span.answer():
                    message["headers"] = [*message.get("headers", ()), *more]
        elif not message.get("more_body", False):
            self._done = True
            if self._task is not None:
                self._deadline.ends_at = asyncio.get_running_loop().time() + AFTERWARDS_S
        await self._send(message)

    async def fail(self, error: Exception) -> None:
        """500, unless the answer has begun. Logged in its trace."""
        if self.span is not None:
            self.span.set_attribute("error.type", type(error).__name__)
        if not self._begun:
            await broken(error, self.scope["path"])(self.scope, self.body, self.send)

    async def too_late(self, seconds: float) -> None:
        """504, unless the answer has begun."""
        log.warning("deadline passed", extra={"path": self.scope["path"], "seconds": round(seconds, 3)})
        if not self._begun:
            answer = problem(504, "The deadline passed", f"There was no answer within {seconds:g} s.")
            await answer(self.scope, self.body, self.send)

    async def was_cut_off(self, seconds: float) -> bool:
        """Whether it was cancelled from here, and is over with that; who waited too long is told."""
        if not self._cut or self._task is None:
            return False
        self._task.uncancel()
        if self._cut == "late":
            await self.too_late(seconds)
        else:
            log.info("client has gone", extra={"path": self.scope["path"]})
        return True

    def close(self) -> None:
        """Nobody looks any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
            self.body.close()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now, ends_at = loop.time(), self._deadline.ends_at
        if now >= ends_at:
            self._cut_off("late")
            return
        if self._watch is None and self.body.ended and not self._done:
            self._watch = asyncio.create_task(self._watched())
        again = ends_at if self.body.ended else min(ends_at, now + WATCHED_AFTER_S)
        self._timer = loop.call_at(again, self._look)

    async def _watched(self) -> None:
        await self.body.gone()
        if not self._done:
            self._cut_off("left")

    def _cut_off(self, why: Literal["late", "left"]) -> None:
        if not self._cut and self._task is not None:
            self._cut = why
            self._task.cancel()


async def _turn_away(send: Send) -> None:
    """503 in as few steps as there can be: it is what there is most of when there is too much."""
    body = (
        b'{"type": "about:blank", "title": "Too busy", "status": 503, "detail": "More comes than can be answered.", '
        b'"request_id": "%s"}' % correlation.request_id.get().encode()
    )
    headers = [*_BUSY, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _may_have_body(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    if b"content-length" in headers:
        return headers[b"content-length"] != b"0"
    return b"transfer-encoding" in headers or scope["http_version"] not in {"1", "1.0", "1.1"}


def _check_url(scope: Scope) -> None:
    """400 for a URL that is not text: it would reach the application as something else than was sent."""
    try:
        text = unquote_to_bytes(scope["raw_path"]).decode() + unquote_to_bytes(scope["query_string"]).decode()
    except UnicodeDecodeError as exc:
        raise HTTPException(400, "The URL is not UTF-8.") from exc
    if "\0" in text:
        raise HTTPException(400, "The URL has a NUL character in it.")


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
