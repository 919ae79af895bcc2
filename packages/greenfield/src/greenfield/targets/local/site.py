"""Fulfils what the components of a plan claim of this machine."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from greenfield.errors import DefectError, UnsupportedError
from greenfield.model.component import Catalogue, LocalSide
from greenfield.model.local import (
    Awaited,
    Claim,
    DigestClaim,
    LeafClaim,
    PortClaim,
    PythonClaim,
    SecretClaim,
    Site,
    ToolClaim,
)
from greenfield.model.plan import Plan, Resource
from greenfield.model.tool import Installation, Tool
from greenfield.targets.local import secrets
from greenfield.targets.local.digests import digest
from greenfield.targets.local.paths import StatePaths
from greenfield.targets.local.pki import VALIDITY, Pki
from greenfield.targets.local.ports import Address, Ports
from greenfield.targets.local.pythons import Pythons
from greenfield.targets.local.where import bindings

CALLER = ("PATH", "HOME", "LANG", "TZ")
"""What a process keeps of the environment of the `up` that started it."""

Kind = TypeVar("Kind", bound=Claim)


@dataclass(frozen=True)
class Late:
    """A tool that is not waited for: where it is, or will be. ``awaited`` is None where it is there."""

    installation: Installation
    awaited: Awaited | None = None


@dataclass(frozen=True)
class Host:
    """This machine, as far as one platform on it goes.

    ``cache`` is shared by all platforms of this user. ``obtain`` finds or fetches programs; ``begin`` finds late ones,
    or has them made behind (None: they are waited for like all others). ``remembered`` are the ports of earlier runs;
    ``is_ours`` tells of a pid whether it is one of this platform's processes; ``new_ports``
    asks for others where a stranger sits on a remembered one. ``leaf_life`` is that of certificates issued now.
    """

    paths: StatePaths
    cache: Path
    environment: Mapping[str, str]
    obtain: Callable[[Iterable[Tool]], Mapping[str, Installation]]
    remembered: Mapping[str, Address] = field(default_factory=dict)
    is_ours: Callable[[int], bool] = lambda _: False
    new_ports: bool = False
    begin: Callable[[Iterable[Tool]], Mapping[str, Late]] | None = None
    leaf_life: dt.timedelta = VALIDITY

    @property
    def ports(self) -> Ports:
        """The choice of ports, with the reservations of all platforms of this user."""
        return Ports(self.paths.home, self.cache / "ports.json", self.is_ours)


def runnable(plan: Plan, catalogue: Catalogue, *, telemetry_declared: bool) -> tuple[Plan, str]:
    """The plan without telemetry that nobody asked for and that cannot run here yet, and a warning that says so.

    Raises UnsupportedError, listing every kind of the rest that cannot run here yet.
    """
    unbuilt = {resource.kind for resource in plan.resources if catalogue[resource.kind].local() is None}
    left_out = set() if telemetry_declared else set(_telemetry(plan, catalogue))
    if not unbuilt & {plan.resource(name).kind for name in left_out}:
        left_out = set()
    refused = [r for r in plan.resources if r.kind in unbuilt and r.name not in left_out]
    if refused:
        kinds = ", ".join(dict.fromkeys(f"{resource.kind} ({resource.name})" for resource in refused))
        raise UnsupportedError(
            f"{plan.name} cannot run on this machine yet, because these kinds cannot: {kinds}.",
            hint="take them out in an overlay (`environments: local:`), or run the platform on Kubernetes",
        )
    if not left_out:
        return plan, ""
    names = ", ".join(sorted(left_out))
    return _without(plan, left_out), f"telemetry cannot run on this machine yet, and is left out: {names}"


def _telemetry(plan: Plan, catalogue: Catalogue) -> Iterable[str]:
    """The resources of telemetry, with what they bring."""
    for resource in plan.resources:
        declared = plan.resource(resource.brought_by) if resource.brought_by in plan.index else resource
        if "telemetry" in {catalogue[resource.kind].section, catalogue[declared.kind].section}:
            yield resource.name


def _without(plan: Plan, names: set[str]) -> Plan:
    kept = tuple(
        dataclasses.replace(resource, needs=tuple(name for name in resource.needs if name not in names))
        for resource in plan.resources
        if resource.name not in names
    )
    order = tuple(tuple(name for name in stage if name not in names) for stage in plan.order)
    return dataclasses.replace(
        plan,
        resources=kept,
        edges=tuple(edge for edge in plan.edges if edge.resource not in names),
        order=tuple(stage for stage in order if stage),
        index={resource.name: resource for resource in kept},
    )


def local_side(resource: Resource, catalogue: Catalogue) -> LocalSide:
    """How a resource runs here; of a plan that went through ``runnable``."""
    side = catalogue[resource.kind].local()
    if side is None:
        raise DefectError(f"{resource.kind} was let through, though it cannot run here.")
    return side


def claims_of(plan: Plan, catalogue: Catalogue) -> tuple[Claim, ...]:
    """All claims, each once. Two resources may claim the same thing, but not one name for two things."""
    claims = dict.fromkeys(
        claim for resource in plan.resources for claim in local_side(resource, catalogue).claims(resource, plan)
    )
    seen: set[tuple[type, str]] = set()
    for claim in claims:
        name = _name(claim)
        if (type(claim), name) in seen:
            raise DefectError(f"Two different claims go by the name {name!r}, one of them {claim}.")
        seen.add((type(claim), name))
    return tuple(claims)


def _name(claim: Claim) -> str:
    match claim:
        case DigestClaim():
            return claim.path
        case ToolClaim():
            return claim.tool.name
        case _:
            return claim.name


def fulfil(plan: Plan, catalogue: Catalogue, host: Host) -> Site:
    """Everything claimed, found or made; what is quick to refuse comes before what is slow to fetch."""
    claims, paths = claims_of(plan, catalogue), host.paths
    pythons = Pythons(Path(plan.root), paths.home / "pythons.json", host.environment).find(_of(PythonClaim, claims))
    digests = {claim.path: digest(Path(claim.path)) for claim in _of(DigestClaim, claims)}
    ports = host.ports.choose(_of(PortClaim, claims), host.remembered, anew=host.new_ports)
    pki = Pki(paths.pki, plan.name, host.leaf_life)
    leaves = pki.leaves(_of(LeafClaim, claims))
    secrets.fulfil(paths.secrets, _of(SecretClaim, claims))
    tools, late = _tools(_of(ToolClaim, claims), host)
    site = Site(
        root=str(paths.root),
        data=str(paths.data),
        scratch=str(paths.scratch),
        sockets=str(paths.sockets),
        logs=str(paths.logs),
        secrets=str(paths.secrets),
        cache=str(host.cache),
        ports=ports,
        leaves=leaves,
        authorities=pki.authorities(),
        tools=tools,
        late=late,
        digests=digests,
        pythons=pythons,
        versions=secrets.versions(paths.versions),
        leaf_life_s=host.leaf_life.total_seconds(),
        caller={name: host.environment[name] for name in CALLER if name in host.environment},
    )
    return dataclasses.replace(site, bindings=bindings(plan, catalogue, site))


def _tools(claims: Iterable[ToolClaim], host: Host) -> tuple[Mapping[str, Installation], Mapping[str, Awaited]]:
    """All tools, and what is awaited of those that are not there yet."""
    waited_for = {claim.tool.name: claim.tool for claim in claims if not claim.late or host.begin is None}
    others = [claim.tool for claim in claims if claim.tool.name not in waited_for]
    tools = host.obtain(waited_for.values())
    late = host.begin(others) if host.begin is not None and others else {}
    return (
        {**tools, **{name: each.installation for name, each in late.items()}},
        {name: each.awaited for name, each in late.items() if each.awaited is not None},
    )


def _of(kind: type[Kind], claims: Iterable[Claim]) -> list[Kind]:
    return [claim for claim in claims if isinstance(claim, kind)]
