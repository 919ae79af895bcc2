"""When an object counts as ready: data, as controllers write it."""

from __future__ import annotations

from typing import Any

import pytest

from greenfield.targets.kubernetes.live.readiness import has_rule, state_of


def body(version: str, kind: str, status: Any, generation: int = 2, **spec: Any) -> dict[str, Any]:
    """An object."""
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "x", "generation": generation},
        "spec": spec,
        "status": status,
    }


def condition(kind: str, status: str, **more: Any) -> dict[str, Any]:
    """A status of one condition."""
    return {"conditions": [{"type": kind, "status": status, **more}]}


def deployment(**status: Any) -> dict[str, Any]:
    """Three replicas are wanted."""
    return body("apps/v1", "Deployment", {"observedGeneration": 2, **status}, replicas=3)


READY = [
    deployment(replicas=3, updatedReplicas=3, availableReplicas=3),
    body("apps/v1", "StatefulSet", {"observedGeneration": 2, "readyReplicas": 1, "updatedReplicas": 1}, replicas=1),
    body("batch/v1", "Job", condition("Complete", "True")),
    body("cert-manager.io/v1", "Certificate", condition("Ready", "True")),
    body("postgresql.cnpg.io/v1", "Database", {"applied": True}),
    body("mongodbcommunity.mongodb.com/v1", "MongoDBCommunity", {"phase": "Running"}),
    body("redis.redis.opstreelabs.in/v1beta2", "RedisReplication", {"masterNode": "cache-0"}),
    body("gateway.networking.k8s.io/v1", "HTTPRoute", {"parents": [condition("Accepted", "True")]}),
    body("v1", "ConfigMap", {}),
    body("networking.istio.io/v1", "Sidecar", {}),
]
WAITING = [
    (deployment(replicas=3, updatedReplicas=3, availableReplicas=2), "2 of 3 replicas"),
    (deployment(replicas=4, updatedReplicas=3, availableReplicas=3), "1 of before still to go"),
    (deployment(observedGeneration=1, replicas=3, updatedReplicas=3, availableReplicas=3), "has not seen it"),
    (body("apps/v1", "Deployment", {}, replicas=3), "has not seen it"),
    (body("apps/v1", "StatefulSet", {"observedGeneration": 2, "readyReplicas": 2}, replicas=2), "0 of 2"),
    (body("batch/v1", "Job", {}), "not Complete yet"),
    (body("cert-manager.io/v1", "Certificate", condition("Ready", "False", message="no issuer")), "no issuer"),
    (body("kafka.strimzi.io/v1", "Kafka", condition("Ready", "True", observedGeneration=1)), "not Ready yet"),
    (body("postgresql.cnpg.io/v1", "Database", {"applied": False, "message": "no owner"}), "no owner"),
    (body("mongodbcommunity.mongodb.com/v1", "MongoDBCommunity", {"phase": "Pending"}), "phase is Pending"),
    (body("gateway.networking.k8s.io/v1", "HTTPRoute", {}), "no gateway"),
]
FAILED = [
    (deployment(**condition("Progressing", "False", reason="ProgressDeadlineExceeded", message="late")), "late"),
    (body("batch/v1", "Job", condition("Failed", "True", message="BackoffLimitExceeded")), "BackoffLimitExceeded"),
    (body("v1", "Namespace", {"phase": "Terminating"}), "Terminating"),
]


@pytest.mark.parametrize("found", READY, ids=lambda found: found["kind"])
def test_it_is_ready(found: dict[str, Any]) -> None:
    """Nothing more to wait for; nor is there where no rule is."""
    assert state_of(found).ready


@pytest.mark.parametrize(("found", "why"), WAITING)
def test_it_is_waited_for(found: dict[str, Any], why: str) -> None:
    """And says what for."""
    state = state_of(found)
    assert (state.ready, state.failed) == (False, False)
    assert why in state.why


@pytest.mark.parametrize(("found", "why"), FAILED)
def test_waiting_would_not_help(found: dict[str, Any], why: str) -> None:
    """It failed for good."""
    state = state_of(found)
    assert state.failed
    assert why in state.why


def test_what_is_only_read_is_not_asked_about() -> None:
    """No request is spent on it."""
    assert has_rule("apps", "Deployment")
    assert has_rule("cert-manager.io", "Issuer")
    assert not has_rule("", "ConfigMap")
