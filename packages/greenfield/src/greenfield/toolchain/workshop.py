"""Where one source is fetched: its folders, the lock it must satisfy, and how other programs are run."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from greenfield.errors import ToolError
from greenfield.model.tool import Installation, Source, Tool
from greenfield.toolchain.cache import full
from greenfield.toolchain.lock import Lock, Record, key_of

POLL_S = 0.2
FETCH_S = 900.0  # the longest a download may take; builds name their own
LONGEST = 400  # characters of a client's own words; the cause tends to stand at the end
_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)  # Go writes it small
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FAULT = re.compile(r"\[ERROR\]|^E: |^ERROR|\berror:", re.MULTILINE)

# Becomes the program of its arguments, which the kernel kills (PR_SET_PDEATHSIG) when whoever waits for it is killed.
# The first argument is the process id of that one, which may be gone already; the second how nice the program is.
_MORTAL = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
os.getppid() == int(sys.argv[1]) or sys.exit("nobody waits for it any more")
os.nice(int(sys.argv[2]))
os.execv(sys.argv[3], sys.argv[3:])
"""


@dataclass(frozen=True)
class Fetched:
    """What a fetcher got: the version, and what its tree was made of (name → version and digest, for people)."""

    version: str
    contents: Mapping[str, str]


@dataclass(frozen=True)
class Manners:
    """How a client is run: so long at most, and so nice to others (0 to 19)."""

    timeout_s: float = FETCH_S
    niceness: int = 0


@dataclass(frozen=True)
class Commands:
    """Runs the registries' clients. They end with us, however we end; when ``cancelled`` is set; after their time."""

    cancelled: threading.Event
    tick: Callable[[], None]

    def run(self, argv: Sequence[str], cwd: Path, environment: Mapping[str, str], manners: Manners) -> str:
        """Standard output; ToolError with the client's own words where it fails."""
        if (program := shutil.which(argv[0])) is None:
            raise ToolError(f"{argv[0]} cannot be run: it is not there, or not on PATH")
        mortal = (sys.executable, "-I", "-S", "-c", _MORTAL, str(os.getpid()), str(manners.niceness))
        try:
            process = subprocess.Popen(
                (*mortal, program, *argv[1:]),
                cwd=cwd,
                env={**os.environ, "LC_ALL": "C", **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as exc:
            raise ToolError(f"{argv[0]} cannot be run: {exc.strerror}") from exc
        with process:
            try:
                out, err = self._wait(process, time.monotonic() + manners.timeout_s, Path(program).name)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode < 0:
            raise ToolError(f"{Path(program).name} was ended by {signal.Signals(-process.returncode).name}")
        if process.returncode != 0:
            raise ToolError(f"{Path(program).name} failed: {_last_words(out, err)}")
        return out

    def _wait(self, process: subprocess.Popen[str], deadline: float, name: str) -> tuple[str, str]:
        while True:
            try:
                return process.communicate(timeout=POLL_S)
            except subprocess.TimeoutExpired:
                self.tick()
                if self.cancelled.is_set():
                    raise ToolError("interrupted") from None
                if time.monotonic() > deadline:
                    raise ToolError(f"{name} took too long") from None


@dataclass(frozen=True)
class Workshop:
    """``folder`` holds ``tree``, which is to be filled, and room for downloads; all of it vanishes on failure."""

    folder: Path
    cache: Path
    lock: Lock
    record: Record
    commands: Commands
    obtain: Callable[[Tool], Installation]
    learnt: dict[str, str] | None = None  # where digests go instead of being checked, when a lock is being made

    @property
    def tree(self) -> Path:
        """The root of the files to keep."""
        return self.folder / "tree"

    def room(self, name: str) -> Path:
        """An empty folder for what is not kept."""
        path = self.folder / name
        path.mkdir()
        return path

    def run(
        self,
        *argv: str,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        manners: Manners = Manners(),
    ) -> str:
        """Runs a client, its temporary files inside ``folder``; as ``Commands.run``."""
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        try:
            return self.commands.run(
                argv, cwd or self.folder, {"TMPDIR": str(temporary), **(environment or {})}, manners
            )
        except ToolError as exc:
            if _FULL.search(exc.message):
                raise full(self.cache) from exc
            raise

    def check(self, source: Source, digest: str) -> None:
        """Holds what was fetched against the lock, or where that is silent, against the first fetch.

        Raises ToolError where they differ: it came short, or was tampered with.
        """
        key = key_of(source)
        if self.learnt is not None:
            self.learnt[key] = digest
        elif not (locked := self.lock.of(source)):
            self.record.check(key, digest)
        elif locked != digest:
            raise ToolError(f"refused: its digest is {digest} where the lock has {locked} (cut short, or not the same)")


def _last_words(out: str, err: str) -> str:
    """The line that names the fault, else the last one."""
    said = f"{err}\n{out}"
    if full_disk := _FULL.search(said):
        return full_disk[0]
    lines = [line.strip() for line in _COLOUR.sub("", said).splitlines() if line.strip()]
    faults = [line for line in lines if _FAULT.search(line)]
    causes = [line for line in lines if re.match(r"cause(d by)?:", line, re.IGNORECASE)]
    words = " ".join([*(faults or lines[-1:] or ["it said nothing"])[:1], *causes[:1]])
    return words if len(words) <= LONGEST else f"{words[: LONGEST // 2]} … {words[-LONGEST // 2 :]}"
