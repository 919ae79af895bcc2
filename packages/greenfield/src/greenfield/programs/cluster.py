"""What a declaration says of the cluster that the platform runs on."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _block(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError as exc:
        raise ValueError(f"{value!r} is no block of addresses: write a CIDR such as 10.0.0.1/32") from exc
    return value


Blocks = Annotated[
    tuple[Annotated[str, AfterValidator(_block)], ...],
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
]


class ClusterSettings(BaseModel):
    """What the cluster is like that the platform runs on. Nothing of it matters on one machine."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    apiserver: Blocks = ()
    """The addresses of the API server, as CIDRs; without them its ports are open to the few pods that ask it."""
    dns: Blocks = ()
    """Addresses where names are looked up besides the cluster's own pods for it, such as a node's own cache."""
    release: str = Field(default="kube-prometheus-stack", min_length=1)
    """The Helm release of kube-prometheus-stack, which selects the monitors that carry its name."""
    issuer: str | None = None
    """The ClusterIssuer that signs the certificate of the gateway's host; without it, the platform's own authority."""
    snapshots: str | None = Field(default=None, min_length=1)
    """The VolumeSnapshotClass by which a replica of MySQL that has lost its way is made anew; without it, people do."""
