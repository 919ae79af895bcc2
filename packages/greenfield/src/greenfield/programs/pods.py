"""What all pods that we write ourselves have in common: labels, security, resources, spread, a disruption budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from greenfield.model.manifest import Manifest
from greenfield.model.plan import Plan
from greenfield.model.quantity import TIERS
from greenfield.programs.quantities import TierName

NAME, PART_OF = "app.kubernetes.io/name", "app.kubernetes.io/part-of"
ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
NO_SIDECAR: Final = {"sidecar.istio.io/inject": "false"}
"""A label: the pod stays out of the mesh."""
USER: Final = 10001  # of our own pods, where an image has no opinion

POD_SECURITY: Final[Mapping[str, Any]] = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY: Final[Mapping[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
BARE_POD: Final[Mapping[str, Any]] = {"automountServiceAccountToken": False, "enableServiceLinks": False}
"""A pod that asks the API server for nothing, and is not told of every Service there is."""


def labels(plan: Plan, name: str) -> dict[str, str]:
    """Those by which the pods of a resource are selected: by their Service, by policies, by monitors."""
    return {NAME: name, PART_OF: plan.name}


def resources(size: TierName, scratch: str = "64Mi") -> dict[str, Any]:
    """Requests and limits of a tier; ``scratch`` is what it may write to disk that does not stay."""
    tier = TIERS[size]
    return {
        "requests": {
            "cpu": f"{tier.cpu_request}m",
            "memory": f"{tier.memory_request}Mi",
            "ephemeral-storage": scratch,
        },
        "limits": {"cpu": f"{tier.cpu_limit}m", "memory": f"{tier.memory_limit}Mi", "ephemeral-storage": scratch},
    }


def spread(plan: Plan, selected: Mapping[str, str], *, revisions: bool = False) -> list[dict[str, Any]]:
    """Evenly over the zones, strictly; evenly over nodes where that can be.

    ``revisions``: each revision of a Deployment by itself, so that an update does not skew what it leaves behind.
    """
    constraint = {
        "maxSkew": 1,
        "labelSelector": {"matchLabels": dict(selected)},
        "nodeTaintsPolicy": "Honor",
        **({"matchLabelKeys": ["pod-template-hash"]} if revisions else {}),
    }
    strict = "DoNotSchedule" if len(plan.zones) > 1 else "ScheduleAnyway"
    return [
        {"topologyKey": ZONE, "whenUnsatisfiable": strict, **constraint},
        {"topologyKey": HOST, "whenUnsatisfiable": "ScheduleAnyway", **constraint},
    ]


def disruption_budget(name: str, selected: Mapping[str, str]) -> Manifest:
    """One pod at a time may go; one that never became ready is no reason to wait."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": dict(selected)},
        },
    }


def beside_sidecar(*, inbound: Iterable[int] = (), outbound: Iterable[int] = ()) -> dict[str, str]:
    """Annotations of a pod in the mesh: its sidecar is small, starts before the rest and stops after it.

    Connections at the ``inbound`` and ``outbound`` ports pass it by: they have their own TLS, or are scraped.
    """
    tier = TIERS["small"]
    past = {"excludeInboundPorts": tuple(inbound), "excludeOutboundPorts": tuple(outbound)}
    return {
        "sidecar.istio.io/nativeSidecar": "true",
        "sidecar.istio.io/proxyCPU": f"{tier.cpu_request}m",
        "sidecar.istio.io/proxyCPULimit": f"{tier.cpu_limit}m",
        "sidecar.istio.io/proxyMemory": f"{tier.memory_request}Mi",
        "sidecar.istio.io/proxyMemoryLimit": f"{tier.memory_limit}Mi",
        **{f"traffic.sidecar.istio.io/{name}": ",".join(map(str, ports)) for name, ports in past.items() if ports},
    }
