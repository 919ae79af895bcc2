"""The half of telemetry that every request goes through where something is told; imported only there.

A trace that its beginner keeps is made of the SDK's spans. One that it does not keep is followed for a fraction of
their cost (``held``), and told only where it fails or is slow (docs/decisions/0012).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagate import extract, get_global_textmap, inject
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, TraceIdRatioBased
from opentelemetry.trace import StatusCode

from greenfield_kit.conventions import finish, measurement
from greenfield_kit.held import KINDS, Held, Late, Part, current
from greenfield_kit.measuring import Traced

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_PARENT, _STATE = "traceparent", "tracestate"
_AT_A_GLANCE = frozenset({_PARENT, _STATE})
_UNKEPT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f][02468ace]")
"""A trace that its beginner does not keep: https://www.w3.org/TR/trace-context/#traceparent-header"""
_NOBODYS = Context()
_NOBODY = f"00-{1:032x}-{1:016x}-00"


class Ids(RandomIdGenerator):
    """Ids at random; ``give`` says what the next trace of this thread is to be."""

    def __init__(self) -> None:
        self._given = threading.local()

    def give(self, trace_id: int) -> None:
        """The next trace begun in this thread gets this id."""
        self._given.trace_id = trace_id

    def generate_trace_id(self) -> int:
        """The one that was given, once; else another."""
        given: int = self._given.__dict__.pop("trace_id", 0)
        return given or super().generate_trace_id()


class Tracing:
    """Spans of one provider, whose ids come from ``ids``. Its sampler decides before a span is made.

    ``judged``: somebody after us keeps no more than a share of what is kept here, besides what fails or is slow.
    """

    def __init__(self, provider: TracerProvider, ids: Ids, late: Late, *, judged: bool = False) -> None:
        self._tracer = provider.get_tracer("greenfield_kit")
        self.late, self._judged = late, judged
        # One that follows no parent decides for each span anew: then the SDK makes all of them.
        self._sampler = provider.sampler if isinstance(provider.sampler, ParentBased) else None
        root = getattr(self._sampler, "_root", None)
        self._bound = root.bound if isinstance(root, TraceIdRatioBased) else None
        self._ids = ids
        self._names = tuple((name.encode(), name) for name in sorted(get_global_textmap().fields))
        self._by_parent = self._sampler is not None and any(name == _PARENT for _, name in self._names)

    def joining(self, headers: Mapping[bytes, bytes]) -> dict[str, str]:
        """Those of a request's headers, in lower case, by which it joins its caller's trace."""
        return {name: given.decode("latin-1") for raw, name in self._names if (given := headers.get(raw))}

    def begin(
        self, name: str, kind: str, attributes: Mapping[str, Any], carrier: Mapping[str, str] | None = None
    ) -> Held | Kept | None:
        """A span that begins now, to be ended or entered; None where nothing is to be traced."""
        joined = None
        if carrier is None:
            if (above := current.get()) is not None:
                return None if above is _UNTRACED else Held(name, kind, attributes, above.part, above)
        elif self._by_parent and carrier and carrier.keys() <= _AT_A_GLANCE:
            if found := _UNKEPT.fullmatch(carrier.get(_PARENT, "")):
                return Held(name, kind, attributes, Part(self.late, found[1], carrier, None), None)
            joined = extract(carrier)
        else:
            joined = extract(carrier) if carrier else _NOBODYS
        if trace_id := self._unkept(name, joined):
            return Held(name, kind, attributes, Part(self.late, f"{trace_id:032x}", carrier or {}, joined), None)
        return Kept(self, name, kind, attributes, joined)

    def span(
        self, name: str, kind: str, attributes: Mapping[str, Any], carrier: Mapping[str, str] | None
    ) -> AbstractContextManager[Held | Kept | None]:
        """The same around what is done inside."""
        return self.begin(name, kind, attributes, carrier) or nullcontext()

    def start(self, name: str, kind: str, attributes: Mapping[str, Any], joined: Context | None) -> trace.Span:
        """One of the SDK's spans."""
        return self._tracer.start_span(name, joined, KINDS[kind], attributes)

    def untraced(self) -> AbstractContextManager[None]:
        """Nothing that is done inside is traced."""
        return _Untraced()

    def stands_for(self, span: trace.Span, *, surely: bool) -> Traced | None:
        """What a value measured in a kept span stands for; ``surely``: it is kept whoever judges."""
        if not self.late.tells or (self._judged and not surely):
            return None
        found = span.get_span_context()
        return Traced(found.trace_id, found.span_id) if found.trace_flags.sampled else None

    def exemplar(self) -> Traced | None:
        """What a value measured now stands for, where that is kept."""
        if (held := current.get()) is not None:
            return None if held is _UNTRACED else held.traced()
        return self.stands_for(trace.get_current_span(), surely=False)

    def _unkept(self, name: str, joined: Context | None) -> int:
        """The trace at hand when it is not kept; 0 when it is, and a span of the SDK's is to be made.

        ``joined`` is the context of whoever asked; None stands for the present one. A trace that begins here is drawn
        for once: the span made for it gets the id that was drawn.
        """
        if self._sampler is None:
            return 0
        parent = trace.get_current_span(joined).get_span_context()
        if parent.is_valid:
            return 0 if parent.trace_flags.sampled else parent.trace_id
        trace_id = self._ids.generate_trace_id()
        if self._draws(trace_id, name):
            self._ids.give(trace_id)
            return 0
        return trace_id

    def _draws(self, trace_id: int, name: str) -> bool:
        """Whether a trace that begins here is kept; a share of all is told from the id alone, as the sampler does."""
        if self._bound is not None:
            return trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound
        assert self._sampler is not None
        return self._sampler.should_sample(None, trace_id, name).decision is not Decision.DROP

    def carried(self) -> dict[str, str]:
        """The headers by which a callee joins the trace at hand."""
        held = current.get()
        headers: dict[str, str] = {}
        if held is None or held.part.joined:
            inject(headers)
        if held is _UNTRACED:
            headers[_PARENT] = _NOBODY
        elif held is not None:
            headers[_PARENT] = f"00-{held.part.trace}-{held.span_id:016x}-00"
            headers[_STATE] = held.part.state(held.span_id)
        return headers

    def answered(self, answer: str) -> None:
        """What was called says by this header whether it keeps its part of the trace."""
        held = current.get()
        if held is not None and held is not _UNTRACED and answer.endswith("-01") and held.part.trace in answer:
            held.part.why = held.part.why or "callee"

    def trace_id(self) -> str:
        """That of the trace at hand, as 32 hexadecimal digits; empty outside one."""
        if (held := current.get()) is not None:
            return "" if held is _UNTRACED else held.part.trace
        context = trace.get_current_span().get_span_context()
        return f"{context.trace_id:032x}" if context.is_valid else ""


