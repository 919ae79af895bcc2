"""A whole application of the kit beside FastAPI; granian beside uvicorn; telemetry off, at 1 %, at 100 %."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.footprint import pss_mib
from benchmarks.load import Target, generator
from benchmarks.result import Result
from benchmarks.ways import Slice, Way, cost, interleaved, ratio
from greenfield.components.service.launcher import LAUNCHER
from greenfield.programs.telemetry import OPENTELEMETRY
from greenfield.toolchain.chain import Toolchain, default_cache
from greenfield.toolchain.progress import Silent

ROUNDS, SECONDS = 31, 0.3
CALMEST = 0.1  # of the rounds, where processor time is told
PATH = "/api/answers/7"
_READY_S = 60.0
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Served:
    """An application on a server; ``sample`` is the share of traces that is kept, None tells nothing at all."""

    app: str
    server: str
    sample: float | None

    @property
    def name(self) -> str:
        """As results call it."""
        telemetry = "off" if self.sample is None else f"at {self.sample:.0%}"
        return f"{self.app} on {self.server}, telemetry {telemetry}"

    def environment(self, collector: str) -> Mapping[str, str]:
        """What the platform gives a service, as far as it matters here."""
        own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(_ROOT), "LOG_LEVEL": "warning"}
        if self.sample is None:
            return own | {"OTEL_SDK_DISABLED": "true"}
        return own | {
            "OTEL_SERVICE_NAME": "answers",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": f"{self.sample:g}",
            "OTEL_METRIC_EXPORT_INTERVAL": "10000",
        }

    def command(self, folder: Path, address: str) -> list[str]:
        """The line that serves it at a Unix socket: ``granian`` as the platform does it."""
        target = f"benchmarks.served.{self.app}:app"
        if self.server == "uvicorn":
            options = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")
            return [sys.executable, "-m", "uvicorn", target, "--uds", address, *options]
        text = LAUNCHER
        if self.server == "granian with asyncio":
            text = text.replace("from uvloop import run", "from asyncio import run")
        launcher = folder / f"serve-on-{self.server.replace(' ', '-')}.py"
        launcher.write_text(text)
        return [sys.executable, str(launcher), target, address]


KIT, PLAIN = (Served(app, "granian", 0.01) for app in ("kit", "plain"))
ON_UVICORN, PLAIN_ON_UVICORN = (Served(app, "uvicorn", 0.01) for app in ("kit", "plain"))
ON_ASYNCIO = Served("kit", "granian with asyncio", 0.01)
OFF, PLAIN_OFF, WHOLE = Served("kit", "granian", None), Served("plain", "granian", None), Served("kit", "granian", 1.0)
PLAIN_WHOLE, WIRED = Served("plain", "granian", 1.0), Served("wired", "granian", 0.01)
ALL = (KIT, PLAIN, WIRED, ON_UVICORN, PLAIN_ON_UVICORN, ON_ASYNCIO, OFF, PLAIN_OFF, WHOLE, PLAIN_WHOLE)


def measure() -> Iterator[Result]:
    """Throughput by pairs that ran side by side, processor time of a request, and memory after the load."""
    with generator() as load, ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="greenfield-bench-")))
        collector = stack.enter_context(_collector(folder))
        ways = [stack.enter_context(_running(served, folder, collector)) for served in ALL]
        slices = interleaved(load, ways, ROUNDS, SECONDS)
        memory = {way.name: pss_mib(way.workers["server"]) for way in ways}
    for name, one, other, bound in (
        ("the kit over plain FastAPI, on granian", KIT, PLAIN, 0.9),
        ("the kit over FastAPI wired by hand, on granian", KIT, WIRED, 0.9),
        ("the kit over plain FastAPI, on uvicorn", ON_UVICORN, PLAIN_ON_UVICORN, 0.9),
        ("the kit over plain FastAPI, without telemetry", OFF, PLAIN_OFF, None),
        ("the kit over plain FastAPI, every trace kept", WHOLE, PLAIN_WHOLE, None),
        ("uvicorn over granian, the kit", ON_UVICORN, KIT, None),
        ("asyncio over uvloop under granian, the kit", ON_ASYNCIO, KIT, None),
        ("telemetry at 1 % over none, the kit", KIT, OFF, None),
        ("telemetry at 100 % over none, the kit", WHOLE, OFF, None),
    ):
        yield Result("kit", name, ratio(slices, one.name, other.name), "ratio", bound, at_least=True)
        yield Result("kit", f"{name}, as processor time allows", _allowed(slices, one, other), "ratio")
    for served in ALL:
        yield Result("kit", f"{served.name}: CPU", _cost(slices, served), "us/request")
        yield Result("kit", f"{served.name}: memory", memory[served.name], "MiB")


def _allowed(slices: Mapping[str, list[Slice]], one: Served, other: Served) -> float:
    return _cost(slices, other) / _cost(slices, one)


def _cost(slices: Mapping[str, list[Slice]], served: Served) -> float:
    return cost(slices[served.name], "server", calmest=CALMEST)


@contextmanager
def _running(served: Served, folder: Path, collector: str) -> Iterator[Way]:
    address = str(folder / f"{ALL.index(served)}.sock")
    environment = dict(served.environment(collector))
    with subprocess.Popen(served.command(folder, address), env=environment, cwd=folder) as process:
        try:
            _wait(process, socket.AF_UNIX, address)
            yield Way(served.name, Target(f"unix:{address}", PATH), {"server": process.pid})
        finally:
            process.terminate()


@contextmanager
def _collector(folder: Path) -> Iterator[str]:
    """A real one that takes all and keeps nothing; where it is asked."""
    program = Toolchain(default_cache(os.environ), Silent()).obtain([OPENTELEMETRY])[OPENTELEMETRY.name]
    with socket.create_server(("127.0.0.1", 0)) as server:
        address: tuple[str, int] = server.getsockname()
    pipeline = {"receivers": ["otlp"], "processors": ["batch"], "exporters": ["nop"]}
    config = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": "{}:{}".format(*address)}}}},
        "processors": {"batch": {}},
        "exporters": {"nop": {}},
        "service": {
            "pipelines": {"traces": pipeline, "metrics": pipeline},
            "telemetry": {"logs": {"level": "warn"}, "metrics": {"level": "none"}},
        },
    }
    file = folder / "collector.json"
    file.write_text(json.dumps(config))
    with subprocess.Popen([program.programs["jaeger"], "--config", str(file)], stdout=subprocess.DEVNULL) as process:
        try:
            _wait(process, socket.AF_INET, address)
            yield "http://{}:{}".format(*address)
        finally:
            process.terminate()


def _wait(process: subprocess.Popen[bytes], family: int, address: str | tuple[str, int]) -> None:
    """Until something listens there."""
    deadline = time.monotonic() + _READY_S
    while True:
        with socket.socket(family) as client:
            if client.connect_ex(address) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} does not start")
        time.sleep(0.02)
