"""Every operator's resource definitions in a running cluster, as if the operators had been installed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from support.control_plane import Cluster
from support.platform import wait_for
from support.schemas import every_definition

Object = dict[str, Any]

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
AT_ONCE = 6
SERVED_S = 300.0  # of a machine that has other things to do; three seconds of a quiet one


def install(cluster: Cluster, definitions: Sequence[Object] = ()) -> list[str]:
    """Applies the definitions, all where none are given, and waits until each is served and told of. Their names."""
    wanted = definitions or every_definition()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="definitions") as pool:
        names = sorted(pool.map(lambda each: _install(cluster, each), wanted))
    groups = {path.rpartition("/")[0].lstrip("/") for each in wanted for path in _served(each)}
    wait_for("the server's OpenAPI", lambda: groups <= cluster.get("/openapi/v3")["paths"].keys(), SERVED_S)
    return names


def remove(cluster: Cluster, name: str) -> None:
    """Takes one definition away, and with it all objects of its kind; returns when it is gone."""
    path = f"{DEFINITIONS}/{name}"
    cluster.client.delete(path).raise_for_status()
    wait_for(f"{name} to be gone", lambda: cluster.client.get(path).status_code == httpx.codes.NOT_FOUND, SERVED_S)


def _install(cluster: Cluster, definition: Object) -> str:
    name: str = definition["metadata"]["name"]
    cluster.apply(f"{DEFINITIONS}/{name}", definition, manager="operators")
    paths = _served(definition)
    wait_for(f"{name} to be served", lambda: all(cluster.client.get(path).is_success for path in paths), SERVED_S)
    return name


def _served(definition: Object) -> list[str]:
    """Where its objects are listed, in each of the versions that are served."""
    spec = definition["spec"]
    versions = [each["name"] for each in spec["versions"] if each["served"]]
    return [f"/apis/{spec['group']}/{version}/{spec['names']['plural']}" for version in versions]
