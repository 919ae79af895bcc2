"""Plans compiled by hand, and a site that is nowhere: what a component's pure functions need to be called."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from contracts.named import COMPONENT as SERVICE
from greenfield.model.binding import Binding, Leaf
from greenfield.model.component import Catalogue, Component, Context
from greenfield.model.local import (
    Claim,
    DigestClaim,
    LeafClaim,
    PortClaim,
    PythonClaim,
    SecretClaim,
    Site,
    ToolClaim,
)
from greenfield.model.plan import Edge, Plan
from greenfield.model.tool import Installation, Tool
from greenfield.targets.local.where import bindings

Uses = Mapping[str, Mapping[str, str]]

ZONES = ("a", "b", "c")
SITE = Site(
    root="/site",
    data="/site/data",
    scratch="/site/scratch",
    sockets="/run/site",
    logs="/site/logs",
    secrets="/site/secrets",
    cache="/cache",
    authorities={"services": "/site/pki/services-ca.crt", "platform": "/site/pki/platform-ca.crt"},
    caller={"PATH": "/usr/bin:/bin", "HOME": "/home/somebody", "LANG": "C.UTF-8", "TZ": "UTC"},
)


def catalogue_of(*components: Component) -> Catalogue:
    """These kinds, and services that are nothing but names."""
    return Catalogue({component.kind: component for component in (SERVICE, *components)})


def plan_of(
    catalogue: Catalogue,
    declared: Mapping[str, tuple[str, Mapping[str, Any]]],
    uses: Uses | None = None,
    zones: tuple[str, ...] = ZONES,
    root: str = "/site",
) -> Plan:
    """``declared`` by name as (kind, settings); ``uses`` by service as {name: access}, or {name: access, access}."""
    context = Context("shop", "local", zones, root)
    resources = [
        resource
        for name, (kind, settings) in declared.items()
        for resource in catalogue[kind].plan(name, catalogue[kind].settings.model_validate(settings), context)
    ]
    for service in uses or {}:
        resources.extend(SERVICE.plan(service, SERVICE.settings(), context))
    holder = {part.name: resource.name for resource in resources for part in resource.parts}
    edges = tuple(
        Edge(service, name, access.strip(), holder[name])
        for service, used in (uses or {}).items()
        for name, accesses in used.items()
        for access in accesses.split(",")
    )
    return Plan(
        name=context.platform,
        environment=context.environment,
        zones=zones,
        root=root,
        resources=tuple(resources),
        edges=edges,
        order=(tuple(resource.name for resource in resources),),
        index={resource.name: resource for resource in resources},
    )


def claims_of(plan: Plan, catalogue: Catalogue) -> list[Claim]:
    """All claims of the kinds that can run here, in plan order, repetitions included."""
    sides = [(resource, catalogue[resource.kind].local()) for resource in plan.resources]
    return [claim for resource, side in sides if side is not None for claim in side.claims(resource, plan)]


def site_of(plan: Plan, catalogue: Catalogue, *, on_path: bool = False) -> Site:
    """Every claim fulfilled with an invention: ports from 20000, files under ``/site``, programs under ``/tools``.

    ``on_path``: the programs of tools that PATH may have are PATH's.
    """
    claims = claims_of(plan, catalogue)
    ports = list(dict.fromkeys(claim for claim in claims if isinstance(claim, PortClaim)))
    site = dataclasses.replace(
        SITE,
        ports={claim.name: (claim.host, 20000 + index) for index, claim in enumerate(ports)},
        leaves={claim.name: _leaf(claim) for claim in claims if isinstance(claim, LeafClaim)},
        tools=_tools([claim.tool for claim in claims if isinstance(claim, ToolClaim)], on_path=on_path),
        digests={claim.path: "0" * 64 for claim in claims if isinstance(claim, DigestClaim)},
        pythons={claim.name: "/usr/bin/python3" for claim in claims if isinstance(claim, PythonClaim)},
    )
    return dataclasses.replace(site, bindings=_bindings(plan, catalogue, site))


def secrets_of(claims: Iterable[Claim]) -> set[str]:
    """The names of the claimed secrets."""
    return {claim.name for claim in claims if isinstance(claim, SecretClaim)}


def _leaf(claim: LeafClaim) -> Leaf:
    folder = f"/site/pki/{claim.name}"
    return Leaf(f"{folder}/ca.crt", f"{folder}/tls.crt", f"{folder}/tls.key", f"{folder}/tls.pem")


def _tools(tools: Iterable[Tool], *, on_path: bool) -> Mapping[str, Installation]:
    found = {tool.name: _installed(tool, on_path=on_path) for tool in tools}
    needed = [tool for each in found.values() for tool in each.needs if tool.name not in found]
    return {**found, **(_tools(needed, on_path=on_path) if needed else {})}


def _installed(tool: Tool, *, on_path: bool) -> Installation:
    if on_path and tool.version is not None:
        return Installation(tool.name, "1.0", "PATH", "", {name: f"/usr/bin/{name}" for name in tool.programs})
    root = f"/tools/{tool.name}"
    names = {*tool.programs, *(name for source in tool.sources for name in getattr(source, "programs", {}))}
    needs = getattr(tool.sources[0], "needs", ())
    names |= {source.program for source in tool.sources if hasattr(source, "program")}
    return Installation(
        tool.name, "1.0", "invented", root, {name: f"{root}/{name}" for name in sorted(names)}, needs=needs
    )


def _bindings(plan: Plan, catalogue: Catalogue, site: Site) -> Mapping[tuple[str, str], Binding]:
    reachable = [edge for edge in plan.edges if catalogue[plan.resource(edge.resource).kind].local() is not None]
    return bindings(dataclasses.replace(plan, edges=tuple(reachable)), catalogue, site)
