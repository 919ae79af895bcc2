"""What an ensemble of ZooKeeper and the program that brings it along agree on."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from greenfield.model.local import Site
from greenfield.model.plan import Resource
from greenfield.programs.quantities import Size, TierName

KIND = "zookeeper"
CLIENT_PORT = "client"
CIPHERS = "TLS_AES_256_GCM_SHA384,TLS_AES_128_GCM_SHA256"
"""Named, because ZooKeeper 3.8's own list has none of TLS 1.3."""


class EnsembleSettings(BaseModel):
    """How an ensemble is sized; its bringer says so, nobody declares it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    size: TierName = "small"
    """The tier of each member."""
    storage: Size = "2Gi"
    """The volume of each member."""
    storage_class: str | None = Field(default=None, alias="class")
    """The storage class of the volumes; None: the cluster's default."""


def connect_string(ensemble: Resource, site: Site) -> str:
    """``host:port,host:port…`` of all members, as clients of ZooKeeper read it."""
    return ",".join(site.endpoint(f"{member.name}/{CLIENT_PORT}") for member in ensemble.members)
