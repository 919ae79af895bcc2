"""What the gateway and its web application firewall agree on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

KIND = "waf"


class FirewallSettings(BaseModel):
    """A web application firewall in front of the gateway: ModSecurity with the OWASP Core Rule Set."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    mode: Literal["block", "detect"] = "block"
    """Whether a request that matches is refused, or only written down."""
    paranoia: int = Field(default=1, ge=1, le=4)
    """The rule set's paranoia level: higher finds more, and is wrong more often."""
    exclude: Mapping[Annotated[int, Field(strict=False)], str] = Field(default_factory=dict)
    """Rules that are left out, by number, each with the reason."""
