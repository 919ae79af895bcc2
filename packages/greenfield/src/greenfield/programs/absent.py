"""The Kubernetes side of what does not run there, because an operator does its work in another way."""

from __future__ import annotations

from collections.abc import Iterable

from greenfield.model.manifest import Allow, Chart, Cluster, Door, Manifest, Mount
from greenfield.model.plan import Plan, Resource


def door(resource: Resource, plan: Plan) -> Door | None:  # noqa: ARG001
    """Nobody enters."""
    return None


def mount(service: str, resource: Resource, plan: Plan) -> Mount:  # noqa: ARG001
    """Nobody enters."""
    return {}


def allows(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Allow]:  # noqa: ARG001
    """Nothing runs."""
    return ()


def charts(resource: Resource, plan: Plan) -> Iterable[Chart]:  # noqa: ARG001
    """Nothing runs."""
    return ()


def manifests(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Manifest]:  # noqa: ARG001
    """Nothing runs."""
    return ()
