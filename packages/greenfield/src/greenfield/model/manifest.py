"""What the Kubernetes target is told: manifests, who may open a connection to whom, and how a resource is entered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from greenfield.model.binding import Binding

Manifest = Mapping[str, Any]
"""A plain dict that reads like the YAML it becomes.

It needs no namespace (the platform's is filled in where the kind has one) and no recommended labels. Where a value of a
``Secret``'s ``stringData`` is a ``Content``, the secrets in it are sealed, and the manifest becomes a ``SealedSecret``.
"""


@dataclass(frozen=True)
class Peer:
    """Pods by their labels, or addresses: one end of an allowed connection.

    ``labels`` select pods of ``namespace`` (empty: the platform's own); none at all: every pod there. ``name`` is that
    of the policy which binds them, for pods of our own. ``blocks`` are CIDRs, for what is no pod.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    blocks: tuple[str, ...] = ()
    name: str = ""

    @property
    def ours(self) -> bool:
        """Whether these are pods of the platform itself, which its policies bind."""
        return not self.namespace and not self.blocks


ANYWHERE: Final = Peer(blocks=("0.0.0.0/0", "::/0"))
"""Every address, in the cluster or not."""


@dataclass(frozen=True)
class Port:
    """A pod's own port, as a network policy counts: never a Service's."""

    number: int
    protocol: Literal["TCP", "UDP"] = "TCP"


@dataclass(frozen=True)
class Allow:
    """``source`` may open connections to ``target`` at ``ports``. ``why`` is for people, in a few words."""

    source: Peer
    target: Peer
    ports: tuple[Port, ...]
    why: str


@dataclass(frozen=True)
class Door:
    """How a resource is entered by those that may: a Service's ``host`` and its ``ports`` by the component's names.

    ``peer`` are its pods, ``pod_ports`` the ports behind the Service, in the same names. ``hosts`` are those of the
    members, where a client is to know each; empty: one host stands for all. ``secure``: it speaks TLS itself, so that
    the sidecars of those who enter leave the connection alone. ``others`` are names that its operator gives to more of
    what it makes (Services, accounts, budgets, ConfigMaps, Deployments), so that nothing else may have them.
    """

    host: str
    ports: Mapping[str, int]
    peer: Peer
    pod_ports: Mapping[str, int]
    hosts: tuple[str, ...] = ()
    secure: bool = True
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Key:
    """One value of a Secret or ConfigMap: the object's name and the key in it."""

    name: str
    key: str
    kind: Literal["Secret", "ConfigMap"] = "Secret"


Mount = Mapping[str, Key]
"""Files that a pod finds in one folder, by name: ``ca.crt tls.crt tls.key tls.pem password``, those that apply."""


@dataclass(frozen=True)
class Chart:
    """A prerequisite that Helm installs: what the manifests' kinds need on the cluster, before them.

    ``rank`` puts charts in order: lower ones first. ``name`` is that of the release, ``chart`` the chart's where it
    is another. ``source`` is an ``oci://`` reference or a repository's URL, ``values`` what must be set, by dotted
    path, with the reason in ``why``. ``applied``: no chart; ``source`` is a URL of manifests for ``kubectl apply``.
    """

    rank: int
    name: str
    version: str
    source: str
    namespace: str
    why: str
    values: Mapping[str, str] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    chart: str = ""
    applied: bool = False


@dataclass(frozen=True)
class Cluster:
    """What components may know of the target: how services reach what they use, and how they enter.

    ``bindings`` are keyed by service and used name; ``mounts``, files below ``/etc/greenfield/<resource>``, by service
    and resource. ``doors`` are those of all resources that have one, by name. ``settings`` is what the declaration says
    of the cluster.
    """

    bindings: Mapping[tuple[str, str], Binding]
    mounts: Mapping[tuple[str, str], Mount]
    doors: Mapping[str, Door]
    settings: Any


MOUNTED: Final = "/etc/greenfield"
"""Where a pod finds the files by which it enters what it uses, a folder for each resource."""

EDITION: Final = "checksum/sealed"
"""An annotation of pods: another word whenever a sealed secret that they hold is sealed anew, so that they start anew.

The target writes it into the template of what has one, and into a custom resource that has it, empty, because its
operator hands its own annotations on to its pods.
"""
