"""Load by one small program, for both sides of every comparison: built from ``generator/`` with the toolchain's Go."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from greenfield.model.binding import Leaf
from greenfield.toolchain.chain import Toolchain, default_cache
from greenfield.toolchain.progress import Silent
from greenfield.toolchain.sources.go import GO

_SOURCE = Path(__file__).parent / "generator"


@dataclass(frozen=True)
class Target:
    """What is asked: an address (``unix:PATH`` or ``host:port``), a path, and how TLS is spoken, if at all.

    ``ca`` alone asks for the host's name in the certificate; with ``leaf`` that is shown, and any name is taken.
    ``body`` is JSON that is posted; nothing: it is a GET.
    """

    address: str
    path: str = "/"
    host: str = "localhost"
    ca: str = ""
    leaf: Leaf | None = None
    body: str = ""

    def arguments(self) -> list[str]:
        """As the generator takes them."""
        words = ["-address", self.address, "-path", self.path, "-host", self.host, "-body", self.body]
        if self.leaf is not None:
            return [*words, "-ca", self.leaf.ca, "-cert", self.leaf.certificate, "-key", self.leaf.key, "-any-name"]
        return [*words, "-ca", self.ca] if self.ca else words


@dataclass(frozen=True)
class Met:
    """What a load met: answers below 400, seconds, failures by reason, latencies in milliseconds."""

    answered: int
    seconds: float
    failures: Mapping[str, int]
    p50_ms: float
    p99_ms: float
    longest_ms: float

    @property
    def per_second(self) -> float:
        """Throughput."""
        return self.answered / self.seconds


@dataclass(frozen=True)
class Generator:
    """The program, built."""

    program: str

    def start(
        self, target: Target, seconds: float, *, connections: int = 16, rate: float = 0, patience_s: float = 10.0
    ) -> subprocess.Popen[str]:
        """The load, under way; ``result`` waits for it. At a rate of 0 each connection asks as soon as it may."""
        paced = ["-seconds", str(seconds), "-connections", str(connections), "-rate", str(rate)]
        paced += ["-patience", f"{patience_s}s"]
        return subprocess.Popen([self.program, *target.arguments(), *paced], stdout=subprocess.PIPE, text=True)

    def run(
        self, target: Target, seconds: float, *, connections: int = 16, rate: float = 0, patience_s: float = 10.0
    ) -> Met:
        """The load from its begin to its end."""
        return result(self.start(target, seconds, connections=connections, rate=rate, patience_s=patience_s))


def result(load: subprocess.Popen[str]) -> Met:
    """What a load met, once it is over."""
    out, _ = load.communicate()
    if load.returncode != 0:
        raise RuntimeError(f"the load generator exited with {load.returncode}")
    return Met(**json.loads(out))


@contextmanager
def generator() -> Iterator[Generator]:
    """Builds it, in a second where Go has built it before."""
    go = Toolchain(default_cache(os.environ), Silent()).obtain([GO])[GO.name]
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/generator"
        environment = {**os.environ, **go.environment, "CGO_ENABLED": "0", "GOWORK": "off"}
        line = [go.programs["go"], "build", "-trimpath", "-buildvcs=false", "-o", program, "."]
        subprocess.run(line, cwd=_SOURCE, env=environment, check=True)
        yield Generator(program)
