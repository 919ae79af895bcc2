"""What somebody must be told of: few alerts, each of a symptom, with what to look at first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from greenfield.components.prometheus.queries import (
    SERVICE,
    error_share,
    has_topics,
    here,
    lag,
    latency,
    ready_share,
    requests,
    spans,
    stores,
    volumes_used,
)
from greenfield.model.plan import Plan

ERROR_SHARE = 0.05
SLOW_S = 1.0
LAGGING = 1000  # messages
SOON_DAYS = 14  # certificates are renewed 30 days before their end: so late, something keeps them from it
FULL = 0.85


@dataclass(frozen=True)
class Alert:
    """``expr`` holds for ``lasting`` before anybody is told. ``summary`` and ``look`` may use Prometheus' templates."""

    name: str
    expr: str
    lasting: str
    severity: Literal["critical", "warning"]
    summary: str
    look: str


def alerts(plan: Plan) -> Iterator[Alert]:
    """All of a platform."""
    yield from _services(plan)
    yield from _pods(plan)
    if has_topics(plan):
        yield Alert(
            "ConsumerLag",
            f"{lag(plan)} > {LAGGING} and deriv({lag(plan)}[10m:1m]) > 0",
            "10m",
            "warning",
            "{{ $labels.consumergroup }} falls behind on {{ $labels.topic }}: {{ $value }} messages",
            "Is the consumer up, does it fail on one message, are there more partitions than replicas?",
        )
    yield from _stores(plan)
    yield from _certificates(plan)
    yield from _telemetry(plan)


def rule(alert: Alert, plan: Plan) -> dict[str, Any]:
    """As Prometheus reads it."""
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.lasting,
        "labels": {"severity": alert.severity, "platform": plan.name},
        "annotations": {"summary": alert.summary, "description": alert.look},
    }


def _services(plan: Plan) -> Iterator[Alert]:
    if not plan.of_kind("service"):
        return
    yield Alert(
        "ErrorRate",
        f"{error_share(plan)} > {ERROR_SHARE} and {requests(plan)} > 0.1",
        "5m",
        "critical",
        f"{{{{ $labels.{SERVICE} }}}} fails {{{{ $value | humanizePercentage }}}} of its requests",
        "Look for traces with an error in Jaeger, and at what it uses.",
    )
    yield Alert(
        "Latency",
        f"{latency(plan, 0.99)} > {SLOW_S} and {requests(plan)} > 0.1",
        "10m",
        "warning",
        f"one in a hundred requests to {{{{ $labels.{SERVICE} }}}} takes {{{{ $value | humanizeDuration }}}}",
        "Look at the slowest traces in Jaeger: is it the service, or what it calls?",
    )


def _pods(plan: Plan) -> Iterator[Alert]:
    yield Alert(
        "NoReplica",
        f"kube_deployment_status_replicas_available{{{here(plan)}}} == 0",
        "1m",
        "critical",
        "nothing of {{ $labels.deployment }} is there",
        "kubectl describe pods: the image, the probes, a missing Secret, a quota?",
    )
    yield Alert(
        "ReplicaUnavailable",
        f"kube_deployment_status_replicas_unavailable{{{here(plan)}}} > 0"
        f" or kube_statefulset_replicas{{{here(plan)}}} - kube_statefulset_status_replicas_ready{{{here(plan)}}} > 0",
        "15m",
        "warning",
        "{{ $labels.deployment }}{{ $labels.statefulset }} lacks {{ $value }} replicas",
        "kubectl describe pods: do they not schedule, not start, or not become ready?",
    )
    yield Alert(
        "Restarting",
        f"increase(kube_pod_container_status_restarts_total{{{here(plan)}}}[15m]) > 3",
        "0m",
        "warning",
        "{{ $labels.container }} of {{ $labels.pod }} starts again and again",
        "kubectl logs --previous: what did it say last? OOMKilled asks for a larger size.",
    )
    yield Alert(
        "JobFailed",
        f"kube_job_status_failed{{{here(plan)}}} > 0",
        "0m",
        "critical",
        "the job {{ $labels.job_name }} failed",
        "kubectl logs job/…: a migration or a grant was not made; deploy again when it can be.",
    )


def _stores(plan: Plan) -> Iterator[Alert]:
    for store in stores(plan):
        yield Alert(
            "StoreDown",
            f"({ready_share(plan, store)}) <= 0.5",
            "1m",
            "critical",
            f"only {{{{ $value | humanizePercentage }}}} of {store.name} is ready",
            f"kubectl get pods: what of {store.name} is not ready, on which nodes and in which zones?",
        )
    if stores(plan):
        yield Alert(
            "VolumeFull",
            f"{volumes_used(plan)} > {FULL}",
            "15m",
            "warning",
            "{{ $labels.persistentvolumeclaim }} is {{ $value | humanizePercentage }} full",
            "Raise `storage` in the declaration, where its class can grow; or keep less.",
        )


def _certificates(plan: Plan) -> Iterator[Alert]:
    until = f"certmanager_certificate_expiration_timestamp_seconds{{{here(plan)}}} - time()"
    yield Alert(
        "CertificateExpires",
        f"{until} < {SOON_DAYS} * 86400",
        "1h",
        "critical",
        "the certificate {{ $labels.name }} ends in {{ $value | humanizeDuration }}",
        "kubectl describe certificate: why does cert-manager not renew it?",
    )
    yield Alert(
        "CertificateNotReady",
        f'certmanager_certificate_ready_status{{{here(plan)},condition!="True"}} == 1',
        "15m",
        "warning",
        "the certificate {{ $labels.name }} is not ready",
        "kubectl describe certificate, and its request: does the issuer refuse?",
    )


def _telemetry(plan: Plan) -> Iterator[Alert]:
    yield Alert(
        "SpansLost",
        f"{spans(plan, 'exporter_send_failed', 'exporter_enqueue_failed', 'receiver_refused')} > 0",
        "10m",
        "warning",
        "{{ $labels.job }} drops {{ $value }} spans a second",
        "Is Jaeger up and its volume not full? Else there are too few collectors.",
    )
