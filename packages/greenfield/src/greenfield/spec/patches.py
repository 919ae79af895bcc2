"""The escape hatch, as it is declared."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from greenfield.model.declaration import Patch
from greenfield.spec.complaints import Complaints
from greenfield.spec.settings import settings
from greenfield.spec.tree import Items, Table


class PatchSettings(BaseModel):
    """The escape hatch: one value of what was generated is set to another."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    for_: Literal["local", "kubernetes"] = Field(alias="for")
    """Which target: ``local`` or ``kubernetes``."""
    target: str = Field(min_length=1)
    """What is patched, such as ``Deployment/catalog`` or ``Process/catalog-0``."""
    path: str = Field(min_length=1)
    """The dotted path inside it."""
    set_: object = Field(alias="set")
    """The new value."""
    reason: str = Field(min_length=1)
    """Why: it is shown by ``plan``."""


def read_patches(root: Table, complaints: Complaints) -> tuple[Patch, ...]:
    """Those that can be read. Whether one matches anything, only its target can tell."""
    node = root.get("patches")
    if node is None:
        return ()
    if not isinstance(node, Items):
        complaints.place(node.position, "wrong-type", "patches must be a list", "begin each with `- `")
        return ()
    read = [settings(PatchSettings, item, ("patches", i), complaints) for i, item in enumerate(node.items)]
    return tuple(Patch(p.for_, p.target, p.path, p.set_, p.reason) for p in read if p is not None)
