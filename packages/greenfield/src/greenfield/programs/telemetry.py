"""What the collector, the stores it brings along, and whoever tells them something agree on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from greenfield.model.binding import Leaf
from greenfield.model.content import Content, text
from greenfield.model.local import File, Site
from greenfield.model.plan import Member, Plan, Resource
from greenfield.model.proof import Observation
from greenfield.model.quantity import Range, seconds
from greenfield.model.tool import Debian, GoBuild, Tool
from greenfield.programs.quantities import Duration

COLLECTOR, JAEGER, PROMETHEUS = "collector", "jaeger", "prometheus"
OTLP_PORT, METRICS_PORT = "otlp", "metrics"
MOST_COLLECTORS = 100
METRICS_EVERY_MS = 10_000  # how often a service tells its series
RELOAD = "60s"  # how often a Go program looks whether its certificate was renewed

OPENTELEMETRY = Tool(
    name="jaeger", sources=(GoBuild("github.com/jaegertracing/jaeger", "v1.76.0", "./cmd/jaeger", "jaeger", 6.0),)
)
"""Jaeger v2, which is a distribution of the OpenTelemetry collector: one program for both."""

BUILDING = Observation(None, "its program is still being built (greenfield logs tools)", skipped=True)
"""What a proof meets that needs it before it is there."""

PROMETHEUS_SERVER = Tool(
    name="prometheus",
    sources=(
        Debian(
            ("prometheus",),
            {"prometheus": "usr/bin/prometheus"},
            dependencies="libjs-.*|fonts-glyphicons-halflings",  # of its pages
            without=("usr/bin/promtool", "usr/share/javascript/moment-timezone/data", "usr/share/doc"),
        ),
    ),
)
PROMETHEUS_PAGES = "usr/share/prometheus/web/"


def _collectors(value: int | str) -> int | str:
    asked = Range.parse(value)
    if asked.low < 1 or asked.high > MOST_COLLECTORS:
        raise ValueError(f"there can be 1 to {MOST_COLLECTORS} collectors, not {asked}: to have none, `telemetry: off`")
    return value


def _slow(value: str) -> str:
    if seconds(value) < 1:
        raise ValueError(f"nothing is slow after {value}, or everything is: write at least 1s")
    return value


class TelemetrySettings(BaseModel):
    """Telemetry: traces and metrics of every service. On unless ``off``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    enabled: bool = True
    """Whether there is any: ``telemetry: off`` is short for false."""
    sample: float = Field(default=1.0, ge=0.0, le=1.0)
    """The share of traces that is kept; those that fail or are slow are kept besides."""
    slow: Annotated[Duration, AfterValidator(_slow)] = "1s"
    """How long it takes to be slow."""
    begin: float | None = Field(default=None, ge=0.0, le=1.0)
    """The share of traces that everybody tells whole; of others, the kit tells what fails or is slow. Not below
    ``sample``, which is the default on one machine; on a cluster it is all."""
    retention: Duration = "24h"
    """How long spans and series are kept."""
    collectors: Annotated[int | str, AfterValidator(_collectors)] = 1
    """How many collectors: a number, or a range that is autoscaled, such as ``2..5``."""

    @model_validator(mode="before")
    @classmethod
    def _on_or_off(cls, value: Any) -> Any:
        return {"enabled": value} if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _enough(self) -> TelemetrySettings:
        if self.begin is not None and self.begin < self.sample:
            raise ValueError(f"no more than what is begun can be kept: begin {self.sample:g} of all traces, or more")
        return self

    def begun(self, *, everything: bool) -> float:
        """The share of traces that is begun; ``everything``: all, where nothing is declared."""
        return self.begin if self.begin is not None else 1.0 if everything else self.sample


