"""Proves that the gateway answers by TLS alone, and that its routes lead to the services they name.

Behind a firewall, that it answers nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from greenfield.components.gateway import Settings
from greenfield.components.gateway.local import door
from greenfield.model.binding import Leaf
from greenfield.model.plan import Edge, Resource
from greenfield.model.proof import Bench, Observation, Proof
from greenfield.programs.envoy import DENIED_HEADER, UPSTREAM_TIME_HEADER
from greenfield.programs.firewall import firewall
from greenfield.programs.knock import CLOSED, asked, connected


def grants(resource: Resource, edge: Edge, bench: Bench) -> list[Proof]:  # noqa: ARG001
    """None: no service uses the gateway."""
    return []


def refusals(resource: Resource, bench: Bench) -> list[Proof]:
    """That plaintext is refused; beside it, that each route reaches its service."""
    settings: Settings = resource.settings  # type: ignore[assignment]
    at = bench.site.ports[door(resource, bench.plan)]
    name = resource.name
    found = [Proof(f"plaintext at {name}", "plaintext", "anyone", name, "refused", partial(_plaintext, at))]
    if firewall(bench.plan) is not None:
        found.extend(_past_the_firewall(resource, bench, at))
    for prefix, service in settings.routes.items():
        attempt = partial(_routed, resource, bench, prefix)
        found.append(Proof(f"{name} routes {prefix} to {service}", "edge", name, service, "allowed", attempt))
    return found


def _past_the_firewall(resource: Resource, bench: Bench, at: tuple[str, int]) -> list[Proof]:
    name, shown = resource.name, partial(_shown, at, resource.settings.host)  # type: ignore[attr-defined]
    strangers: list[tuple[str, str, Callable[[], Leaf]]] = [
        ("another authority", "authority", bench.foreign_leaf),
        ("a stranger", "identity", bench.stranger_leaf),
        *(
            (service.name, "identity", partial(bench.service_leaf, service.name))
            for service in bench.plan.of_kind("service")
        ),
    ]
    return [
        Proof(f"{who} at {name}, past the firewall", category, who, name, "refused", partial(shown, leaf))
        for who, category, leaf in strangers
    ]


def _shown(at: tuple[str, int], host: str, leaf: Callable[[], Leaf]) -> Observation:
    try:
        answer = asked(connected(at, leaf()), "OPTIONS", "/", host)
    except CLOSED as exc:
        return Observation("refused", str(exc) or type(exc).__name__)
    return Observation("allowed", f"answered {answer.status if answer else 'nothing'}")


def _plaintext(at: tuple[str, int]) -> Observation:
    try:
        answer = asked(connected(at, None), "OPTIONS", "/", "localhost")
    except CLOSED as exc:
        return Observation("refused", str(exc) or type(exc).__name__)
    return Observation("allowed", f"answered {answer.status if answer else 'nothing'} in plaintext")


def _routed(resource: Resource, bench: Bench, prefix: str) -> Observation:
    settings: Settings = resource.settings  # type: ignore[assignment]
    shown = firewall(bench.plan) or resource
    connection = connected(bench.site.ports[door(resource, bench.plan)], bench.site.leaves[shown.name])
    answer = asked(connection, "OPTIONS", prefix, settings.host)
    assert answer is not None  # only an unfinished request has none
    reached = UPSTREAM_TIME_HEADER in answer.headers and DENIED_HEADER not in answer.headers
    through = reached and answer.status not in (502, 503, 504)
    return Observation("allowed" if through else "refused", f"OPTIONS {prefix} was answered {answer.status}")
