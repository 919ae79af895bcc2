"""Proofs: one thing tried on the running platform, and what was seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from greenfield.model.binding import Leaf
from greenfield.model.local import ClientTls, Site
from greenfield.model.plan import Edge, Plan, Resource

Outcome = Literal["allowed", "refused"]


@dataclass(frozen=True)
class Observation:
    """What an attempt met; ``detail`` says what was seen.

    ``outcome`` is None where this target does not enforce it, or, with ``skipped``, where it cannot be tried yet.
    """

    outcome: Outcome | None
    detail: str
    skipped: bool = False


@dataclass(frozen=True)
class Proof:
    """One attempt.

    ``category`` is the family in the report: ``edge``, ``undeclared``, ``plaintext``, ``authority``, ``identity``,
    ``telemetry``, and of the machine itself ``port``, ``secret``, ``file``.
    """

    name: str
    category: str
    source: str
    target: str
    expected: Outcome
    attempt: Callable[[], Observation]


class Bench(Protocol):
    """What a proof may use: the site, and leaves made for the occasion."""

    @property
    def plan(self) -> Plan:
        """The plan that runs."""
        ...

    @property
    def site(self) -> Site:
        """Where it runs."""
        ...

    def foreign_leaf(self) -> Leaf:
        """A leaf of an authority that nobody here trusts, with a service's subject; its ``ca`` is the real bundle."""
        ...

    def stranger_leaf(self) -> Leaf:
        """A valid leaf of the services' authority for a service that is not declared."""
        ...

    def service_leaf(self, service: str) -> Leaf:
        """The leaf of a declared service."""
        ...


class Proofs(Protocol):
    """The ``proofs`` module of a component."""

    def grants(self, resource: Resource, edge: Edge, bench: Bench) -> list[Proof]:
        """That an edge works and gives no more than its access."""
        ...

    def refusals(self, resource: Resource, bench: Bench) -> list[Proof]:
        """That plaintext, a foreign authority, a wrong identity, and every service without an edge are refused."""
        ...


def client_tls(leaf: Leaf, server_name: str = "localhost", ca: str = "") -> ClientTls:
    """A leaf as a client shows it; ``ca``: the bundle to trust instead of the leaf's own authority's."""
    return ClientTls(ca=ca or leaf.ca, certificate=leaf.certificate, key=leaf.key, server_name=server_name)
