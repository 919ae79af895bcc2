"""Calling other services, through this service's own sidecar where there is one.

The deadline, the request id and the trace travel along. What may be repeated is tried again while deadline and budget
last; a callee that hangs costs few calls at a time, each no longer than its deadline.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict
from urllib.parse import urlsplit

import aiohttp

from greenfield_kit import conventions, correlation, deadline, telemetry
from greenfield_kit.circuit import HUNG_S, Circuit
from greenfield_kit.connections import Wiring
from greenfield_kit.errors import UnavailableError
from greenfield_kit.retries import IDEMPOTENT, TRIES, WORTH, Budget, pause, retry_after
from greenfield_kit.turns import Turns

if TYPE_CHECKING:
    from typing import Unpack

AT_ONCE = 40  # calls of one service: well below what an application takes on, so that others have their turn
WAITING, WAIT_S = 20, 0.5  # how many more wait for their turn, and how long
CONNECT_S = 1.0
KEPT_S = 50.0  # an idle connection; below the 60 s after which a sidecar closes it
RENEWED_S = 60.0  # a pool of TCP connections, so that replicas that came later get their share


class CalleeError(UnavailableError):
    """The other service cannot be reached, or is left alone for a moment because it failed again and again."""


class CalleeTimeoutError(CalleeError):
    """The other service did not answer within the deadline."""

    status: ClassVar[int] = 504


@dataclass(frozen=True)
class Answer:
    """What another service answered, whole."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON; ValueError where it is none."""
        return json.loads(self.content)


class Options(TypedDict, total=False):
    """What a request may have besides its method and path."""

    params: Mapping[str, str | int | Sequence[str | int]]
    json: Any
    content: bytes
    headers: Mapping[str, str]
    idempotent: bool
    """Whether it may be repeated; else its method says so."""
    hedge_after: float
    """Seconds without an answer after which a second one is sent, if it may be repeated and the budget allows."""


@dataclass(frozen=True)
class _Call:
    method: str
    path: str
    options: Mapping[str, Any]
    headers: Mapping[str, str]
    repeatable: bool


@dataclass(frozen=True)
class _Outcome:
    """One try: an answer, or an error and whether the request certainly never left."""

    answer: Answer | None = None
    error: CalleeError | None = None
    unsent: bool = False

    def given(self) -> Answer:
        """The answer; raises the error."""
        if self.answer is not None:
            return self.answer
        assert self.error is not None
        raise self.error


