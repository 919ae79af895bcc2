"""The OpenTelemetry collector, and with it the stores of spans (Jaeger) and of series (Prometheus)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from greenfield.model.component import Component, Context
from greenfield.model.plan import Resource
from greenfield.model.quantity import Range
from greenfield.programs.quantities import Duration
from greenfield.programs.telemetry import COLLECTOR, JAEGER, PROMETHEUS, StoreSettings

_MOST_COLLECTORS = 100


def _collectors(value: int | str) -> int | str:
    asked = Range.parse(value)
    if asked.low < 1 or asked.high > _MOST_COLLECTORS:
        raise ValueError(
            f"there can be 1 to {_MOST_COLLECTORS} collectors, not {asked}: to have none, `telemetry: off`"
        )
    return value


class Settings(BaseModel):
    """Telemetry: traces and metrics of every service. On unless ``off``."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid", frozen=True, strict=True)

    enabled: bool = True
    """Whether there is any: ``telemetry: off`` is short for false."""
    sample: float = Field(default=1.0, ge=0.0, le=1.0)
    """The share of traces that is kept."""
    retention: Duration = "24h"
    """How long spans and series are kept."""
    collectors: Annotated[int | str, AfterValidator(_collectors)] = 1
    """How many collectors: a number, or a range that is autoscaled, such as ``2..5``."""

    @model_validator(mode="before")
    @classmethod
    def _on_or_off(cls, value: Any) -> Any:
        return {"enabled": value} if isinstance(value, bool) else value


def plan(name: str, settings: Settings, context: Context) -> Iterable[Resource]:  # noqa: ARG001
    """Collectors, Jaeger and Prometheus, which need each other in no order: each keeps trying. Nothing when off."""
    if not settings.enabled:
        return
    store = StoreSettings(retention=settings.retention)
    counts = {COLLECTOR: Range.parse(settings.collectors).low, JAEGER: 1, PROMETHEUS: 1}
    for kind, count in counts.items():
        yield Resource(
            name=kind,
            kind=kind,
            members=context.members(kind, count),
            settings=settings if kind == COLLECTOR else store,
            identity=context.platform_identity(kind),
            brought_by="" if kind == COLLECTOR else COLLECTOR,
        )


COMPONENT = Component(
    kind=COLLECTOR,
    package=__name__,
    settings=Settings,
    plan=plan,
    section="telemetry",
    singleton=COLLECTOR,
)
