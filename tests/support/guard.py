"""Ends its children when whoever started it ends, however that happens. Run as a script, without site packages.

Each line of standard input is a program: ``{"argv": […], "log": "FILE"}``; it is answered with the program's pid. At
the end of input they are asked to stop, the last one first, and killed after their time. If this process itself is
killed, the kernel kills them.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
STOP_S = 10.0
_libc = ctypes.CDLL(None)


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def start(argv: list[str], log: str) -> subprocess.Popen[bytes]:
    """A program that writes to the file. The kernel watches the thread that starts it, which here is the only one."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, preexec_fn=_die_with_parent
        )
    finally:
        os.close(descriptor)


def stop(child: subprocess.Popen[bytes], deadline: float) -> None:
    """Asks, waits, kills."""
    child.terminate()
    try:
        child.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def main() -> None:
    """Starts what it is told, until nobody is there to tell it more."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    children: list[subprocess.Popen[bytes]] = []
    for line in sys.stdin:
        wanted = json.loads(line)
        children.append(start(wanted["argv"], wanted["log"]))
        sys.stdout.write(f"{children[-1].pid}\n")
        sys.stdout.flush()
    deadline = time.monotonic() + STOP_S
    for child in reversed(children):
        stop(child, deadline)


if __name__ == "__main__":
    main()
