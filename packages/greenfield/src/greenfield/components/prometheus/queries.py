"""PromQL on Kubernetes, in one place: what alerts watch and dashboards draw is the same expression.

Requests are counted where they arrive, by Istio's sidecars (``istio_requests_total``,
``istio_request_duration_milliseconds``), and by services that tell of themselves; pods by kube-state-metrics; volumes
by the kubelet.
"""

from __future__ import annotations

from typing import Final

from greenfield.model.plan import Plan, Resource

SERVICE: Final = "destination_service_name"
WINDOW: Final = "5m"
REQUESTS: Final = "http_server_request_duration_seconds"
STATEMENTS: Final = "db_client_operation_duration_seconds"
PROCESSING: Final = "messaging_process_duration_seconds"
"""What services tell of themselves by OpenTelemetry, under the names that Prometheus gives it."""


def stores(plan: Plan) -> tuple[Resource, ...]:
    """What keeps data that services use: databases, topics, caches."""
    return tuple(resource for resource in plan.resources if any(part.kind != "service" for part in resource.parts))


def has_topics(plan: Plan) -> bool:
    """Whether anybody can lag behind."""
    return any(part.kind == "topic" for resource in plan.resources for part in resource.parts)


def requests(plan: Plan, more: str = "") -> str:
    """Requests a second by service."""
    return f"sum by ({SERVICE}) (rate(istio_requests_total{{{_arrived(plan)}{more}}}[{WINDOW}]))"


def error_share(plan: Plan) -> str:
    """The share of requests that were answered 5xx, or not at all, by service; 0 where there was none."""
    failed = requests(plan, ',response_code=~"5..|0"')
    return f"({failed} or {requests(plan)} * 0) / {requests(plan)}"


def latency(plan: Plan, quantile: float) -> str:
    """Seconds within which that share of requests was answered, by service."""
    buckets = f"rate(istio_request_duration_milliseconds_bucket{{{_arrived(plan)}}}[{WINDOW}])"
    return f"histogram_quantile({quantile:g}, sum by ({SERVICE}, le) ({buckets})) / 1000"


def told_latency(plan: Plan, what: str) -> str:
    """Seconds within which 99 of 100 took what a service told, by service; its points stand for traces."""
    return f"histogram_quantile(0.99, sum by (job, le) (rate({what}_bucket{{{here(plan)}}}[{WINDOW}])))"


def lag(plan: Plan) -> str:
    """Messages that a group has not consumed yet, by group and topic."""
    return f"sum by (consumergroup, topic) (kafka_consumergroup_lag{{{here(plan)}}})"


def ready_pods(plan: Plan, store: Resource) -> str:
    """How many pods of a store are ready; nothing where there is none at all."""
    return f"sum({_ready(plan, store)})"


def ready_share(plan: Plan, store: Resource) -> str:
    """How many of the pods of a store are ready, of 1; 0 where there is none at all."""
    return f"avg({_ready(plan, store)}) or vector(0)"


def volumes_used(plan: Plan) -> str:
    """The share of each volume that is taken."""
    return f"kubelet_volume_stats_used_bytes{{{here(plan)}}} / kubelet_volume_stats_capacity_bytes{{{here(plan)}}}"


def spans(plan: Plan, *what: str) -> str:
    """Spans a second that met one of these fates, by resource; collectors of other versions count without a suffix."""
    names = "|".join(f"otelcol_{each}_spans(_total)?" for each in what)
    return f'sum by (job) (rate({{__name__=~"{names}",{here(plan)}}}[{WINDOW}]))'


def here(plan: Plan) -> str:
    """The matcher of the platform's namespace."""
    return f'namespace="{plan.name}"'


def _arrived(plan: Plan) -> str:
    return f'reporter="destination",destination_service_namespace="{plan.name}"'


def _ready(plan: Plan, store: Resource) -> str:
    return f'kube_pod_status_ready{{{here(plan)},condition="true",{_pods_of(plan, store)}}}'


def _pods_of(plan: Plan, store: Resource) -> str:
    """Operators number pods: ``postgres-1``, ``kafka-broker-0``. A resource whose name begins like it is left out."""
    longer = [other.name for other in plan.resources if other.name.startswith(f"{store.name}-")]
    others = "".join(f',pod!~"{_numbered(name)}"' for name in longer)
    return f'pod=~"{_numbered(store.name)}"{others}'


def _numbered(name: str) -> str:
    return f"{name}(-[a-z]+)?-[0-9]+"
