"""Starting a program so that it can be known, reaped and ended: session, death signal, another id for root's sake."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
TAG = "GREENFIELD_RUN"  # in the environment of every process of a run

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Launch:
    """What is started: everything the program gets. ``output`` is the descriptor of its stdout and stderr;
    ``channel``, where there is one, is its stdin and stdout instead."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: str
    output: int
    refuses_root: bool = False
    channel: int | None = None


@dataclass(frozen=True)
class Child:
    """A started program. ``pid`` is ours to wait for, ``outer`` the same process as people outside see it.

    ``born`` is its start time in clock ticks after boot; with ``outer`` it names a process for good.
    """

    pid: int
    descriptor: int
    outer: int
    born: int


def start(launch: Launch) -> Child:
    """Starts a program in a session of its own; OSError where it cannot be executed."""
    process = subprocess.Popen(
        launch.argv,
        env=dict(launch.environment),
        cwd=launch.cwd,
        stdin=subprocess.DEVNULL if launch.channel is None else launch.channel,
        stdout=launch.output if launch.channel is None else launch.channel,
        stderr=launch.output,
        start_new_session=True,
        umask=0o077,
        preexec_fn=_prepare(  # noqa: PLW1509
            refuses_root=launch.refuses_root and os.geteuid() == 0
        ),
    )
    process.returncode = 0  # it is reaped by its descriptor, not by the Popen object
    descriptor = os.pidfd_open(process.pid)
    outer = _outer(descriptor)
    return Child(process.pid, descriptor, outer, born(outer) or 0)


def die_with_parent() -> None:
    """From now on this process is asked to end (SIGTERM) when its parent dies."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _prepare(*, refuses_root: bool) -> Callable[[], None]:
    """What the child does between fork and exec. As root, a program that refuses root sees itself as nobody."""
    nobody = pwd.getpwnam("nobody") if refuses_root else None

    def prepare() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if nobody is None:
            return
        if _libc.unshare(CLONE_NEWUSER) == 0:
            _map(nobody.pw_uid, nobody.pw_gid)
        else:
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # setuid cleared it

    return prepare


def _map(uid: int, gid: int) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} 0 1"), ("gid_map", f"{gid} 0 1")):
        Path(f"/proc/self/{name}").write_text(text, encoding="ascii")


def _outer(descriptor: int) -> int:
    """The pid in the namespace of the mounted /proc, which is the one that people see."""
    for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii").splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    raise OSError(f"the kernel does not say the pid of descriptor {descriptor}")


def outer_pid(pid: int) -> int:
    """The pid, as people outside see it, of a process that we know by our own namespace's."""
    descriptor = os.pidfd_open(pid)
    try:
        return _outer(descriptor)
    finally:
        os.close(descriptor)


def pid_here(outer: int) -> int:
    """The pid in our own namespace of a process seen in /proc; ProcessLookupError where it has none, or is gone."""
    mine, its = _namespace_pids("self"), _namespace_pids(str(outer))
    if len(its) < len(mine):
        raise ProcessLookupError(outer)
    return its[len(mine) - 1]


def _namespace_pids(name: str) -> list[int]:
    try:
        text = Path(f"/proc/{name}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return next((list(map(int, line.split()[1:])) for line in text.splitlines() if line.startswith("NSpid:")), [])


def born(outer: int) -> int | None:
    """The start time of a process in clock ticks after boot; None where it is gone."""
    fields = stat_fields(outer)
    return int(fields[19]) if fields else None


def stat_fields(outer: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty where the process is gone."""
    try:
        text = Path(f"/proc/{outer}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def resident_bytes(outer: int) -> int:
    """The resident memory of a process and its children; 0 where it is gone."""
    try:
        pages = int(Path(f"/proc/{outer}/statm").read_text(encoding="ascii").split()[1])
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text(encoding="ascii").split()
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(resident_bytes(int(child)) for child in children)


def cpu_seconds(outer: int) -> float:
    """The processor time of a process and of its children that ended; 0 where it is gone."""
    fields = stat_fields(outer)
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK") if fields else 0.0
