"""Stand-ins for what operators would make of their custom resources: pods to be placed, and budgets of disruption.

A store becomes a StatefulSet of as many pods, with the labels that its own spread constraints select, these
constraints, and the resources of its servers. What is proven with it is that what we ask of an operator can be placed
and survives, not that the operator does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Object = dict[str, Any]

SIZES = ("instances", "clusterSize", "replicas", "members")
STAND_IN = "stand-in"
INDEX = "apps.kubernetes.io/pod-index"
PRIMARY = "0"  # of the pods that stand in for PostgreSQL's, the one that takes writes


def stand_ins(manifests: Iterable[Object]) -> Iterator[Object]:
    """For every custom resource whose operator would make pods that spread."""
    stores = [each for each in manifests if is_store(each)]
    for store in stores:
        yield _pods(store)
        yield from _budgets(store)
    for cluster in sorted({each["metadata"]["labels"]["strimzi.io/cluster"] for each in _pools(stores)}):
        yield _of_strimzi(cluster, stores)


def title(store: Object) -> str:
    """What stands in for it, as ``Kind/name``."""
    return f"StatefulSet/{_name(store)}"


def is_store(manifest: Object) -> bool:
    """Whether it is a custom resource that says how its pods are to be spread."""
    ours = ("Deployment", "StatefulSet", "Job")
    return manifest["kind"] not in ours and bool(_spread_of(manifest.get("spec", {})))


def _name(store: Object) -> str:
    return f"{STAND_IN}-{store['kind'].lower()}-{store['metadata']['name']}"


def _spread_of(tree: Any) -> list[Any]:
    """The spread constraints somewhere inside; the first that are found."""
    if isinstance(tree, Mapping):
        if "topologySpreadConstraints" in tree:
            return list(tree["topologySpreadConstraints"])
        return next((found for value in tree.values() if (found := _spread_of(value))), [])
    return []


def _size(store: Object) -> int:
    return int(next(store["spec"][size] for size in SIZES if size in store["spec"]))


def _pods(store: Object) -> Object:
    constraints, name = _spread_of(store["spec"]), _name(store)
    labels = constraints[0]["labelSelector"]["matchLabels"] | {"sidecar.istio.io/inject": "false", STAND_IN: name}
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    server = {"name": "server", "image": "example/server:1", "securityContext": security}
    pod = {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "topologySpreadConstraints": constraints,
        "containers": [{**server, "resources": _needs(store["spec"])}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": store["metadata"]["namespace"]},
        "spec": {
            "serviceName": name,
            "replicas": _size(store),
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {STAND_IN: name}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _needs(tree: Any) -> Any:
    """The largest resources that are asked for somewhere inside; the server's."""
    found: list[Any] = []
    waiting = [tree]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            found += [each["resources"]] if "cpu" in each.get("resources", {}).get("requests", {}) else []
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return max(found, key=lambda each: int(each["requests"]["cpu"].removesuffix("m")))


# --- budgets --------------------------------------------------------------------------------------------------------


def _budgets(store: Object) -> Iterator[Object]:
    """As its operator makes them, at the release that we install. That of MongoDB makes none: it is among our own.

    CloudNativePG: pkg/specs/poddisruptionbudget.go; mariadb-operator: the one that is asked for, internal/controller/
    mariadb_controller.go; the Redis operator: likewise, internal/k8sutils/poddisruption.go.
    """
    name, spec = _name(store), store["spec"]
    if store["kind"] == "Cluster":
        role = {"key": INDEX, "values": [PRIMARY]}
        yield _budget(store, f"{name}-primary", {"minAvailable": 1}, [{**role, "operator": "In"}])
        if _size(store) >= 3:
            least = {"minAvailable": _size(store) - 2}
            yield _budget(store, name, least, [{**role, "operator": "NotIn"}])
    asked = spec.get("podDisruptionBudget") or spec.get("pdb", {})
    if allowed := {key: asked[key] for key in ("minAvailable", "maxUnavailable") if key in asked}:
        yield _budget(store, name, allowed)


def _budget(store: Object, name: str, allowed: Mapping[str, Any], narrowed: Iterable[Object] = ()) -> Object:
    selected = {"matchLabels": {STAND_IN: _name(store)}, "matchExpressions": list(narrowed)}
    return _disruption_budget(name, store["metadata"]["namespace"], {**allowed, "selector": selected})


def _disruption_budget(name: str, namespace: str, spec: Mapping[str, Any]) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": dict(spec)}


def _pools(stores: Iterable[Object]) -> list[Object]:
    return [each for each in stores if each["kind"] == "KafkaNodePool"]


def _of_strimzi(cluster: str, stores: Iterable[Object]) -> Object:
    """All nodes of a cluster but one, whatever pool they are of: Strimzi's model/PodDisruptionBudgetUtils.java."""
    pools = [each for each in _pools(stores) if each["metadata"]["labels"]["strimzi.io/cluster"] == cluster]
    selected = {"matchLabels": {"strimzi.io/cluster": cluster}}
    least = sum(map(_size, pools)) - 1
    place = pools[0]["metadata"]["namespace"]
    return _disruption_budget(f"{STAND_IN}-{cluster}", place, {"minAvailable": least, "selector": selected})
