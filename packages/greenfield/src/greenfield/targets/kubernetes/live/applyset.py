"""What a deploy made, remembered on the cluster as an ApplySet (KEP-3659): the next one knows what is left over.

A ConfigMap in the platform's namespace is the parent: its annotations list every kind and namespace that members may
be of, and are written before the first member and narrowed after the last is pruned, so that no interruption loses one.
Members carry the set's id as a label. ``kubectl`` knows the convention too.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from greenfield import __version__
from greenfield.errors import ClusterError
from greenfield.programs.stores import HOLDS_DATA
from greenfield.targets.kubernetes.live.api import Api, Refusal
from greenfield.targets.kubernetes.live.fields import owned
from greenfield.targets.kubernetes.live.kinds import Kind, Kinds
from greenfield.targets.kubernetes.live.refusals import Refused
from greenfield.targets.kubernetes.object import Object
from greenfield.targets.kubernetes.objects import MANAGER

PARENT: Final = "greenfield.applyset"  # with a dot, as no ConfigMap of a service has
PART_OF: Final = "applyset.kubernetes.io/part-of"
_ID: Final = "applyset.kubernetes.io/id"
_TOOLING: Final = "applyset.kubernetes.io/tooling"
_KINDS: Final = "applyset.kubernetes.io/contains-group-kinds"
_NAMESPACES: Final = "applyset.kubernetes.io/additional-namespaces"

Body = Mapping[str, Any]
Key = tuple[str, str, str, str]

_VOLUMES: Final = frozenset({"Namespace", "PersistentVolumeClaim"})
_FIRST: Final = ("apps", "batch", "autoscaling", "keda.sh")  # what runs, and what starts it, goes before what it needs


@dataclass(frozen=True)
class ApplySet:
    """The set of a platform; ``kinds`` and ``namespaces`` are those that its parent lists. ``there``: it has one."""

    namespace: str
    kinds: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    there: bool = False

    @property
    def id(self) -> str:
        """As the convention computes it from the parent."""
        digest = hashlib.sha256(f"{PARENT}.{self.namespace}.ConfigMap.".encode()).digest()
        return f"applyset-{base64.urlsafe_b64encode(digest).decode().rstrip('=')}-v1"

    @property
    def selector(self) -> dict[str, str]:
        """The query by which members are listed."""
        return {"labelSelector": f"{PART_OF}={self.id}"}

    def marked(self, found: Object) -> Object:
        """An object as a member."""
        metadata = found.manifest["metadata"]
        labels = {**metadata.get("labels", {}), PART_OF: self.id}
        return Object(found.resource, found.stage, {**found.manifest, "metadata": {**metadata, "labels": labels}})

    def with_(self, kinds: Iterable[str], namespaces: Iterable[str]) -> ApplySet:
        """The same, listing these besides."""
        others = frozenset(namespaces) - {self.namespace, ""}
        return ApplySet(self.namespace, self.kinds | frozenset(kinds), self.namespaces | others, self.there)


@dataclass(frozen=True)
class Member:
    """An object on the cluster that an earlier deploy made."""

    kind: Kind
    body: Body

    @property
    def key(self) -> Key:
        """As ``Object.key``."""
        return self.kind.group, self.kind.name, self.namespace, self.name

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.body["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace; empty where its kind has none."""
        return str(self.body["metadata"].get("namespace", ""))

    @property
    def title(self) -> str:
        """``Kind/name``."""
        return f"{self.kind.name}/{self.name}"

    @property
    def keeps_data(self) -> bool:
        """Whether data goes with it: its operator, or Kubernetes, deletes the volumes, or what is in them."""
        annotations = self.body["metadata"].get("annotations") or {}
        return self.kind.group_kind in _VOLUMES or HOLDS_DATA.items() <= annotations.items()


def _path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps/{PARENT}"


