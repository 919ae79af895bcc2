"""Proves who may call a service: those with an edge, what it accepts, and at each sidecar nobody else."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from functools import partial

from greenfield.components.service import Settings
from greenfield.model.binding import Leaf
from greenfield.model.local import Site
from greenfield.model.plan import Edge, Member, Resource
from greenfield.model.proof import Bench, Observation, Outcome, Proof
from greenfield.programs.envoy import DENIED_HEADER, UPSTREAM_TIME_HEADER
from greenfield.programs.knock import CLOSED, Address, Answer, asked, connected, first_open
from greenfield.programs.mesh import SLOTS, inbound, outbound

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_NOWHERE = "/greenfield-verify"  # a path that no application has
_UNAVAILABLE = frozenset({502, 503, 504})


def grants(resource: Resource, edge: Edge, bench: Bench) -> list[Proof]:
    """That a call comes through from the caller's sidecar, and, where the service narrows it, nothing else does."""
    if edge.access != "call":
        return []
    settings: Settings = resource.settings  # type: ignore[assignment]
    members = bench.plan.resource(edge.source).members
    method, path = _declared(settings)
    call = partial(_called, partial(_outbound, bench.site, members, resource.name), resource.name, method, path)
    found = [Proof(f"{edge.source} may call {resource.name}", "edge", edge.source, resource.name, "allowed", call)]
    if outside := _undeclared(settings):
        attempt = partial(_called, partial(_outbound, bench.site, members, resource.name), resource.name, *outside)
        name = f"{edge.source} may not ask {' '.join(outside)} of {resource.name}"
        found.append(Proof(name, "undeclared", edge.source, resource.name, "refused", attempt))
    return found


def refusals(resource: Resource, bench: Bench) -> list[Proof]:
    """At every sidecar: plaintext, another authority, a stranger, every service and platform part without an edge."""
    callers = {edge.source for edge in bench.plan.edges_to(resource.name) if edge.access == "call"}
    others = [service.name for service in bench.plan.of_kind("service") if service.name not in callers]
    parts = [part.name for part in bench.plan.resources if part.kind != "service" and resource.name not in part.calls]
    found: list[Proof] = []
    for member in resource.members:
        knock = partial(_knocked, bench.site, member, resource.name)
        found += [
            _refused("plaintext", "plaintext", "anyone", member, partial(knock, None)),
            _refused("another authority", "authority", "anyone", member, partial(knock, bench.foreign_leaf)),
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


def _declared(settings: Settings) -> tuple[str, str]:
    """A request that the service takes from its callers; one that changes nothing, where there is such a one."""
    if not settings.requests:
        return "OPTIONS", "/"
    method, path = min(settings.requests, key=lambda request: request[0] not in _SAFE)
    return method, f"{path[:-1]}{_NOWHERE[1:]}" if path.endswith("*") else path


def _undeclared(settings: Settings) -> tuple[str, str] | None:
    """A request that the service does not take; None where it takes all."""
    if not settings.requests:
        return None
    for method in ("GET", "OPTIONS", "DELETE", "PATCH"):
        taken = [path for declared, path in settings.requests if declared == method]
        if not any(path == _NOWHERE or (path.endswith("*") and _NOWHERE.startswith(path[:-1])) for path in taken):
            return method, _NOWHERE
    return None


def _outbound(site: Site, members: Iterable[Member], callee: str) -> list[Address]:
    """Where the sidecars of a caller take calls to a service, in either slot."""
    return [outbound(site, member.name, slot, callee) for member in members for slot in SLOTS]


def _called(doors: Callable[[], list[Address]], service: str, method: str, path: str) -> Observation:
    connection = first_open(doors(), None)
    answer = asked(connection, method, path, service, unfinished=method not in _SAFE, headers=_traced())
    return _judged(answer, f"{method} {path}")


def _knocked(site: Site, member: Member, service: str, leaf: Callable[[], Leaf] | None) -> Observation:
    shown = leaf() if leaf else None
    nobody: OSError | None = None
    for slot in SLOTS:
        try:
            connection = connected(site.ports[inbound(member.name, slot)], shown)
            return _judged(asked(connection, "OPTIONS", "/", service, headers=_traced()), "OPTIONS /")
        except ConnectionRefusedError as exc:
            nobody = exc
        except CLOSED as exc:
            return Observation("refused", str(exc) or type(exc).__name__)
    raise nobody or ConnectionRefusedError(member.name)


def _traced() -> dict[str, str]:
    """Asks for a span, whatever share of the traces is kept otherwise. Format: W3C Trace Context."""
    return {"traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"}


def _judged(answer: Answer | None, request: str) -> Observation:
    if answer is None:
        return Observation("allowed", f"{request} was let through, and broken off before it was whole")
    outcome: Outcome = "allowed"
    told = f"{request} was answered {answer.status}"
    if DENIED_HEADER in answer.headers:
        outcome, told = "refused", f"{request} was denied by the sidecar"
    elif answer.status in _UNAVAILABLE or UPSTREAM_TIME_HEADER not in answer.headers:
        outcome = "refused"
    return Observation(outcome, told)
