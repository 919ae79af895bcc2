"""Why something does not become ready: what its pods, and the events about it, say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from greenfield.errors import ClusterError
from greenfield.targets.kubernetes.live.api import Api, Refusal
from greenfield.targets.kubernetes.object import Object

_MOST: Final = 4  # lines for each object


async def symptoms(api: Api, found: Object) -> list[str]:
    """A few lines; none where nobody may look, or nothing is told."""
    try:
        lines = [*await _of_pods(api, found), *await _of_events(api, found)]
    except (Refusal, ClusterError):
        return []
    return list(dict.fromkeys(lines))[:_MOST]


async def _of_pods(api: Api, found: Object) -> list[str]:
    selector = (found.manifest.get("spec", {}).get("selector") or {}).get("matchLabels")
    if found.kind == "Job":
        selector = {"batch.kubernetes.io/job-name": found.name}
    if found.group not in ("apps", "batch") or not selector:
        return []
    query = {"labelSelector": ",".join(f"{key}={value}" for key, value in selector.items())}
    pods = (await api.get(f"/api/v1/namespaces/{found.namespace}/pods", query))["items"]
    return [line for pod in pods for line in _of_pod(pod)]


def _of_pod(pod: Mapping[str, Any]) -> Iterator[str]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield f"{name} is not scheduled: {condition.get('message', condition.get('reason', ''))}"
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = container.get("state", {})
        for how in ("waiting", "terminated"):
            told = state.get(how)
            if told and told.get("reason") not in (None, "Completed", "ContainerCreating", "PodInitializing"):
                yield f"{name}, {container['name']}: {told['reason']} {told.get('message', '')}".strip()


async def _of_events(api: Api, found: Object) -> list[str]:
    if not found.namespace:
        return []
    query = {"fieldSelector": f"involvedObject.kind={found.kind},involvedObject.name={found.name},type=Warning"}
    events = (await api.get(f"/api/v1/namespaces/{found.namespace}/events", query))["items"]
    return [f"{event.get('reason', '')}: {event.get('message', '')}" for event in events[-_MOST:]]
