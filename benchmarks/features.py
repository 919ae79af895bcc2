"""Sidecars of one service that differ in a feature: the running one's configuration, with what is asked about left out.

They stand on Unix sockets of their own, before the same service.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.load import Target
from benchmarks.ways import PATH, SIDECAR, Ends, Way
from greenfield.programs import envoy
from greenfield.toolchain.chain import Toolchain, default_cache
from greenfield.toolchain.progress import Silent

PATIENCE_S = 20.0
FEATURES = ("mTLS", "authorization", "tracing")
LADDER = ((), ("mTLS",), ("mTLS", "authorization"), FEATURES)


@contextmanager
def sidecars(ends: Ends) -> Iterator[list[Way]]:
    """One Envoy for each step of the ladder; gone at the end."""
    program = Toolchain(default_cache(os.environ), Silent()).obtain([envoy.ENVOY])[envoy.ENVOY.name].programs["envoy"]
    whole = json.loads((ends.platform.paths.scratch / f"{SIDECAR}-0" / "envoy.json").read_text())
    with tempfile.TemporaryDirectory(prefix="greenfield-bench-") as folder, ExitStack() as stack:
        ways = []
        for step, features in enumerate(LADDER):
            socket, file = Path(folder, f"{step}.sock"), Path(folder, f"{step}.json")
            file.write_text(json.dumps(_with_only(whole, features, str(socket))))
            running = subprocess.Popen(envoy.argv(program, str(file)))
            stack.callback(running.wait)
            stack.callback(running.terminate)
            _wait_for(socket, running)
            leaf = ends.leaf("gateway") if "mTLS" in features else None
            name = ", ".join(features) or "nothing"
            ways.append(Way(name, Target(f"unix:{socket}", PATH, leaf=leaf), {name: running.pid}))
        yield ways


def _with_only(whole: dict[str, Any], features: tuple[str, ...], socket: str) -> dict[str, Any]:
    config = copy.deepcopy(whole)
    resources = config["static_resources"]
    (inward,) = (each for each in resources["listeners"] if each["name"] == "inward")
    resources["listeners"] = [inward]
    inward["address"] = {"pipe": {"path": socket, "mode": 0o600}}
    config["admin"]["address"]["pipe"]["path"] = f"{socket}.admin"
    (chain,) = inward["filter_chains"]
    manager = chain["filters"][0]["typed_config"]
    if "mTLS" not in features:
        del chain["transport_socket"]
    if "authorization" not in features:
        manager["http_filters"] = manager["http_filters"][-1:]
    if "tracing" not in features:
        del manager["tracing"]
    return config


def _wait_for(socket: Path, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not socket.exists():
        if running.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("an Envoy does not start")
        time.sleep(0.02)
