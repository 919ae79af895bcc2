"""The bench on which proofs are tried: the running site, and leaves made for the occasion."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from greenfield.model.binding import Leaf
from greenfield.model.local import LeafClaim, Site
from greenfield.model.plan import Plan, service_identity
from greenfield.targets.local.pki import Pki

STRANGER = "nobody-declared-"
"""Whom a certificate of `verify` names that nobody declared. No service can have this name: it is no DNS label."""


@dataclass(frozen=True)
class Workbench:
    """A ``Bench`` on this machine; its leaves are gone with ``folder``."""

    plan: Plan
    site: Site
    foreign: Leaf
    stranger: Leaf
    folder: Path = field(repr=False)

    def foreign_leaf(self) -> Leaf:
        """As a declared service would look, signed by an authority of another platform of the same name."""
        return self.foreign

    def stranger_leaf(self) -> Leaf:
        """Signed by the right authority, for a service that nobody declared."""
        return self.stranger

    def service_leaf(self, service: str) -> Leaf:
        """What the service itself holds."""
        return self.site.leaves[service]


@contextmanager
def workbench(plan: Plan, site: Site, pki: Path) -> Iterator[Workbench]:
    """A bench for a running platform; ``pki`` is the folder of its authorities."""
    folder = Path(tempfile.mkdtemp(prefix="greenfield-verify-"))
    try:
        real, other = Pki(pki, plan.name), Pki(folder / "other", plan.name)
        stranger = real.issue(_claim(plan, STRANGER), folder / "stranger")
        services = [part.name for r in plan.resources for part in r.parts if part.kind == "service"]
        made = other.issue(_claim(plan, services[0] if services else STRANGER), folder / "foreign")
        foreign = Leaf(stranger.ca, made.certificate, made.key, made.pem)
        yield Workbench(plan, site, foreign, stranger, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _claim(plan: Plan, name: str) -> LeafClaim:
    return LeafClaim(name=name, common_name=name, identity=service_identity(plan.name, name), unit="service")
