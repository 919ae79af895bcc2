"""The configurations of collectors on Kubernetes.

One collector does everything. Where there may be more, any of them hears a service (the front), but a trace is judged,
and a series held, in one place: the front hands both on by trace id and by resource to a tail of fixed size. Where
all that is begun is kept there is nothing to judge, and the front tells Jaeger itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from greenfield.components.collector.judgement import judges
from greenfield.model.plan import Plan, Resource
from greenfield.model.quantity import Range
from greenfield.programs.opentelemetry import CERTIFICATE, HEALTH, OTLP, listening, telling
from greenfield.programs.telemetry import JAEGER, TelemetrySettings, calling, serving

SERIES: Final = 8889
_TRACES: Final = 20_000  # held until they are judged, at most 200 MB at 10 kB each
_QUEUED_SPANS: Final = 10_000
_MOST_TAILS, _FEWEST_TAILS = 3, 2


@dataclass(frozen=True)
class Tier:
    """Collectors of one configuration. ``hears``: services send to it; ``holds``: it shows their series."""

    name: str
    replicas: Range
    configuration: Mapping[str, Any] = field(repr=False)
    hears: bool
    holds: bool


def tiers(resource: Resource, plan: Plan) -> tuple[Tier, ...]:
    """One, or the front and the tail."""
    settings = settings_of(resource)
    asked, name, tail = Range.parse(settings.collectors), resource.name, tail_of(resource)
    if asked.high == 1:
        alone = _configuration(name, _HEARD, _judged(settings), [*_jaegers(plan)], _held())
        return (Tier(name, asked, alone, hears=True, holds=True),)
    fixed = min(_MOST_TAILS, max(_FEWEST_TAILS, asked.low))
    spans = _balanced("traceID", tail) if _judged(settings) else [*_jaegers(plan)]
    front = _configuration(name, _HEARD, {}, spans, _balanced("resource", tail))
    after = _configuration(tail, _HANDED_ON, _judged(settings), [*_jaegers(plan)], _held())
    return (
        Tier(name, asked, front, hears=True, holds=False),
        Tier(tail, Range(fixed, fixed), after, hears=False, holds=True),
    )


def tail_of(resource: Resource) -> str:
    """The second tier, and its headless Service."""
    return f"{resource.name}-tail"


def settings_of(resource: Resource) -> TelemetrySettings:
    """What the declaration says of telemetry."""
    assert isinstance(resource.settings, TelemetrySettings)
    return resource.settings


Exporters = Sequence[tuple[str, Mapping[str, Any]]]

_HEARD: Final = {"endpoint": listening(OTLP)}  # by the sidecar in the same pod, which knows who sends
_HANDED_ON: Final = {
    "endpoint": listening(OTLP),
    "tls": serving(CERTIFICATE, CERTIFICATE.ca, client_ca_file_reload=True),
}


def _configuration(
    name: str, door: Mapping[str, Any], judges: Mapping[str, Any], spans: Exporters, series: Exporters
) -> dict[str, Any]:
    return {
        "receivers": {"otlp": {"protocols": {"grpc": dict(door)}}},
        "processors": {
            "memory_limiter": {"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 20},
            "batch": {"timeout": "500ms", "send_batch_size": 512, "send_batch_max_size": 1024},
            **judges,
        },
        "exporters": {exporter: dict(config) for exporter, config in (*spans, *series)},
        "extensions": {"health_check": {"endpoint": listening(HEALTH)}},
        "service": {
            "extensions": ["health_check"],
            "pipelines": {
                "traces": _pipeline([exporter for exporter, _ in spans], [*judges, "batch"]),
                "metrics": _pipeline([exporter for exporter, _ in series], ["batch"]),
            },
            "telemetry": telling(name),
        },
    }


def _pipeline(exporters: Sequence[str], processors: Sequence[str]) -> dict[str, Any]:
    return {"receivers": ["otlp"], "processors": ["memory_limiter", *processors], "exporters": list(exporters)}


def _judged(settings: TelemetrySettings) -> dict[str, Any]:
    return judges(settings, settings.begun(everything=True), _TRACES)


def _balanced(key: str, tail: str) -> Exporters:
    """To the one of the tail that the key falls to. Its certificate has the name of all: addresses come and go."""
    config = {
        "routing_key": key,
        "protocol": {"otlp": {"tls": {**calling(CERTIFICATE), "server_name_override": tail}, "timeout": "5s"}},
        "resolver": {"dns": {"hostname": tail, "port": str(OTLP), "interval": "5s"}},
        **_patience(),
    }
    return [(f"load_balancing/{'spans' if key == 'traceID' else 'series'}", config)]


def _jaegers(plan: Plan) -> Exporters:
    return [
        (f"otlp/{store.name}", {"endpoint": f"{store.name}:{OTLP}", "tls": calling(CERTIFICATE), **_patience()})
        for store in plan.of_kind(JAEGER)
    ]


def _patience() -> dict[str, Any]:
    """A bounded queue, and a minute of trying again; then it is dropped, and whoever sent it goes on."""
    return {
        "sending_queue": {"sizer": "items", "queue_size": _QUEUED_SPANS},
        "retry_on_failure": {"initial_interval": "500ms", "max_interval": "5s", "max_elapsed_time": "60s"},
    }


def _held() -> Exporters:
    """Series as services told them, until Prometheus has read them."""
    config = {
        "endpoint": listening(SERIES),
        "tls": serving(CERTIFICATE, CERTIFICATE.ca),
        "metric_expiration": "2m",
        "enable_open_metrics": True,
    }
    return [("prometheus", config)]
