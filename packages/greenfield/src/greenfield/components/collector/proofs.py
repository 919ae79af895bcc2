"""Proves who may send spans and series: every service that is declared, and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from greenfield.model.binding import Leaf
from greenfield.model.plan import Edge, Resource
from greenfield.model.proof import Bench, Observation, Proof
from greenfield.programs.knock import CLOSED, Address, asked, connected, greeted
from greenfield.programs.telemetry import BUILDING, OPENTELEMETRY, metrics_port, otlp_port


def grants(resource: Resource, edge: Edge, bench: Bench) -> list[Proof]:  # noqa: ARG001
    """None: no edge leads to a collector, since every service may send."""
    return []


def refusals(resource: Resource, bench: Bench) -> list[Proof]:
    """That nobody sends in plaintext, by another authority, or undeclared, and that no service reads what others told.

    Beside that, that every service is let in.
    """
    found: list[Proof] = []
    for member in resource.members:
        door, window, target = otlp_port(member.name), metrics_port(member.name), resource.name
        told = partial(_told, bench, bench.site.ports[door])
        read = partial(_read, bench, bench.site.ports[window])
        found += [*_strangers(door, target, told, bench), *_strangers(window, target, read, bench)]
        for service in bench.plan.of_kind("service"):
            name, leaf = service.name, partial(bench.service_leaf, service.name)
            found.append(Proof(f"{name} at {door}", "telemetry", name, target, "allowed", partial(told, leaf)))
            found.append(Proof(f"{name} at {window}", "identity", name, target, "refused", partial(read, leaf)))
    return found


Attempt = Callable[[Callable[[], Leaf] | None], Observation]


def _strangers(where: str, target: str, attempt: Attempt, bench: Bench) -> list[Proof]:
    def refused(who: str, category: str, source: str, leaf: Callable[[], Leaf] | None) -> Proof:
        return Proof(f"{who} at {where}", category, source, target, "refused", partial(attempt, leaf))

    return [
        refused("plaintext", "plaintext", "anyone", None),
        refused("another authority", "authority", "anyone", bench.foreign_leaf),
        refused("an undeclared service", "identity", "stranger", bench.stranger_leaf),
    ]


def _told(bench: Bench, at: Address, leaf: Callable[[], Leaf] | None) -> Observation:
    if OPENTELEMETRY.name in bench.site.late:
        return BUILDING
    why = greeted(at, leaf() if leaf else None)
    return Observation("refused", why) if why else Observation("allowed", "the collector took the connection")


def _read(bench: Bench, at: Address, leaf: Callable[[], Leaf] | None) -> Observation:
    if OPENTELEMETRY.name in bench.site.late:
        return BUILDING
    try:
        answer = asked(connected(at, leaf() if leaf else None), "GET", "/metrics", "localhost")
    except CLOSED as exc:
        return Observation("refused", str(exc) or type(exc).__name__)
    status = answer.status if answer else 0
    return Observation("allowed" if status == 200 else "refused", f"GET /metrics was answered {status}")