class Kept:
    """A span of the SDK's, measured when it ends."""

    __slots__ = ("_attributes", "_before", "_began", "_joined", "_kind", "_outside", "_span", "_tracing")

    def __init__(
        self, tracing: Tracing, name: str, kind: str, attributes: Mapping[str, Any], joined: Context | None
    ) -> None:
        self._tracing, self._kind, self._attributes, self._joined = tracing, kind, dict(attributes), joined
        self._span = tracing.start(name, kind, attributes, joined)
        self._began = time.perf_counter()

    def set_attribute(self, name: str, value: Any) -> None:
        """As the SDK's spans have it."""
        self._attributes[name] = value
        self._span.set_attribute(name, value)

    def update_name(self, name: str) -> None:
        """As the SDK's spans have it."""
        self._span.update_name(name)

    def answer(self) -> list[tuple[bytes, bytes]]:
        """Nothing: who asked keeps it, too."""
        return []

    def end(self, error: str = "") -> None:
        """Over, and measured."""
        seconds = time.perf_counter() - self._began
        if error:
            self._attributes["error.type"] = error
        failed = finish(self._kind, self._attributes)
        if kind := self._attributes.get("error.type"):
            self._span.set_attribute("error.type", kind)
        if failed:
            self._span.set_status(StatusCode.ERROR)
        if found := measurement(self._kind, self._attributes):
            surely = failed or seconds >= self._tracing.late.slow_s
            found.of(seconds, self._attributes, self._tracing.stands_for(self._span, surely=surely))
        self._span.end()

    def __enter__(self) -> Kept:
        self._before: Token[Held | None] = current.set(None)
        self._outside: Token[Context] = contexts.attach(trace.set_span_in_context(self._span, self._joined))
        return self

    def __exit__(self, _: type[BaseException] | None, exc: BaseException | None, __: TracebackType | None) -> None:
        contexts.detach(self._outside)
        current.reset(self._before)
        self.end(type(exc).__name__ if isinstance(exc, Exception) else "")


class _Untraced:
    """What is done inside belongs to no trace."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before: Token[Held | None] = current.set(_UNTRACED)

    def __exit__(self, *_: object) -> None:
        current.reset(self._before)


_UNTRACED = Held("", "internal", {}, Part(Late(Resource.get_empty(), None, float("inf")), "", {}, None), None)
