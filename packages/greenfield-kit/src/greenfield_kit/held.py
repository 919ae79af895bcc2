"""Spans of traces that nobody keeps: held for as long as their request lasts, told if it turns out to matter.

A process holds its own part of a trace, and decides on that when the part's first span ends: it is told if anything in
it failed or was slow, or if somebody it called says so of its own part. The latter is told in the answer, so that the
whole way from the edge to the fault is there, and each knows its parent by an entry of its own in ``tracestate``:
sidecars between them change ``traceparent``, and tell no spans of what is not kept.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from greenfield_kit.conventions import finish, measurement
from greenfield_kit.measuring import Traced

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor

KINDS: Mapping[str, SpanKind] = {kind.name.lower(): kind for kind in SpanKind}
MOST_SPANS = 128  # of one part: what it does beyond that is not held
ENTRY = "greenfield"  # in tracestate: the span of the kit that asked
LONGEST_STATE = 512  # of what others had to say: it goes on whole, or not at all
ANSWER = "traceresponse"  # https://w3c.github.io/trace-context/#traceresponse-header
KEPT = "greenfield.kept"  # why the part is there, at its first span
_STATE = re.compile(rf"(?:^|,)\s*{ENTRY}=([0-9a-f]{{16}})\s*(?:,|$)")
_SCOPE = InstrumentationScope("greenfield_kit")

Why = Literal["error", "slow", "callee"]
current: ContextVar[Held | None] = ContextVar("held", default=None)


class Late:
    """Tells spans after all. ``processor`` is None where no spans are told; ``slow_s`` is what counts as slow."""

    def __init__(self, resource: Resource, processor: SpanProcessor | None, slow_s: float) -> None:
        self._resource, self._processor, self.slow_s = resource, processor, slow_s

    @property
    def tells(self) -> bool:
        """Whether what is kept goes anywhere."""
        return self._processor is not None

    def tell(self, held: Held) -> None:
        """Hands a span to whoever sends."""
        if self._processor is None:
            return
        trace_id, parent = int(held.part.trace, 16), held.parent_id
        failed = finish(held.kind, held.attributes)
        span = ReadableSpan(
            name=held.name,
            context=_context(trace_id, held.span_id),
            parent=_context(trace_id, parent) if parent else None,
            resource=self._resource,
            attributes=held.attributes,
            kind=KINDS[held.kind],
            status=Status(StatusCode.ERROR) if failed else Status(StatusCode.UNSET),
            start_time=held.began_ns,
            end_time=held.began_ns + int(held.seconds * 1e9),
            instrumentation_scope=_SCOPE,
        )
        self._processor.on_end(span)


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


class Part:
    """What of one trace happens in one request here. ``carrier``: the headers of whoever asked; may be empty."""

    __slots__ = ("_carrier", "_first", "_spans", "joined", "late", "trace", "why")

    def __init__(self, late: Late, trace: str, carrier: Mapping[str, str], joined: Context | None) -> None:
        self.late, self.trace, self.joined = late, trace, joined
        self.why: Why | None = None
        self._carrier = carrier
        self._spans: list[Held] | None = []  # None when it is over

    @property
    def asker(self) -> int:
        """The span of the kit that asked, or 0: what others do not keep would be a parent that is not there."""
        found = _STATE.search(self._carrier.get("tracestate", ""))
        return int(found[1], 16) if found else 0

    def state(self, span_id: int) -> str:
        """What goes on as ``tracestate``: this process first, and what others had to say."""
        others = self._carrier.get("tracestate", "")
        if not others or len(others) > LONGEST_STATE:
            return f"{ENTRY}={span_id:016x}"
        rest = [each for each in others.split(",") if each.strip() and not each.strip().startswith(f"{ENTRY}=")]
        return ",".join((f"{ENTRY}={span_id:016x}", *rest))

    def ended(self, span: Held) -> None:
        """One of its spans is over; with the first of them, the whole part is."""
        if self._spans is None:  # it went on by itself
            if self.why is not None:
                self.late.tell(span)
            return
        if len(self._spans) < MOST_SPANS or span.above is None:
            self._spans.append(span)
        if span.above is None:
            spans, self._spans = self._spans, None
            if self.why is not None:
                span.attributes[KEPT] = self.why
                for each in spans:
                    self.late.tell(each)


class Held:
    """A span that is not made yet. ``above`` is the one it is in; None for the first of a part."""

    __slots__ = (
        *("_before", "_began", "_id", "_outside"),
        *("above", "attributes", "began_ns", "kind", "name", "part", "seconds"),
    )

    def __init__(self, name: str, kind: str, attributes: Mapping[str, Any], part: Part, above: Held | None) -> None:
        self.name, self.kind, self.attributes, self.part, self.above = name, kind, dict(attributes), part, above
        self._id, self.seconds = 0, 0.0
        self.began_ns, self._began = time.time_ns(), time.perf_counter()

    @property
    def span_id(self) -> int:
        """Drawn when somebody wants to know it."""
        if not self._id:
            self._id = random.getrandbits(63) + 1
        return self._id

    @property
    def parent_id(self) -> int:
        """That of the span it is in, or of whoever asked; 0 where there is none to be found."""
        if self.above is not None:
            return self.above.span_id
        return 0 if self.kind == "consumer" else self.part.asker  # who sent a message does not hear how it went

    def set_attribute(self, name: str, value: Any) -> None:
        """As the SDK's spans have it."""
        self.attributes[name] = value

    def update_name(self, name: str) -> None:
        """As the SDK's spans have it."""
        self.name = name

    def answer(self) -> list[tuple[bytes, bytes]]:
        """Headers that tell the caller to keep its part, where it is known by now that this one is kept."""
        part = self.part
        if finish(self.kind, self.attributes):
            part.why = part.why or "error"
        elif time.perf_counter() - self._began >= part.late.slow_s:
            part.why = part.why or "slow"
        if part.why is None or not part.late.tells:
            return []
        return [(ANSWER.encode(), f"00-{part.trace}-{self.span_id:016x}-01".encode())]

    def traced(self) -> Traced | None:
        """What a measured value stands for, if that is kept."""
        part = self.part
        return Traced(int(part.trace, 16), self.span_id) if part.why is not None and part.late.tells else None

    def end(self, error: str = "") -> None:
        """Over, measured, and decided on if it is the first of its part."""
        self.seconds = time.perf_counter() - self._began
        if error:
            self.attributes["error.type"] = error
        part = self.part
        failed = finish(self.kind, self.attributes)
        if part.why is None and (failed or self.seconds >= part.late.slow_s):
            part.why = "error" if failed else "slow"
        if found := measurement(self.kind, self.attributes):
            found.of(self.seconds, self.attributes, self.traced())
        part.ended(self)

    def __enter__(self) -> Held:
        self._before: Token[Held | None] = current.set(self)
        if self.above is None and self.part.joined:
            self._outside: Token[Context] = contexts.attach(self.part.joined)
        return self

    def __exit__(self, _: type[BaseException] | None, exc: BaseException | None, __: TracebackType | None) -> None:
        if self.above is None and self.part.joined:
            contexts.detach(self._outside)
        current.reset(self._before)
        self.end(type(exc).__name__ if isinstance(exc, Exception) else "")
