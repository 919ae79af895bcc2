"""What an ensemble of etcd and the program that brings it along agree on."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from greenfield.programs.quantities import Size, TierName

KIND = "etcd"
VOTERS = 3
"""Of an ensemble: the loss of one is survived; more only slow every write."""


class EnsembleSettings(BaseModel):
    """How an ensemble is sized; its bringer says so, nobody declares it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    size: TierName = "small"
    """The tier of each member."""
    storage: Size = "2Gi"
    """The volume of each member."""
    storage_class: str | None = Field(default=None, alias="class")
    """The storage class of the volumes; None: the cluster's default."""
