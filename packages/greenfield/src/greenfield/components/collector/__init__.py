"""The OpenTelemetry collector, and with it the stores of spans (Jaeger) and of series (Prometheus)."""

from __future__ import annotations

from collections.abc import Iterable

from greenfield.model.component import Component, Context
from greenfield.model.plan import Parity, Resource
from greenfield.model.quantity import Range
from greenfield.programs.telemetry import COLLECTOR, JAEGER, PROMETHEUS, StoreSettings, TelemetrySettings

Settings = TelemetrySettings

_OPEN = "its page on 127.0.0.1 is open to every process of this machine"
_PARITY = {
    JAEGER: Parity("reduced", f"{_OPEN}; one store of files, and its source brings the API without the pages"),
    PROMETHEUS: Parity("reduced", f"{_OPEN}; one server"),
}


def plan(name: str, settings: TelemetrySettings, context: Context) -> Iterable[Resource]:  # noqa: ARG001
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
            parity=_PARITY.get(kind, _collectors_here(settings)),
            brought_by="" if kind == COLLECTOR else COLLECTOR,
        )


def _collectors_here(settings: TelemetrySettings) -> Parity:
    """On a cluster all traces are begun where nothing else is declared, and each is judged in one place."""
    asked, differs, begun = Range.parse(settings.collectors), [], settings.begun(everything=False)
    if begun < settings.begun(everything=True):
        differs.append(f"{begun:g} of all traces are begun; of others, services on the kit tell what fails or is slow")
    if begun > settings.sample and asked.low > 1:
        differs.append("each judges what it hears of a trace")
    if asked.low < asked.high:
        differs.append("the lower end of their range")
    return Parity("reduced", "; ".join(differs)) if differs else Parity()


COMPONENT = Component(
    kind=COLLECTOR,
    package=__name__,
    settings=Settings,
    plan=plan,
    section="telemetry",
    singleton=COLLECTOR,
)
