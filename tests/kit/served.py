"""An application served as the platform serves it: by the launcher, on a Unix socket, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import httpx

from greenfield.components.service.launcher import LAUNCHER
from support.platform import wait_for

TESTS = Path(__file__).parents[1]
Outcome = TypeVar("Outcome")


class Served:
    """One application; it can be stopped, killed and started again on the same socket."""

    def __init__(self, folder: Path, module: str, environment: Mapping[str, str]) -> None:
        self.socket = folder / f"{module}.sock"
        self.log = folder / f"{module}.log"
        self._launcher = folder / "serve.py"
        self._launcher.write_text(LAUNCHER)
        self._target = f"kit.apps.{module}:app"
        self._environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(TESTS), **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process at hand."""
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        self.socket.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(self._launcher), self._target, str(self.socket)],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        wait_for(f"{self._target}: {self.log.read_text()}", self._alive)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it; its exit code."""
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        return self.process.wait(20)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """One request, on a connection of its own."""
        return self.request("GET", path, **options)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request, on a connection of its own."""
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(self.socket)), base_url="http://app") as client:
            return client.request(method, path, **{"timeout": 10.0, **options})

    def client(self) -> httpx.AsyncClient:
        """For several at once."""
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket), limits=httpx.Limits(max_connections=None))
        return httpx.AsyncClient(transport=transport, base_url="http://app", timeout=15.0)

    def session(self) -> aiohttp.ClientSession:
        """For many at once."""
        return aiohttp.ClientSession(
            "http://app",
            connector=aiohttp.UnixConnector(str(self.socket), limit=0),
            timeout=aiohttp.ClientTimeout(total=15.0),
        )

    def seen(self) -> dict[str, int]:
        """What the application counted."""
        counted: dict[str, int] = self.get("/count").json()
        return counted

    def lines(self) -> list[dict[str, Any]]:
        """Its log, as far as it is JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def _alive(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(self.socket)) != 0:
                return False
        return self.get("/health/live").status_code == 200


@contextmanager
def served(folder: Path, module: str, **environment: str) -> Iterator[Served]:
    """An application of ``kit.apps``, running; killed in the end if it is still there."""
    application = Served(folder, module, environment)
    application.start()
    try:
        yield application
    finally:
        application.process.kill()
        application.process.wait()


async def wait_until(what: str, question: Callable[[], Awaitable[bool]], seconds: float = 15.0) -> None:
    """Returns when the question is answered by yes."""
    try:
        async with asyncio.timeout(seconds):
            while not await question():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {seconds} s for {what}") from None
