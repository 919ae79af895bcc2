"""From a plan to everything that the cluster is to hold, in order, each object whole: labels, namespace, patches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from greenfield.errors import DefectError, UnsealedError
from greenfield.model.component import Catalogue
from greenfield.model.declaration import Declaration
from greenfield.model.manifest import Chart, Manifest
from greenfield.model.plan import Plan, Resource
from greenfield.targets.kubernetes.editions import with_editions
from greenfield.targets.kubernetes.gaps import require_whole
from greenfield.targets.kubernetes.network import allows, policies
from greenfield.targets.kubernetes.object import Object
from greenfield.targets.kubernetes.patches import apply
from greenfield.targets.kubernetes.sealing import SEALED_SECRETS, Sealed, is_secret, missing, sealed_secret
from greenfield.targets.kubernetes.taken import require_free
from greenfield.targets.kubernetes.where import cluster, sides_of

MANAGER: Final = "greenfield"
_CLUSTER_WIDE: Final = frozenset({"Namespace", "ClusterRole", "ClusterRoleBinding"})


def objects(
    declaration: Declaration, plan: Plan, catalogue: Catalogue, sealed: Sealed | None = None
) -> tuple[Object, ...]:
    """All objects in the order in which they are applied.

    DeclarationError where something does not say what Kubernetes needs, or is called as what an operator makes for
    another, or a patch matches nothing; UnsealedError where
    a secret is wanted that ``sealed`` lacks.
    """
    require_whole(declaration, plan, catalogue)
    require_free(declaration, plan, catalogue)
    found = unsealed(plan, catalogue)
    if lacking := missing((each.manifest for each in found), sealed):
        environment = f" --env {plan.environment}" if plan.environment else ""
        listed = ", ".join(f"{name} in {secret}" for secret, name in lacking[:10])
        listed += f" and {len(lacking) - 10} more" if len(lacking) > 10 else ""
        raise UnsealedError(
            f"These secrets are not sealed yet: {listed}.",
            hint=f"`greenfield secrets seal{environment} --cert CERTIFICATE` makes and seals them",
        )
    if sealed is not None:
        found = with_editions(_sealed(each, sealed) for each in found)
    return apply(declaration, found)


def unsealed(plan: Plan, catalogue: Catalogue) -> list[Object]:
    """All objects, secrets as such, before any patch."""
    found = [_whole(resource, stage, manifest, plan) for resource, stage, manifest in _manifests(plan, catalogue)]
    seen: set[tuple[str, str, str, str]] = set()
    for each in found:
        if each.key in seen:
            raise DefectError(f"Two objects are the same: {each.kind} {each.name}.")
        seen.add(each.key)
    return found


def _sealed(found: Object, sealed: Sealed) -> Object:
    if not is_secret(found.manifest):
        return found
    return dataclasses.replace(found, manifest=sealed_secret(found.manifest, sealed))


def charts(plan: Plan, catalogue: Catalogue, objects: Iterable[Object]) -> tuple[Chart, ...]:
    """What must be installed before those objects, in order, each once; their values are put together."""
    sealing = any(each.kind == "SealedSecret" for each in objects)
    found = {SEALED_SECRETS.name: SEALED_SECRETS} if sealing else {}
    sides = sides_of(plan, catalogue)
    for resource in plan.resources:
        for chart in sides[resource.name].charts(resource, plan):
            known = found.setdefault(chart.name, chart)
            found[chart.name] = _together(known, chart)
    return tuple(sorted(found.values(), key=lambda chart: (chart.rank, chart.name)))


def _together(one: Chart, other: Chart) -> Chart:
    values = {**one.values, **other.values}
    if any(one.values.get(key, value) != value for key, value in other.values.items()):
        raise DefectError(f"The chart {one.name} is asked for with values that contradict each other.")
    return dataclasses.replace(one, values=values, kinds=tuple(dict.fromkeys((*one.kinds, *other.kinds))))


def _manifests(plan: Plan, catalogue: Catalogue) -> Iterator[tuple[Resource, int, Manifest]]:
    """The platform's own first, then stage by stage; network policies before the pods that they bind."""
    sides, here = sides_of(plan, catalogue), cluster(plan, catalogue)
    (platform,) = plan.of_kind("platform")
    for manifest in sides[platform.name].manifests(platform, plan, here):
        yield platform, 0, manifest
    bound = policies(allows(plan, catalogue, here))
    stages = {name: number for number, stage in enumerate(plan.order, 1) for name in stage}
    others = sorted((r for r in plan.resources if r is not platform), key=lambda r: stages[r.name])
    names = {resource.name for resource in others}
    for name, policy in bound.items():
        yield plan.resource(name) if name in names else platform, 0, policy
    for resource in others:
        for manifest in sides[resource.name].manifests(resource, plan, here):
            yield resource, stages[resource.name], manifest


def _whole(resource: Resource, stage: int, manifest: Manifest, plan: Plan) -> Object:
    metadata: Mapping[str, Any] = manifest["metadata"]
    labels = {
        "app.kubernetes.io/name": resource.name,
        "app.kubernetes.io/component": resource.kind,
        "app.kubernetes.io/part-of": plan.name,
        "app.kubernetes.io/managed-by": MANAGER,
        **metadata.get("labels", {}),
    }
    place = {} if manifest["kind"] in _CLUSTER_WIDE else {"namespace": metadata.get("namespace", plan.name)}
    whole = {**metadata, "name": metadata["name"], **place, "labels": labels}
    return Object(resource.name, stage, {**manifest, "metadata": whole})
