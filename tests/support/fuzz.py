"""Schemathesis against a service on its Unix socket: requests as its OpenAPI document has them, and as it does not."""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PROGRAM = str(Path(sys.executable).parent / "schemathesis")
_SETTINGS = """\
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 404, 409, 429]
"""
"""NUL is valid by any schema, and refused with 400."""
_CHUNK = 65536


@dataclass(frozen=True)
class Run:
    """How much is tried. Always alike: a fault that is found is found again."""

    examples: int
    phases: str = "examples,coverage,fuzzing"
    seed: int = 1


def fuzzed(address: str, run: Run, *options: str) -> str:
    """What Schemathesis says of a service that does not hold what its document promises; empty where it does."""
    with relayed(address.removeprefix("unix:")) as port, tempfile.TemporaryDirectory() as folder:
        Path(folder, "schemathesis.toml").write_text(_SETTINGS)
        line = [PROGRAM, "run", f"http://127.0.0.1:{port}/openapi.json"]
        line += ["--checks", "all", "--phases", run.phases, "--max-examples", str(run.examples)]
        line += ["--seed", str(run.seed), "--generation-database", "none", "--request-timeout", "20"]
        line += ["--suppress-health-check", "all", *options]
        environment = {**os.environ, "NO_COLOR": "1", "PYTHONWARNINGS": "default"}
        done = subprocess.run(
            line, cwd=folder, env=environment, capture_output=True, text=True, timeout=550, check=False
        )
    return "" if done.returncode == 0 else f"{done.stdout}\n{done.stderr}"


@contextmanager
def relayed(path: str) -> Iterator[int]:
    """A port of this machine behind which a Unix socket answers, byte for byte."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_accept, args=(listener, path), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _accept(listener: socket.socket, path: str) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_relay, args=(client, path), daemon=True).start()


def _relay(client: socket.socket, path: str) -> None:
    with client, socket.socket(socket.AF_UNIX) as service, selectors.DefaultSelector() as ready, suppress(OSError):
        service.connect(path)
        ready.register(client, selectors.EVENT_READ, service)
        ready.register(service, selectors.EVENT_READ, client)
        while True:
            for key, _ in ready.select():
                if not (data := key.fileobj.recv(_CHUNK)):  # type: ignore[union-attr]
                    return
                key.data.sendall(data)
