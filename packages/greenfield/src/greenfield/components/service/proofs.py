"""Proves who may call a service: those with an edge, what it accepts, and at each sidecar nobody else."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterable
from functools import partial

from greenfield.components.service import Settings
from greenfield.model.binding import Leaf
from greenfield.model.local import Site
from greenfield.model.plan import Edge, Member, Resource
from greenfield.model.proof import Bench, Observation, Outcome, Proof
from greenfield.programs.envoy import DENIED_HEADER, UPSTREAM_TIME_HEADER
from greenfield.programs.knock import CLOSED, Address, Answer, asked, first_open
from greenfield.programs.mesh import SLOTS, inbound, outbound

Request = tuple[str, str]
"""A method and a path."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
_OF_ALL: Request = ("OPTIONS", "/")
_NOWHERE = "greenfield-verify"  # a path that no application has
_UNAVAILABLE = frozenset({502, 503, 504})


def grants(resource: Resource, edge: Edge, bench: Bench) -> list[Proof]:
    """That all calls that it accepts come through from the caller's sidecar, and the nearest others do not."""
    if edge.access != "call":
        return []
    settings: Settings = resource.settings  # type: ignore[assignment]
    members = bench.plan.resource(edge.source).members
    call = partial(_called, partial(_outbound, bench.site, members, resource.name), resource.name)
    ends, every = (edge.source, resource.name), partial(_until, "refused", call, _declared(settings))
    found = [Proof(f"{edge.source} may call {resource.name}", "edge", *ends, "allowed", every)]
    if outside := _undeclared(settings):
        name = f"{edge.source} may not ask more of {resource.name}"
        found.append(Proof(name, "undeclared", *ends, "refused", partial(_until, "allowed", call, outside)))
    return found


def refusals(resource: Resource, bench: Bench) -> list[Proof]:
    """At every sidecar: plaintext, another authority, a stranger, every service and platform part without an edge."""
    callers = {edge.source for edge in bench.plan.edges_to(resource.name) if edge.access == "call"}
    others = [service.name for service in bench.plan.of_kind("service") if service.name not in callers]
    parts = [part.name for part in bench.plan.resources if part.kind != "service" and resource.name not in part.calls]
    asked_for = _declared(resource.settings)  # type: ignore[arg-type]
    found: list[Proof] = []
    for member in resource.members:
        knock = partial(_knocked, bench.site, member, asked_for)
        found += [
            _refused("plaintext", "plaintext", "anyone", member, partial(_heard, bench.site, member, None)),
            _refused(
                "another authority",
                "authority",
                "anyone",
                member,
                partial(_heard, bench.site, member, bench.foreign_leaf),
            ),
            _refused("an undeclared service", "identity", "stranger", member, partial(knock, bench.stranger_leaf)),
        ]
        found += [
            _refused(name, "undeclared", name, member, partial(knock, partial(bench.service_leaf, name)))
            for name in others
        ]
        found += [
            _refused(name, "undeclared", name, member, partial(knock, partial(bench.site.leaves.__getitem__, name)))
            for name in parts
            if name in bench.site.leaves
        ]
    return found


def _refused(who: str, category: str, source: str, member: Member, attempt: Callable[[], Observation]) -> Proof:
    target = member.name.rpartition("-")[0]
    return Proof(f"{who} at {member.name}", category, source, target, "refused", attempt)


def _declared(settings: Settings) -> list[Request]:
    """Requests that the service takes from its callers."""
    return [(method, _below(path)) for method, path in settings.requests] or [_OF_ALL]


def _undeclared(settings: Settings) -> list[Request]:
    """The nearest requests that the service does not take: other methods, and other paths; none where it takes all."""
    near: list[Request] = []
    for method, path in settings.requests:
        near += [(other, _below(path)) for other in _METHODS]
        near += [(method, beside) for beside in _beside(path)]
    return [request for request in dict.fromkeys(near) if not settings.takes(*request)]


def _below(path: str) -> str:
    """A path of those that an accepted one stands for."""
    return f"{path[:-1]}{_NOWHERE}" if path.endswith("*") else path


def _beside(path: str) -> Iterable[str]:
    """What is below an accepted path, below the one above it, and so on."""
    steps = path.rstrip("*").strip("/").split("/")
    for kept in range(len(steps), -1, -1):
        yield "/".join(["", *steps[:kept], _NOWHERE])


def _outbound(site: Site, members: Iterable[Member], callee: str) -> list[Address]:
    """Where the sidecars of a caller take calls to a service, in either slot."""
    return [outbound(site, member.name, slot, callee) for member in members for slot in SLOTS]


def _until(outcome: Outcome, call: Callable[[Request], Observation], requests: Iterable[Request]) -> Observation:
    """The first of the calls that comes to that; else the last."""
    for request in requests:
        if (met := call(request)).outcome == outcome:
            break
    return met


def _called(doors: Callable[[], list[Address]], service: str, request: Request) -> Observation:
    return _asked(first_open(doors(), None), service, request)


def _knocked(site: Site, member: Member, requests: Iterable[Request], leaf: Callable[[], Leaf]) -> Observation:
    """Whether any of the requests comes through at a sidecar from who shows this leaf."""
    shown, service = leaf(), member.name.rpartition("-")[0]

    def knock(request: Request) -> Observation:
        return _unless_closed(lambda: _asked(first_open(_inbound(site, member), shown), service, request))

    return _until("allowed", knock, requests)


def _heard(site: Site, member: Member, leaf: Callable[[], Leaf] | None) -> Observation:
    """Whether a sidecar answers at all who shows this leaf, or none in plaintext: no denial may come so late."""

    def hear() -> Observation:
        answer = asked(first_open(_inbound(site, member), leaf() if leaf else None), *_OF_ALL, "localhost")
        return Observation("allowed", f"answered {answer.status if answer else 'nothing'}")

    return _unless_closed(hear)


def _unless_closed(attempt: Callable[[], Observation]) -> Observation:
    """A refusal where the connection is closed on the way; where nobody listens nothing was proved."""
    try:
        return attempt()
    except ConnectionRefusedError:
        raise
    except CLOSED as exc:
        return Observation("refused", str(exc) or type(exc).__name__)


def _inbound(site: Site, member: Member) -> list[Address]:
    """Where a sidecar takes calls, in either slot."""
    return [site.ports[inbound(member.name, slot)] for slot in SLOTS]


def _asked(connection: socket.socket, service: str, request: Request) -> Observation:
    method, path = request
    unfinished = method not in _SAFE
    answer = asked(connection, method, path, service, unfinished=unfinished, headers=_traced())
    return _judged(answer, f"{method} {path}", unfinished=unfinished)


def _traced() -> dict[str, str]:
    """Asks for a span, whatever share of the traces is kept otherwise. Format: W3C Trace Context."""
    return {"traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"}


def _judged(answer: Answer | None, request: str, *, unfinished: bool) -> Observation:
    """Envoy tells how long the program took for requests alone that were whole before the answer."""
    if answer is None:
        return Observation("allowed", f"{request} was let through, and broken off before it was whole")
    outcome: Outcome = "allowed"
    told = f"{request} was answered {answer.status}"
    if DENIED_HEADER in answer.headers:
        outcome, told = "refused", f"{request} was denied by the sidecar"
    elif answer.status in _UNAVAILABLE or not (unfinished or UPSTREAM_TIME_HEADER in answer.headers):
        outcome = "refused"
    return Observation(outcome, told)
