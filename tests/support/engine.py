"""Graphs of small real programs, and a supervisor to run them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greenfield.model.local import Graph, ListenProbe, Process, Task
from greenfield.targets.local import client
from greenfield.targets.local.client import Supervisor
from greenfield.targets.local.paths import StatePaths
from greenfield.targets.local.sweep import tagged
from support.platform import wait_for

SERVER = """
import http.server, os, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = (os.environ.get("SAY", "") + " " + str(os.getpid())).encode()
        self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
"""


def free_port() -> int:
    """A port nobody holds at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Rig:
    """One folder, its supervisor, and what its reconciles told."""

    root: Path
    python: str
    events: list[Mapping[str, Any]] = field(default_factory=list)
    _runs: set[str] = field(default_factory=set)

    @property
    def paths(self) -> StatePaths:
        """The folders."""
        return StatePaths(self.root)

    @property
    def supervisor(self) -> Supervisor:
        """The living supervisor, started where there is none."""
        found = client.obtain(self.paths)
        self._runs.add(str(found.status()["run"]))
        return found

    def server(self, name: str, port: int, **changes: Any) -> Process:
        """An HTTP server that says ``SAY`` and its pid."""
        fields: dict[str, Any] = {
            "name": name,
            "resource": name,
            "member": name,
            "zone": "local",
            "argv": (self.python, "-S", "-c", SERVER, str(port)),
            "environment": {"PATH": ("/usr/bin:/bin",)},
            "cwd": str(self.root),
            "probe": ListenProbe(address=f"127.0.0.1:{port}"),
            "address": f"127.0.0.1:{port}",
        }
        return Process(**{**fields, **changes})

    def graph(self, *nodes: Process | Task) -> Graph:
        """A graph of these."""
        return Graph(
            name="rig",
            environment="local",
            file=str(self.root / "greenfield.yaml"),
            processes=tuple(node for node in nodes if isinstance(node, Process)),
            tasks=tuple(node for node in nodes if isinstance(node, Task)),
            urls={},
            secrets=str(self.paths.secrets),
            remember={},
        )

    def up(self, *nodes: Process | Task) -> Mapping[str, Any]:
        """Reconciles and returns the closing event; earlier ones are in ``events``."""
        self.events.clear()
        return self.supervisor.reconcile(self.graph(*nodes), self.events.append)

    def rows(self) -> dict[str, dict[str, Any]]:
        """The processes of the status by name."""
        return {row["name"]: row for row in self.supervisor.status()["processes"]}

    def pid(self, name: str) -> int:
        """The pid of a process."""
        return int(self.rows()[name]["pid"])

    def alive(self) -> list[int]:
        """Every living process of every run of this rig."""
        return [pid for run in self._runs for pid in tagged(f"{run}:")]

    def close(self) -> None:
        """Ends everything; fails where something stays."""
        if (found := client.connect(self.paths)) is not None:
            found.stop(lambda _: None, now=True)
        wait_for("nothing to be left", lambda: not self.alive(), 5)
