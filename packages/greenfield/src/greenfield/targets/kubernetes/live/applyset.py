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
from greenfield.model.plan import Plan
from greenfield.targets.kubernetes.live.api import Api, Refusal
from greenfield.targets.kubernetes.live.fields import owned
from greenfield.targets.kubernetes.live.kinds import Kind, Kinds
from greenfield.targets.kubernetes.live.refusals import Refused, explained
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

KEEPS_DATA: Final = frozenset(
    {
        "Namespace",
        "PersistentVolumeClaim",
        "Cluster.postgresql.cnpg.io",
        "Kafka.kafka.strimzi.io",
        "KafkaNodePool.kafka.strimzi.io",
        "KafkaTopic.kafka.strimzi.io",
        "MariaDB.k8s.mariadb.com",
        "MongoDBCommunity.mongodbcommunity.mongodb.com",
        "RedisReplication.redis.redis.opstreelabs.in",
    }
)
"""Kinds whose data goes with the object: its operator, or Kubernetes, deletes the volumes, or what is in them."""
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
        """Whether data goes with it."""
        return self.kind.group_kind in KEEPS_DATA


def _path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps/{PARENT}"


async def read(api: Api, plan: Plan) -> ApplySet:
    """The set of a platform; empty where nothing was deployed. ClusterError where its parent is not ours."""
    found = ApplySet(plan.name)
    try:
        parent = await api.get(_path(plan.name))
    except Refusal as refusal:
        if refusal.code == 404:
            return found
        raise
    metadata = parent["metadata"]
    annotations = metadata.get("annotations") or {}
    tool = annotations.get(_TOOLING, "")
    if (metadata.get("labels") or {}).get(_ID) != found.id or not tool.startswith(f"{MANAGER}/"):
        raise ClusterError(
            f"There is a ConfigMap {PARENT} in namespace {plan.name} that no deploy of greenfield wrote.",
            hint="is it the right cluster, and the platform's own namespace? Otherwise rename that ConfigMap",
        )
    return ApplySet(
        plan.name,
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


async def members(api: Api, found: ApplySet, kinds: Kinds) -> list[Member]:
    """Everything on the cluster that carries the set's label, of the kinds and namespaces that the parent lists.

    Kinds that the cluster serves no more have no objects either. ClusterError with all that may not be listed.
    """
    served = [kinds.preferred[name] for name in sorted(found.kinds) if name in kinds.preferred]
    places = sorted({found.namespace, *found.namespaces})
    asked = [(kind, place) for kind in served for place in (places if kind.namespaced else [""])]
    listing = (api.get(kind.path(place), found.selector) for kind, place in asked)
    bodies = await asyncio.gather(*listing, return_exceptions=True)
    pairs = list(zip(asked, bodies, strict=True))
    if refused := [Refused(kind.name, place, body) for (kind, place), body in pairs if isinstance(body, Refusal)]:
        raise explained(refused)
    return [member for (kind, _), body in pairs for member in _of_list(kind, body)]


def _of_list(kind: Kind, body: Any) -> Iterator[Member]:
    if isinstance(body, BaseException):
        raise body
    for item in body["items"]:
        yield Member(kind, {"apiVersion": body["apiVersion"], "kind": kind.name, **item})


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
