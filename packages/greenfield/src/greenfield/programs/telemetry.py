"""What the collector and the stores it brings along agree on."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from greenfield.programs.quantities import Duration

COLLECTOR, JAEGER, PROMETHEUS = "collector", "jaeger", "prometheus"


class StoreSettings(BaseModel):
    """A store of spans or series; the collector says how it is, nobody declares it."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid", frozen=True, strict=True)

    retention: Duration = "24h"
    """How long spans or series are kept."""
