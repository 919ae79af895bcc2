"""A platform run by the command line, as a person would, in a folder of its own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

GREENFIELD = str(Path(sys.executable).parent / "greenfield")
Answer = TypeVar("Answer")


def wait_for(what: str, question: Callable[[], Answer], seconds: float = 30.0) -> Answer:
    """The first true answer to ``question``; fails with the last one after the deadline."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}; last answer: {answer!r}")
        time.sleep(0.05)
    return answer


@dataclass
class Platform:
    """One declaration in ``folder``; every method is a command line or a look at the machine.

    ``root``: where the commands' root is seen from here, if they run in a mount namespace of their own.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    program: tuple[str, ...] = (GREENFIELD,)
    root: Path = Path("/")
    _seen: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def file(self) -> Path:
        """The declaration, as commands name it."""
        return self.folder / "greenfield.yaml"

    @property
    def home(self) -> Path:
        """What the platform keeps, as it is seen from here."""
        return self.root / self.folder.relative_to("/") / ".greenfield"

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """A command, which may be of two words, left running."""
        return subprocess.Popen(
            [*self.prefix, *self.program, *arguments[0].split(), "-f", str(self.file), *arguments[1:]],
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *arguments: str, timeout: float = 180.0) -> subprocess.CompletedProcess[str]:
        """A command run to its end, whatever its exit code."""
        process = self.start(*arguments, stdin=subprocess.DEVNULL)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{arguments} took over {timeout} s\n{out}\n{err}") from None
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def ok(self, *arguments: str, timeout: float = 180.0) -> str:
        """What a command printed; it must succeed."""
        done = self.run(*arguments, timeout=timeout)
        assert done.returncode == 0, f"{arguments} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """What a command answers as JSON; it must succeed."""
        return json.loads(self.ok(*arguments, "--format", "json"))

    def status(self) -> dict[str, Any]:
        """The status object."""
        answer = self.json("status")
        assert isinstance(answer, dict)
        return answer

    def pids(self) -> dict[str, int]:
        """The pid of every process by its name."""
        return {row["name"]: row["pid"] for row in self.status()["processes"] if row["pid"]}

    def wiring(self, service: str) -> dict[str, str]:
        """The environment of a service, secrets included."""
        words = shlex.split(self.ok("env", service, "--reveal"))
        return dict(word.split("=", 1) for word in words)

    def ready(self) -> bool:
        """Whether all of it is ready."""
        return bool(self.status()["state"] == "ready")

    def wait_ready(self, seconds: float = 30.0) -> None:
        """Waits until all of it is ready."""
        wait_for("the platform to be ready", self.ready, seconds)

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Changes the declaration as data."""
        data = yaml.safe_load(self.file.read_text())
        change(data)
        self.file.write_text(yaml.safe_dump(data, sort_keys=False))

    def client(self) -> httpx.Client:
        """A browser's view: the gateway's URL, its certificate checked."""
        return httpx.Client(**self._view())

    def async_client(self) -> httpx.AsyncClient:
        """The same for a program that does several things at once."""
        return httpx.AsyncClient(**self._view())

    def _view(self) -> dict[str, Any]:
        if not self._seen:
            url = httpx.URL(self.status()["urls"]["gateway"])
            context = ssl.create_default_context(cafile=str(self.home / "pki" / "services-ca.crt"))
            self._seen = {
                "base_url": f"https://127.0.0.1:{url.port}",
                "headers": {"host": f"{url.host}:{url.port}"},
                "verify": context,
                "timeout": 10.0,
            }
        return self._seen

    @property
    def run_tag(self) -> bytes:
        """What stands at the head of a variable of every process of the present run; empty where nothing runs."""
        state = self.home / "state.json"
        run = json.loads(state.read_text())["run"] if state.exists() else ""
        return f"GREENFIELD_RUN={run}:".encode() if run else b""

    def tagged(self) -> dict[int, str]:
        """Every living process of this platform, by the tag in its environment, wherever it hides."""
        return tagged(self.run_tag)


def tagged(tag: bytes) -> dict[int, str]:
    """Every living process, with its command line, of whose environment a variable begins with ``tag``."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir() if tag else ():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if any(variable.startswith(tag) for variable in environment.split(b"\0")):
            found[int(entry.name)] = command
    return found


def kill(pid: int) -> None:
    """SIGKILL, where the process is still there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def running(platform: Platform, up_s: float = 600.0) -> Iterator[Platform]:
    """The platform, up within so many seconds; in the end nothing of it is left."""
    try:
        platform.ok("up", "-d", timeout=up_s)
        yield platform
    finally:
        tag = platform.run_tag
        done = platform.run("down", "--volumes", "--yes")
        assert done.returncode == 0, done.stderr
        assert tagged(tag) == {}, "down leaves nothing alive"
