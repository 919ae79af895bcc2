"""A real Redis by itself, with a user whose rules are those of a service that writes; for benchmarks and tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from greenfield.components.redis.local import REDIS
from greenfield.components.redis.users import prefix, rules
from greenfield.model.tool import Installation
from greenfield.toolchain.chain import Toolchain, default_cache
from greenfield.toolchain.progress import Silent

SERVICE, _PASSWORD = "catalog", "of-a-benchmark"
_READY_S = 20.0


class RedisAlone:
    """One server on a loopback port, in ``folder``; it keeps what it holds over a restart."""

    def __init__(self, installation: Installation, folder: Path, settings: Mapping[str, str]) -> None:
        self._installation, self._folder = installation, folder
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
        self._settings = {"appendonly": "yes", "save": "", **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def wiring(self) -> dict[str, str]:
        """What a service named ``catalog`` would find for a cache named ``cache``."""
        url = f"redis://{SERVICE}:{_PASSWORD}@127.0.0.1:{self.port}/0"
        return {"CACHE_URL": url, "CACHE_PREFIX": prefix(SERVICE)}

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        user = ["on", f">{_PASSWORD}", *rules(SERVICE, ["write"])]
        words = [word for name, value in self._settings.items() for word in (f"--{name}", value)]
        line = [self._installation.programs["redis-server"], "--port", str(self.port), "--bind", "127.0.0.1"]
        line += ["--dir", str(self._folder), *words, "--user", SERVICE, *user]
        environment = {**os.environ, **self._installation.environment}
        self._process = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + _READY_S
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError("Redis does not start")
            time.sleep(0.02)

    def ask(self, *words: str | bytes | int) -> Any:
        """What it answers to its administrator."""
        with Redis(port=self.port, socket_timeout=_READY_S) as client:
            return client.execute_command(*words)

    def signal(self, number: signal.Signals) -> None:
        """Stops it in its tracks, or lets it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Ends it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except RedisError:
            return False


@contextmanager
def redis_alone(**settings: str) -> Iterator[RedisAlone]:
    """A server that runs; ``settings`` are its own, with underscores for hyphens."""
    installation = Toolchain(default_cache(os.environ), Silent()).obtain([REDIS])[REDIS.name]
    with tempfile.TemporaryDirectory(prefix="greenfield-redis-") as folder:
        named = {name.replace("_", "-"): value for name, value in settings.items()}
        server = RedisAlone(installation, Path(folder), named)
        try:
            server.start()
            yield server
        finally:
            server.kill()
