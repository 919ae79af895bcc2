"""What a service uses, run for real and alone, for as long as somebody tests it.

The ``greenfield`` command does it, as a process of its own that ends with its stdin: whatever becomes of who started
it, by Ctrl-C or by SIGKILL, nothing of it stays.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from greenfield_kit.connections import Wiring

FILE_NAME = "greenfield.yaml"
COMMAND = "greenfield"
STOP_S = 60.0  # then the command is killed, and what it ran ends with it
_LAST_LINES = 15
_SETTING = "`greenfield_service` in pytest's settings or --greenfield-service"


class PlatformError(RuntimeError):
    """The back ends of a service cannot be had. The message says why, and what to do."""


@dataclass(frozen=True)
class Wanted:
    """Whose back ends: a service's, in an environment of a declaration. Empty: the only one, the usual one."""

    file: Path
    service: str = ""
    environment: str = ""

    @property
    def command(self) -> list[str]:
        """The command line that lends them."""
        named = [self.service] if self.service else []
        overlay = ["--env", self.environment] if self.environment else []
        return [program(), "backing", *named, "-f", str(self.file), *overlay, "--format", "json"]


@dataclass(frozen=True)
class Platform:
    """The back ends of one service, running. ``environment`` is what its replica would find in its own.

    ``platform["products"]["URL"]`` is one variable of one thing it uses; ``logs`` is the folder of the programs' logs.
    """

    name: str
    service: str
    logs: Path
    environment: Mapping[str, str] = field(repr=False)

    def __getitem__(self, name: str) -> Wiring:
        return Wiring(name, self.environment)


def find(folders: Iterable[Path]) -> Path:
    """The nearest declaration, from the first folder upwards, then from the next; PlatformError where there is none."""
    tried = list(dict.fromkeys(folders))
    for folder in tried:
        for each in (folder, *folder.parents):
            if (each / FILE_NAME).is_file():
                return each / FILE_NAME
    raise PlatformError(f"There is no {FILE_NAME} in {' or '.join(map(str, tried))}, nor above.")


def program() -> str:
    """The ``greenfield`` beside this interpreter, else that of PATH; PlatformError where there is none."""
    beside = Path(sys.executable).with_name(COMMAND)
    if found := str(beside) if beside.is_file() else shutil.which(COMMAND):
        return found
    raise PlatformError(f"There is no command `{COMMAND}` beside {sys.executable}, nor in PATH: install greenfield.")


@contextmanager
def lent(wanted: Wanted) -> Iterator[Platform]:
    """The back ends from when they are ready; at the end they and all their data are gone. PlatformError otherwise."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            wanted.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,  # Ctrl-C is for the tests, which end it when they end
        )
        try:
            yield _ready(process, said)
        finally:
            code = _end(process)
        if code:
            raise PlatformError(f"What {wanted.service or 'the service'} uses ended before its tests:\n{_last(said)}")


def _ready(process: subprocess.Popen[str], said: IO[str]) -> Platform:
    assert process.stdout is not None
    last: dict[str, Any] = {}
    for line in process.stdout:
        last = json.loads(line)
        if last.get("event") == "ready":
            variables = {name: value for name, value in last["variables"].items() if name != "PATH"}
            return Platform(last["name"], last["service"], Path(last["logs"]), variables)
    process.wait()
    raise PlatformError(_reason(last) or f"`{COMMAND} backing` exited {process.returncode}:\n{_last(said)}")


def _end(process: subprocess.Popen[str]) -> int:
    """Lets go; the exit code, which is 0 where it lasted until then."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        process.stdout.close()
    return process.returncode


def _reason(answer: Mapping[str, Any]) -> str:
    """What the command says of why not: each mistake of the file, or what failed with its last words."""
    lines = []
    for problem in answer.get("problems", ()):
        place = f"{problem['file']}:{problem['line']}:{problem['column']}: " if problem["line"] else ""
        lines += [f"{place}{problem['message']}", *_hint(problem), *_how(problem)]
    if error := answer.get("error"):
        lines += [error["message"], *(f"  | {line}" for line in error["log"]), *_hint(error)]
    return "\n".join(lines)


def _hint(found: Mapping[str, Any]) -> list[str]:
    return [f"  hint: {found['hint']}"] if found["hint"] else []


def _how(problem: Mapping[str, Any]) -> list[str]:
    """How tests say which service, where that is what is missing."""
    return [] if problem["line"] else [f"  a test says so by @pytest.mark.greenfield(SERVICE), a run by {_SETTING}"]


def _last(said: IO[str]) -> str:
    said.seek(0)
    return "".join(said.readlines()[-_LAST_LINES:]).rstrip() or "it said nothing"