class Client:
    """Calls one service. Safe to be shared by all requests of a process; connects with the first call."""

    def __init__(self, name: str, *, at_once: int = AT_ONCE, budget: Budget | None = None) -> None:
        wiring = Wiring(name)
        self.name = name
        self.budget = budget or Budget()
        self.circuit = Circuit()
        self._turns = Turns(at_once, WAITING)
        self._url = wiring["URL"].rstrip("/")
        parts = urlsplit(self._url)
        self._host, self._port = parts.hostname or "", parts.port
        self._socket = wiring.get("UDS")
        self._session: aiohttp.ClientSession | None = None
        self._renew_at = 0.0
        self._closing: set[asyncio.Task[None]] = set()

    async def get(self, path: str, **options: Unpack[Options]) -> Answer:
        """GET a path."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Unpack[Options]) -> Answer:
        """POST to a path; repeated only where ``idempotent`` says that it may be, or it was certainly not sent."""
        return await self.request("POST", path, **options)

    async def request(self, method: str, path: str, **options: Unpack[Options]) -> Answer:
        """The answer, whatever its status; CalleeError where there is none before the deadline."""
        given = dict(options)
        repeatable = bool(given.pop("idempotent", method in IDEMPOTENT))
        hedge_after = given.pop("hedge_after", None)
        headers: Any = given.pop("headers", {})
        if "content" in given:
            given["data"] = given.pop("content")
        call = _Call(method, path, given, headers, repeatable)
        self.budget.pay_in()
        if hedge_after is None or not repeatable:
            return (await self._tried(call)).given()
        return (await self._hedged(call, float(hedge_after))).given()  # type: ignore[arg-type]

    async def close(self) -> None:
        """Ends its connections."""
        for leaving in self._closing:
            leaving.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _hedged(self, call: _Call, after: float) -> _Outcome:
        first = asyncio.create_task(self._tried(call))
        tries = {first}
        try:
            done, _ = await asyncio.wait(tries, timeout=after)
            if done or not self.budget.take():
                return await first
            tries.add(asyncio.create_task(self._tried(call)))
            waiting = tries
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                found = done.pop().result()
                if not waiting or (found.answer is not None and found.answer.status_code not in WORTH):
                    return found
            raise AssertionError("unreachable")
        finally:
            for each in tries:
                each.cancel()
            await asyncio.gather(*tries, return_exceptions=True)

    async def _tried(self, call: _Call) -> _Outcome:
        attempt = 1
        while True:
            outcome = await self._once(call, attempt - 1)
            wait = self._worth_another(call, outcome, attempt)
            if wait is None:
                return outcome
            await asyncio.sleep(wait)
            attempt += 1

    def _worth_another(self, call: _Call, outcome: _Outcome, attempt: int) -> float | None:
        """The seconds after which it is tried again; None where it is not."""
        if attempt == TRIES or not (call.repeatable or outcome.unsent):
            return None
        wait = pause(attempt)
        if outcome.answer is not None:
            if outcome.answer.status_code not in WORTH:
                return None
            wait = max(wait, retry_after(outcome.answer.headers) or 0.0)
        elif isinstance(outcome.error, CalleeTimeoutError) or self.circuit.is_open:
            return None
        return wait if wait < deadline.granted() and self.budget.take() else None

    async def _once(self, call: _Call, resent: int) -> _Outcome:
        if deadline.granted() <= 0:
            return _Outcome(error=CalleeTimeoutError(f"no time is left to call {self.name}"))
        if not self.circuit.allows():
            return _Outcome(error=CalleeError(f"{self.name} failed again and again, and is left alone for a moment"))
        if not self._turns.try_take() and not await self._turns.take(min(WAIT_S, deadline.granted())):
            return _Outcome(error=CalleeError(f"too many calls of {self.name} wait for their answers"))
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            outcome = await self._traced(call, resent)
        finally:
            self._turns.give_back()
        self._judge(outcome, loop.time() - began)
        return outcome

    def _judge(self, outcome: _Outcome, took: float) -> None:
        """An answer closes the circuit. A caller's impatience does not open it, nor a callee that says it is busy."""
        late = isinstance(outcome.error, CalleeTimeoutError)
        if outcome.answer is not None and outcome.answer.status_code == CalleeTimeoutError.status:
            late = True
        if took >= HUNG_S if late else outcome.error is not None:
            self.circuit.failed()
        elif not late:
            self.circuit.succeeded()

    async def _traced(self, call: _Call, resent: int) -> _Outcome:
        facts = conventions.call(call.method, self._host, self._port, self._url + call.path.partition("?")[0], resent)
        with telemetry.span(conventions.span_name(call.method), "client", facts) as span:
            outcome = await self._sent(call)
            if outcome.answer is not None:
                telemetry.answered(outcome.answer.headers)
            if span is not None:
                _tell(span, outcome)
        return outcome

    async def _sent(self, call: _Call) -> _Outcome:
        granted = deadline.granted()
        patience = asyncio.timeout((granted + deadline.left()) / 2)  # the callee's own word may still come
        headers = {
            deadline.HEADER: str(int(granted * 1000)),
            correlation.HEADER: correlation.request_id.get(),
            **telemetry.carried(),
            **call.headers,
        }
        try:
            async with (
                patience,
                self._opened().request(
                    call.method, self._url + call.path, headers=headers, allow_redirects=False, **call.options
                ) as got,
            ):
                return _Outcome(Answer(got.status, got.headers, await got.read()))
        except TimeoutError as exc:
            if not patience.expired():
                return self._unreachable(exc, unsent=isinstance(exc, aiohttp.ConnectionTimeoutError))
            return _Outcome(error=_from(CalleeTimeoutError(f"{self.name} did not answer within {granted:.3f} s"), exc))
        except aiohttp.ClientError as exc:
            return self._unreachable(exc, unsent=isinstance(exc, aiohttp.ClientConnectorError))

    def _unreachable(self, cause: Exception, *, unsent: bool) -> _Outcome:
        reason = str(cause) or type(cause).__name__
        return _Outcome(error=_from(CalleeError(f"{self.name} cannot be reached: {reason}"), cause), unsent=unsent)

    def _opened(self) -> aiohttp.ClientSession:
        """The pool at hand. One of TCP connections is left to itself after a while, and another one made."""
        now = asyncio.get_running_loop().time()
        if self._session is not None and (self._socket or now < self._renew_at):
            return self._session
        if self._session is not None:
            leaving = asyncio.create_task(_left(self._session))
            self._closing.add(leaving)
            leaving.add_done_callback(self._closing.discard)
        self._renew_at = now + RENEWED_S
        connector: aiohttp.BaseConnector
        if self._socket:
            connector = aiohttp.UnixConnector(self._socket, limit=0, keepalive_timeout=KEPT_S)
        else:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_S, ttl_dns_cache=5)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
        )
        return self._session


def _tell(span: telemetry.Span, outcome: _Outcome) -> None:
    if outcome.answer is not None:
        span.set_attribute("http.response.status_code", outcome.answer.status_code)
    else:
        span.set_attribute("error.type", type(outcome.error).__name__)


def _from(error: CalleeError, cause: BaseException) -> CalleeError:
    error.__cause__ = cause
    return error


async def _left(session: aiohttp.ClientSession) -> None:
    """Closed when what is under way on it has ended, at its deadline at the latest."""
    try:
        await asyncio.sleep(deadline.DEFAULT_S)
    finally:
        await session.close()