async def read(api: Api, namespace: str) -> ApplySet:
    """The set of a platform; empty where nothing was deployed. ClusterError where its parent is not ours."""
    found = ApplySet(namespace)
    try:
        parent = await api.get(_path(namespace))
    except Refusal as refusal:
        if refusal.code == 404:
            return found
        raise
    metadata = parent["metadata"]
    annotations = metadata.get("annotations") or {}
    tool = annotations.get(_TOOLING, "")
    if (metadata.get("labels") or {}).get(_ID) != found.id or not tool.startswith(f"{MANAGER}/"):
        raise ClusterError(
            f"There is a ConfigMap {PARENT} in namespace {namespace} that no deploy of greenfield wrote.",
            hint="is it the right cluster, and the platform's own namespace? Otherwise rename that ConfigMap",
        )
    return ApplySet(
        namespace,
        frozenset(filter(None, annotations.get(_KINDS, "").split(","))),
        frozenset(filter(None, annotations.get(_NAMESPACES, "").split(","))),
        there=True,
    )


async def write(api: Api, found: ApplySet, *, force: bool = False) -> None:
    """The parent as it lists now."""
    annotations = {_TOOLING: f"{MANAGER}/v{__version__}", _KINDS: ",".join(sorted(found.kinds))}
    if found.namespaces:
        annotations[_NAMESPACES] = ",".join(sorted(found.namespaces))
    metadata = {"name": PARENT, "namespace": found.namespace, "labels": {_ID: found.id}, "annotations": annotations}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    await api.apply(_path(found.namespace), manifest, {"fieldManager": MANAGER, "force": str(force).lower()})


async def members(api: Api, found: ApplySet, kinds: Kinds) -> tuple[list[Member], list[Refused]]:
    """Everything on the cluster that carries the set's label, of the kinds and namespaces that the parent lists.

    Besides, what we may not list. Kinds that the cluster serves no more have no objects either.
    """
    served = [kinds.preferred[name] for name in sorted(found.kinds) if name in kinds.preferred]
    places = sorted({found.namespace, *found.namespaces})
    asked = [(kind, place) for kind in served for place in (places if kind.namespaced else [""])]
    answers = await asyncio.gather(*(_listed(api, kind, place, found.selector) for kind, place in asked))
    there = [member for answer in answers if isinstance(answer, list) for member in answer]
    return there, [answer for answer in answers if isinstance(answer, Refused)]


async def _listed(api: Api, kind: Kind, place: str, selector: Mapping[str, str]) -> list[Member] | Refused:
    try:
        body = await api.get(kind.path(place), selector)
    except Refusal as refusal:
        return Refused(kind.name, place, refusal)
    return [Member(kind, {"apiVersion": body["apiVersion"], "kind": kind.name, **item}) for item in body["items"]]


def surplus(found: Iterable[Member], wanted: Iterable[Object]) -> list[Member]:
    """The members that are not wanted any more, in the order in which they go; nothing that we did not apply ourselves.

    Operators copy labels to what they make: that has an owner, and its fields another manager.
    """
    kept = {each.key for each in wanted}
    left = [
        each
        for each in found
        if each.key not in kept and owned(each.body) and not each.body["metadata"].get("ownerReferences")
    ]
    return sorted(left, key=lambda each: (each.kind.group not in _FIRST, each.kind.name, each.name))


async def prune(api: Api, member: Member) -> None:
    """Deletes an object, if it is still the one that was shown; what it owns goes after it."""
    options = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "preconditions": {"uid": member.body["metadata"]["uid"]},
    }
    try:
        await api.ask("DELETE", member.kind.path(member.namespace, member.name), body=options)
    except Refusal as refusal:
        if refusal.code != 404:
            raise


def listed(wanted: Iterable[Object], kinds: Kinds, left: Iterable[Member] = ()) -> tuple[set[str], set[str]]:
    """The kinds and the namespaces of objects, and of members that stay though nobody wants them."""
    stay = list(left)
    names = itertools.chain(_of(wanted, kinds), ((each.kind.group_kind, each.namespace) for each in stay))
    pairs = set(names)
    return {kind for kind, _ in pairs}, {namespace for _, namespace in pairs}


def _of(wanted: Iterable[Object], kinds: Kinds) -> Iterator[tuple[str, str]]:
    return ((kinds.of(each).group_kind, each.namespace) for each in wanted)
