"""How a service reaches what it uses: the same names at both ends, text and references."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from greenfield.model.content import Content, Secret
from greenfield.model.plan import Resource


@dataclass(frozen=True)
class Binding:
    """What a user of a part gets, before the ``<NAME>`` in front.

    ``url`` becomes ``<NAME>_URL``; ``parts`` maps the suffixes of DESIGN §2 (``HOST``, ``PORT``, ``TLS_CA`` …) to
    their values.
    """

    url: Content
    parts: Mapping[str, Content]


def joined(one: Binding, other: Binding) -> Binding:
    """One binding for several accesses to the same thing: a consumer that also produces."""
    return Binding(one.url, {**one.parts, **other.parts})


@dataclass(frozen=True)
class Leaf:
    """Paths of a certificate as its user sees them. ``pem`` holds key and certificate in one file; empty: none does."""

    ca: str
    certificate: str
    key: str
    pem: str


@dataclass(frozen=True)
class Credential:
    """A generated password: as a reference for a URL, and the file that holds it as its user sees it."""

    secret: Secret
    file: str


class Where(Protocol):
    """What a binding may ask of a target. Locally these are loopback addresses, on Kubernetes service names."""

    def address(self, resource: Resource, port: str) -> tuple[str, int]:
        """Host and port of a resource's entry, by the component's own name for the port."""
        ...

    def addresses(self, resource: Resource, port: str) -> tuple[tuple[str, int], ...]:
        """Host and port of every member, in order."""
        ...

    def leaf(self, service: str, resource: Resource) -> Leaf:
        """The certificate with which a service shows itself to a resource, and the authority to trust there."""
        ...

    def credential(self, service: str, resource: Resource) -> Credential:
        """The password of a service at a resource of a kind without certificate login."""
        ...

    def outbound(self, service: str, callee: str) -> tuple[Content, Mapping[str, Content]]:
        """URL and parts with which a service calls another, through its own sidecar."""
        ...
