"""The half of telemetry that every request goes through where something is traced; imported only there.

A trace that is not kept is followed for a fraction of what a span costs: its ids go on, and nothing else is made.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagate import extract, get_global_textmap, inject
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, TraceIdRatioBased

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

_PARENT = "traceparent"
_UNKEPT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f][02468ace]")
"""A trace that its beginner does not keep: https://www.w3.org/TR/trace-context/#traceparent-header"""
_NOBODYS = Context()
_NOBODY = f"00-{1:032x}-{1:016x}-00"
_KINDS: Mapping[str, trace.SpanKind] = {kind.name.lower(): kind for kind in trace.SpanKind}

_following: ContextVar[str] = ContextVar("following", default="")  # the header of the trace at hand if it is not kept


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
    """Spans of one provider, whose ids come from ``ids``. Its sampler decides before a span is made."""

    def __init__(self, provider: TracerProvider, ids: Ids) -> None:
        self.tracer = provider.get_tracer("greenfield_kit")
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

    def span(
        self, name: str, kind: str, attributes: Mapping[str, Any], carrier: Mapping[str, str] | None
    ) -> AbstractContextManager[Span | None]:
        """A span around what is done inside, or None where its trace is not kept."""
        if carrier is not None and self._by_parent and len(carrier) == 1:
            given = carrier.get(_PARENT, "")  # what most requests bring is read at a glance
            if _UNKEPT.fullmatch(given):
                return _Following(given)
        joined = None if carrier is None else extract(carrier) if carrier else _NOBODYS
        if unkept := self.unkept(name, joined):
            return _Following(unkept, joined)
        return self._kept(name, kind, attributes, joined)

    def untraced(self) -> AbstractContextManager[None]:
        """Nothing that is done inside is traced."""
        return _Following(_NOBODY)

    def unkept(self, name: str, joined: Context | None = None) -> str:
        """The header to go on with when the trace at hand is not kept; empty when it is, and a span is to be made.

        ``joined`` is the context of whoever asked; None stands for the present one. A trace that begins here is drawn
        for once: the span made for it gets the id that was drawn.
        """
        if self._sampler is None:
            return ""
        if joined is None and (following := _following.get()):
            return following
        parent = trace.get_current_span(joined).get_span_context()
        if parent.is_valid:
            return "" if parent.trace_flags.sampled else _header(parent.trace_id, parent.span_id)
        trace_id = self._ids.generate_trace_id()
        if self._draws(trace_id, name):
            self._ids.give(trace_id)
            return ""
        return _header(trace_id, self._ids.generate_span_id())

    def _draws(self, trace_id: int, name: str) -> bool:
        """Whether a trace that begins here is kept; a share of all is told from the id alone, as the sampler does."""
        if self._bound is not None:
            return trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound
        assert self._sampler is not None
        return self._sampler.should_sample(None, trace_id, name).decision is not Decision.DROP

    def carried(self) -> dict[str, str]:
        """The headers by which a callee joins the trace at hand."""
        headers: dict[str, str] = {}
        inject(headers)
        if following := _following.get():
            headers[_PARENT] = following
        return headers

    def trace_id(self) -> str:
        """That of the trace at hand, as 32 hexadecimal digits; empty outside one."""
        if following := _following.get():
            return "" if following == _NOBODY else following.split("-")[1]
        context = trace.get_current_span().get_span_context()
        return f"{context.trace_id:032x}" if context.is_valid else ""

    @contextmanager
    def _kept(
        self, name: str, kind: str, attributes: Mapping[str, Any], joined: Context | None
    ) -> Iterator[Span | None]:
        with (
            _Following("", joined),
            self.tracer.start_as_current_span(name, joined, _KINDS[kind], attributes, record_exception=False) as begun,
        ):
            try:
                yield begun
            except Exception as exc:
                begun.set_attribute("error.type", type(exc).__name__)
                raise


def _header(trace_id: int, span_id: int) -> str:
    return f"00-{trace_id:032x}-{span_id:016x}-00"


class _Following:
    """What is done inside belongs to the trace of that header, which is not kept, and to the joined context."""

    __slots__ = ("_before", "_header", "_joined", "_outside")

    def __init__(self, header: str, joined: Context | None = None) -> None:
        self._header, self._joined = header, joined

    def __enter__(self) -> None:
        self._before: Token[str] = _following.set(self._header)
        if self._joined:
            self._outside: Token[Context] = contexts.attach(self._joined)

    def __exit__(self, *_: object) -> None:
        if self._joined:
            contexts.detach(self._outside)
        _following.reset(self._before)
