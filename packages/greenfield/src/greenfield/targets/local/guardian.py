"""The parent of all: starts the supervisor and, when that ends for whatever reason, ends everything below.

Run as a script without site packages, so that it stays small: ``guardian.py LOG COMMAND…``. It leaves the caller's
session, enters a pid namespace of its own where the machine allows one (then killing it ends everything, by the
kernel), and is a subreaper elsewhere. It needs no protocol: it waits for one child.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def enter_namespace() -> bool:
    """Whether the next child will be the init of a pid namespace. As root no user namespace is needed for it."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        return bool(_libc.unshare(CLONE_NEWPID) == 0)
    if _libc.unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0:
        return False
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        _write(f"/proc/self/{name}", text)
    return True


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, text.encode())
    os.close(descriptor)


def end_everything(*, in_namespace: bool) -> None:
    """Kills every descendant, again and again until none is left: who escapes is re-parented to us."""
    while True:
        if in_namespace:
            _signal(-1)
        else:
            for pid in _descendants(os.getpid()):
                _signal(pid)
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _signal(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    queue = [pid]
    while queue:
        each = queue.pop()
        try:
            with open(f"/proc/{each}/task/{each}/children", encoding="ascii") as file:  # noqa: PTH123
                children = [int(child) for child in file.read().split()]
        except OSError:
            continue
        found += children
        queue += children
    return found


def guard(command: list[str], *, in_namespace: bool) -> int:
    """Starts the command and waits for its end, reaping whatever else ends meanwhile; then ends everything."""
    if not in_namespace:
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    supervisor = os.posix_spawn(
        command[0],
        command,
        {**os.environ, "GREENFIELD_NAMESPACE": "1" if in_namespace else ""},
        setsigdef=[signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT],
    )
    code = 1
    while True:
        pid, status = os.wait()
        if pid == supervisor:
            code = os.waitstatus_to_exitcode(status)
            break
    end_everything(in_namespace=in_namespace)
    return code if code >= 0 else 1


def main() -> None:
    """Detaches and guards."""
    log, command = sys.argv[1], sys.argv[2:]
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)
    os.setsid()
    in_namespace = enter_namespace()
    if os.fork():
        os._exit(0)
    sys.exit(guard(command, in_namespace=in_namespace))


if __name__ == "__main__":
    main()
