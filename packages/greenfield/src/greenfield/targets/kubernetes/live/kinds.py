"""The kinds that a cluster serves, and the path of an object of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from greenfield.errors import ClusterError
from greenfield.model.manifest import Chart
from greenfield.targets.kubernetes.instructions import helm
from greenfield.targets.kubernetes.live.api import DISCOVERY, Api, unlike_kubernetes
from greenfield.targets.kubernetes.object import Object


@dataclass(frozen=True)
class Kind:
    """One kind of one version."""

    group: str
    version: str
    name: str
    plural: str
    namespaced: bool

    @property
    def group_kind(self) -> str:
        """``Deployment.apps``, ``ConfigMap``: as sets of applied objects write it."""
        return f"{self.name}.{self.group}" if self.group else self.name

    def path(self, namespace: str = "", name: str = "") -> str:
        """Of an object, or of all of them; in a namespace where one is named."""
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        place = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{base}{place}/{self.plural}{f'/{name}' if name else ''}"


@dataclass(frozen=True)
class Kinds:
    """All of a cluster: by API version and kind, and the preferred version of each kind of a group."""

    served: Mapping[tuple[str, str], Kind]
    preferred: Mapping[str, Kind]

    def of(self, found: Object) -> Kind:
        """The kind of an object; KeyError where it is not served."""
        return self.served[str(found.manifest["apiVersion"]), found.kind]

    def path(self, found: Object) -> str:
        """Where an object is."""
        return self.of(found).path(found.namespace, found.name)

    def require(self, wanted: Iterable[Object], charts: Iterable[Chart]) -> None:
        """ClusterError where a kind is not served, with what brings it."""
        lacking = {
            (each.kind, str(each.manifest["apiVersion"]))
            for each in wanted
            if (str(each.manifest["apiVersion"]), each.kind) not in self.served
        }
        if lacking:
            raise _lacking(sorted(lacking), tuple(charts))


async def kinds_of(api: Api) -> Kinds:
    """Asks the cluster, in two requests. ClusterError where it is none that answers so."""
    served: dict[tuple[str, str], Kind] = {}
    preferred: dict[str, Kind] = {}
    for root in ("/api", "/apis"):
        body = await api.get(root, accept=DISCOVERY)
        if not isinstance(body, dict) or not isinstance(body.get("items"), list):
            raise unlike_kubernetes(api.opened)
        for group in body["items"]:
            for version in group["versions"]:
                for kind in _of_version(group["metadata"].get("name", ""), version):
                    served[f"{kind.group}/{kind.version}".removeprefix("/"), kind.name] = kind
                    preferred.setdefault(kind.group_kind, kind)
    return Kinds(served, preferred)


def _of_version(group: str, version: Mapping[str, Any]) -> Iterable[Kind]:
    for resource in version.get("resources", ()):
        kind = (resource.get("responseKind") or {}).get("kind")
        if kind:
            yield Kind(group, version["version"], kind, resource["resource"], resource["scope"] == "Namespaced")


def _lacking(kinds: list[tuple[str, str]], charts: tuple[Chart, ...]) -> ClusterError:
    bringing = [chart for chart in charts if set(chart.kinds) & {kind for kind, _ in kinds}]
    by_kind = {kind: chart.name for chart in bringing for kind in chart.kinds}
    log = [f"{kind} ({version}): {by_kind.get(kind, 'no known chart')}" for kind, version in kinds]
    commands = "".join(f"\n  {helm(chart)}" for chart in bringing)
    return ClusterError(
        f"The cluster does not know {_counted(len(kinds), 'kind')} that the platform is made of.",
        hint=f"install what brings them, as `greenfield render -o DIR` tells:{commands}"
        if bringing
        else "which versions the cluster serves is told by `kubectl api-resources`",
        log=tuple(log),
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