class StoreSettings(BaseModel):
    """A store of spans or series; the collector says how it is, nobody declares it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    retention: Duration = "24h"
    """How long spans or series are kept."""


# --- names ----------------------------------------------------------------------------------------------------------


def otlp_port(member: str) -> str:
    """The claim of the port where a collector, or Jaeger, takes OTLP over gRPC."""
    return f"{member}/{OTLP_PORT}"


def metrics_port(process: str, slot: int | None = None) -> str:
    """The claim of a port where a process, in a slot, tells its series.

    Whoever claims one by this name is scraped: it serves ``/metrics`` by TLS, with a certificate of the services'
    authority, to clients that show one of the platform's.
    """
    return f"{process}/{METRICS_PORT}" if slot is None else f"{process}/{METRICS_PORT}/{slot}"


def metrics_ports(site: Site) -> Iterator[tuple[str, int, tuple[str, int]]]:
    """Process, slot and address of every port that is scraped."""
    for name, address in sorted(site.ports.items()):
        process, _, rest = name.partition("/")
        port, _, slot = rest.partition("/")
        if port == METRICS_PORT:
            yield process, int(slot or 0), address


def internal(name: str) -> str:
    """The leaf of a part of telemetry for links inside the platform."""
    return f"{name}-internal"


# --- who tells ------------------------------------------------------------------------------------------------------


def collectors(plan: Plan) -> Resource | None:
    """The collectors; None where telemetry is off, or does not run here."""
    return next(iter(plan.of_kind(COLLECTOR)), None)


def told(plan: Plan) -> TelemetrySettings:
    """What is declared of telemetry."""
    found = collectors(plan)
    assert found is not None
    assert isinstance(found.settings, TelemetrySettings)
    return found.settings


def begun(plan: Plan) -> float:
    """The share of traces that is begun here; 0 without telemetry."""
    return told(plan).begun(everything=False) if collectors(plan) is not None else 0.0


def collector_of(collectors: Resource, member: Member) -> Member:
    """The collector that a member tells: the same at every start, one of its own zone where there is any."""
    near = [each for each in collectors.members if each.zone == member.zone] or list(collectors.members)
    return near[member.index % len(near)]


def exporting(plan: Plan, site: Site, service: Resource, member: Member) -> Mapping[str, Content]:
    """The ``OTEL_*`` variables of a replica, as every OpenTelemetry SDK reads them.

    The service shows its own certificate to the collector. Without telemetry there is one variable, which says so.
    """
    if (found := collectors(plan)) is None:
        return {"OTEL_SDK_DISABLED": text("true")}
    leaf = site.leaves[service.name]
    tls = {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": leaf.ca,
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": leaf.certificate,
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": leaf.key,
    }
    endpoint = f"https://{site.endpoint(otlp_port(collector_of(found, member).name))}"
    attributes = {"service.instance.id": member.name, "deployment.environment.name": plan.environment}
    variables = sdk(service.name, endpoint, attributes, told(plan), begun(plan)) | tls
    return {name: text(value) for name, value in variables.items()}


def sdk(
    service: str, endpoint: str, attributes: Mapping[str, str], settings: TelemetrySettings, share: float
) -> dict[str, str]:
    """The variables of an OpenTelemetry SDK that tells ``endpoint``; attributes without a value are left out.

    ``share`` is that of the traces that are begun where none is yet. A measured value stands for its trace where that
    is kept: an SDK cannot know that where collectors judge, but the kit knows what they always keep.
    """
    judged = share > settings.sample
    return {
        "OTEL_SERVICE_NAME": service,
        "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{name}={value}" for name, value in attributes.items() if value),
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_METRIC_EXPORT_INTERVAL": f"{METRICS_EVERY_MS}",
        "OTEL_METRICS_EXEMPLAR_FILTER": "always_off" if judged else "trace_based",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_PROPAGATORS": "tracecontext,baggage",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": f"{share:g}",
        "OTEL_GREENFIELD_SLOW": f"{seconds(settings.slow) * 1000}",
        **({"OTEL_GREENFIELD_JUDGED": "true"} if judged else {}),
    }


# --- configuration of Go programs -----------------------------------------------------------------------------------


def configuration(path: str, config: Mapping[str, Any]) -> File:
    """A collector's configuration. JSON is YAML, and a ``$`` in it would stand for a variable."""
    return File(path=path, content=text(json.dumps(config).replace("$", "$$")))


def serving(leaf: Leaf, trusted: str, **more: Any) -> dict[str, Any]:
    """A collector's TLS towards clients that show a certificate of the bundle ``trusted``."""
    return {
        "cert_file": leaf.certificate,
        "key_file": leaf.key,
        "client_ca_file": trusted,
        "min_version": "1.3",
        "reload_interval": RELOAD,
        **more,
    }


def calling(leaf: Leaf) -> dict[str, Any]:
    """A collector's TLS towards a server of the leaf's own authority."""
    return {
        "ca_file": leaf.ca,
        "cert_file": leaf.certificate,
        "key_file": leaf.key,
        "min_version": "1.3",
        "reload_interval": RELOAD,
    }


def small_go(limit_mib: int, growth: int = 50) -> Mapping[str, Content]:
    """The environment of a Go program that is to stay small.

    It collects its garbage when its heap has grown by ``growth`` percent, and ever more often near the limit: what it
    keeps for good must stay well below that, or it does nothing else.
    """
    return {"GOMEMLIMIT": text(f"{limit_mib}MiB"), "GOGC": text(str(growth)), "GOMAXPROCS": text("2")}


def resource_names(plan: Plan, processes: Iterable[str]) -> Mapping[str, str]:
    """The resource of each process, by the member it is, or stands beside."""
    members = {member.name: resource.name for resource in plan.resources for member in resource.members}
    return {
        process: members[found]
        for process in processes
        if (found := max((m for m in members if f"{process}-".startswith(f"{m}-")), key=len, default=""))
    }


def no_proc(folder: str) -> Mapping[str, Content]:
    """Keeps a collector from looking for itself in ``/proc``, where a pid namespace hides it and it would give up."""
    return {"HOST_PROC": text(folder)}
