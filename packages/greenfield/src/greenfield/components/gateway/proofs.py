"""Proves that the gateway answers by TLS alone, and that its routes lead to the services they name."""

from __future__ import annotations

from functools import partial

from greenfield.components.gateway import Settings, https_port
from greenfield.model.plan import Edge, Resource
from greenfield.model.proof import Bench, Observation, Proof
from greenfield.programs.envoy import DENIED_HEADER, UPSTREAM_TIME_HEADER
from greenfield.programs.knock import CLOSED, asked, connected


def grants(resource: Resource, edge: Edge, bench: Bench) -> list[Proof]:  # noqa: ARG001
    """None: no service uses the gateway."""
    return []


def refusals(resource: Resource, bench: Bench) -> list[Proof]:
    """That plaintext is refused; beside it, that each route reaches its service."""
    settings: Settings = resource.settings  # type: ignore[assignment]
    at = bench.site.ports[https_port(resource)]
    name = resource.name
    found = [Proof(f"plaintext at {name}", "plaintext", "anyone", name, "refused", partial(_plaintext, at))]
    for prefix, service in settings.routes.items():
        attempt = partial(_routed, resource, bench, prefix)
        found.append(Proof(f"{name} routes {prefix} to {service}", "edge", name, service, "allowed", attempt))
    return found


def _plaintext(at: tuple[str, int]) -> Observation:
    try:
        answer = asked(connected(at, None), "OPTIONS", "/", "localhost")
    except CLOSED as exc:
        return Observation("refused", str(exc) or type(exc).__name__)
    return Observation("allowed", f"answered {answer.status if answer else 'nothing'} in plaintext")


def _routed(resource: Resource, bench: Bench, prefix: str) -> Observation:
    settings: Settings = resource.settings  # type: ignore[assignment]
    connection = connected(bench.site.ports[https_port(resource)], bench.site.leaves[resource.name])
    answer = asked(connection, "OPTIONS", prefix, settings.host)
    assert answer is not None  # only an unfinished request has none
    reached = UPSTREAM_TIME_HEADER in answer.headers and DENIED_HEADER not in answer.headers
    through = reached and answer.status not in (502, 503, 504)
    return Observation("allowed" if through else "refused", f"OPTIONS {prefix} was answered {answer.status}")
