"""When an object counts as ready, by its kind. Pure; what is not in the table is ready as soon as it is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Body = Mapping[str, Any]


@dataclass(frozen=True)
class State:
    """``ready``, or why not; ``failed`` where waiting will not help."""

    ready: bool
    why: str = ""
    failed: bool = False


READY: Final = State(True)
Rule = Callable[[Body], State]


def state_of(found: Body) -> State:
    """The state of an object as the cluster tells it."""
    group = str(found["apiVersion"]).rpartition("/")[0]
    rule = _RULES.get((group, str(found["kind"]))) or _RULES.get((group, "*"))
    return rule(found) if rule is not None else READY


def has_rule(group: str, kind: str) -> bool:
    """Whether an object of that kind may have to be waited for."""
    return (group, kind) in _RULES or (group, "*") in _RULES


def _seen(found: Body) -> bool:
    """Whether its controller has seen what was applied."""
    generation = found["metadata"].get("generation", 0)
    return bool(found.get("status", {}).get("observedGeneration", generation) >= generation)


def _condition(found: Body, kind: str) -> Body | None:
    """A condition that speaks of the present generation."""
    generation = found["metadata"].get("generation", 0)
    for each in found.get("status", {}).get("conditions") or ():
        if each.get("type") == kind and each.get("observedGeneration", generation) >= generation:
            return dict(each)
    return None


def _told(condition: Body | None, kind: str) -> str:
    if condition is None:
        return f"not {kind} yet"
    return str(condition.get("message") or condition.get("reason") or f"{kind} is {condition.get('status')}")


def holds(*kinds: str) -> Rule:
    """Ready when each of the conditions is True."""

    def rule(found: Body) -> State:
        for kind in kinds:
            condition = _condition(found, kind)
            if condition is None or condition.get("status") != "True":
                return State(False, _told(condition, kind))
        return READY

    return rule


def says(field: str, *values: Any) -> Rule:
    """Ready when a field of the status has one of the values, or any where none is named."""

    def rule(found: Body) -> State:
        value = found.get("status", {}).get(field)
        if value in values or (not values and value):
            return READY
        told = found.get("status", {}).get("message")
        return State(False, str(told or (f"{field} is {value}" if value else f"no {field} yet")))

    return rule


def _deployment(found: Body) -> State:
    wanted, status = found["spec"].get("replicas", 1), found.get("status", {})
    progress = _condition(found, "Progressing")
    if progress is not None and progress.get("reason") == "ProgressDeadlineExceeded" and _seen(found):
        return State(False, str(progress.get("message")), failed=True)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if _seen(found) and "observedGeneration" in status and updated >= wanted and available >= wanted:
        old = status.get("replicas", 0) - updated
        return READY if old <= 0 else State(False, f"{old} of before still to go")
    return _counted(found, min(updated, available), wanted)


def _stateful_set(found: Body) -> State:
    wanted, status = found["spec"].get("replicas", 1), found.get("status", {})
    done = min(status.get("readyReplicas", 0), status.get("updatedReplicas", 0))
    if _seen(found) and "observedGeneration" in status and done >= wanted:
        return READY
    return _counted(found, done, wanted)


def _counted(found: Body, done: int, wanted: int) -> State:
    new = not _seen(found) or "observedGeneration" not in found.get("status", {})
    return State(False, "its controller has not seen it yet" if new else f"{done} of {wanted} replicas")


def _job(found: Body) -> State:
    if (failed := _condition(found, "Failed")) is not None and failed.get("status") == "True":
        return State(False, _told(failed, "Complete"), failed=True)
    return holds("Complete")(found)


def _route(found: Body) -> State:
    """Each parent must have accepted it."""
    parents = found.get("status", {}).get("parents") or ()
    for parent in parents:
        accepted = [each for each in parent.get("conditions", ()) if each.get("type") == "Accepted"]
        if not accepted or accepted[0].get("status") != "True":
            return State(False, _told(accepted[0] if accepted else None, "Accepted"))
    return READY if parents else State(False, "no gateway has taken it yet")


def _terminating(found: Body) -> State:
    phase = found.get("status", {}).get("phase", "Active")
    return READY if phase == "Active" else State(False, f"it is {phase}", failed=phase == "Terminating")


_RULES: Final[Mapping[tuple[str, str], Rule]] = {
    ("", "Namespace"): _terminating,
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "Job"): _job,
    ("bitnami.com", "SealedSecret"): holds("Synced"),
    ("cert-manager.io", "*"): holds("Ready"),
    ("gateway.networking.k8s.io", "Gateway"): holds("Programmed"),
    ("gateway.networking.k8s.io", "HTTPRoute"): _route,
    ("k8s.mariadb.com", "*"): holds("Ready"),
    ("kafka.strimzi.io", "Kafka"): holds("Ready"),
    ("kafka.strimzi.io", "KafkaTopic"): holds("Ready"),
    ("kafka.strimzi.io", "KafkaUser"): holds("Ready"),
    ("keda.sh", "ScaledObject"): holds("Ready"),
    ("mongodbcommunity.mongodb.com", "MongoDBCommunity"): says("phase", "Running"),
    ("postgresql.cnpg.io", "Cluster"): holds("Ready"),
    ("postgresql.cnpg.io", "Database"): says("applied", True),
    ("postgresql.cnpg.io", "DatabaseRole"): says("applied", True),
    ("redis.redis.opstreelabs.in", "RedisReplication"): says("masterNode"),
}
"""By group and kind; ``*`` stands for all kinds of a group."""
