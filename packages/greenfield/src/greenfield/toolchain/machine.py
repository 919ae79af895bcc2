"""What a platform needs of the machine itself, looked at without changing anything."""

from __future__ import annotations

import importlib.util
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from greenfield.model.tool import Tool
from greenfield.programs.jvm import JAVA
from greenfield.toolchain.chain import Finding, Toolchain, described, wanted_on_path
from greenfield.toolchain.progress import Silent
from greenfield.toolchain.sources.go import GO
from greenfield.toolchain.sources.maven import MAVEN

GIB = 1 << 30
PORTS = 100  # what the reference platform listens on, and some
OPEN_FILES = 4096  # Kafka and PostgreSQL ask for that many at most
INOTIFY_INSTANCES = 64  # one for each Envoy; the reference platform has two dozen
_NAMESPACES = """
import ctypes, os, sys
uid, gid = os.geteuid(), os.getegid()
if ctypes.CDLL(None, use_errno=True).unshare(int(sys.argv[1])):
    sys.exit(1)
for name, text in (("setgroups", "deny"), ("uid_map", f"1000 {uid} 1"), ("gid_map", f"1000 {gid} 1")):
    with open(f"/proc/self/{name}", "w") as file:
        file.write(text)
child = os.fork()
if not child:
    os._exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""


@dataclass(frozen=True)
class Check:
    """One thing looked at. ``warning``: it works without, only worse. ``fix`` says what to do; empty where ``ok``."""

    name: str
    state: Literal["ok", "warning", "failed"]
    detail: str
    fix: str = ""


def examine(cache: Path, tools: Iterable[Tool]) -> Iterator[Check]:
    """Every check, in the order in which their failures would be met; ``tools`` are those that may be needed."""
    yield system()
    yield python()
    yield namespaces("user namespaces", 0x10000000, "programs that refuse root cannot run for root")
    yield namespaces(
        "pid namespaces", 0x30000000, "if the guardian too is killed, processes live until the next command"
    )
    yield loopback()
    yield ports()
    yield disk(cache)
    yield memory()
    yield open_files()
    yield inotify()
    yield names()
    yield debian()
    yield wheels()
    yield from builders(cache)
    yield from passed_over(cache, tools)


def system() -> Check:
    """Linux on x86-64 with glibc."""
    libc = " ".join(platform.libc_ver()).strip() or "another libc than glibc"
    detail = f"{platform.system()} {platform.machine()}, {libc}"
    if platform.system() == "Linux" and platform.machine() in ("x86_64", "AMD64") and libc.startswith("glibc"):
        return Check("system", "ok", detail)
    return Check("system", "failed", detail, "run on Linux x86-64 with glibc, or in a virtual machine that is")


def python() -> Check:
    """The interpreter of the tool itself."""
    return Check("python", "ok", f"{platform.python_version()} at {sys.executable}")


def namespaces(name: str, flags: int, otherwise: str) -> Check:
    """Whether a child may enter namespaces of its own; tried, because the kernel's answer has many owners."""
    trial = [sys.executable, "-I", "-S", "-c", _NAMESPACES, str(flags)]
    try:
        done = subprocess.run(trial, capture_output=True, timeout=20, check=False)
    except OSError as exc:
        detail = f"{sys.executable} cannot be run: {exc.strerror}"
        return Check(name, "failed", detail, "install greenfield where this user may run it")
    except subprocess.TimeoutExpired:
        return Check(name, "warning", f"no answer in 20 s: {otherwise}", "try again when the machine is less busy")
    if done.returncode == 0:
        return Check(name, "ok", "this user may make them")
    fix = "allow them (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces, or the AppArmor profile)"
    return Check(name, "warning", f"refused here: {otherwise}", fix)


def loopback() -> Check:
    """The address of every zone is on the loopback network."""
    for host in ("127.0.0.1", "127.0.1.1", "127.0.7.1"):
        try:
            with socket.create_server((host, 0)):
                pass
        except OSError as exc:
            return Check("loopback", "failed", f"{host}: {exc.strerror}", "bring the interface up: ip link set lo up")
    return Check("loopback", "ok", "127.0.0.0/8 can be listened on")


def ports() -> Check:
    """Enough ports for a platform at once."""
    with ExitStack() as held:
        for count in range(PORTS):
            try:
                held.enter_context(socket.create_server(("127.0.0.1", 0)))
            except OSError as exc:
                fix = "end what holds so many, or raise ulimit -n and net.ipv4.ip_local_port_range"
                return Check("ports", "failed", f"only {count} more can be opened: {exc.strerror}", fix)
    return Check("ports", "ok", f"{PORTS} more can be opened")


def disk(cache: Path) -> Check:
    """Space for the programs, and whether the cache may be written."""
    there = next(path for path in (cache, *cache.parents) if path.exists())
    if not os.access(there, os.W_OK):
        return Check("disk", "failed", f"{there} cannot be written", "set XDG_CACHE_HOME to a folder of yours")
    free = shutil.disk_usage(there).free / GIB
    fix = "" if free >= 3 else "free some space, or set XDG_CACHE_HOME to a folder on another disk"
    state: Literal["ok", "warning", "failed"] = "ok" if free >= 3 else "warning" if free >= 1 else "failed"
    return Check("disk", state, f"{free:.1f} GiB free at {cache}", fix)


def memory() -> Check:
    """Memory that may be used now."""
    facts = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(facts["MemAvailable"].split()[0]) * 1024 / GIB
    state: Literal["ok", "warning"] = "ok" if available >= 4 else "warning"
    fix = "" if state == "ok" else "close something, or declare fewer nodes in the `local` environment"
    return Check("memory", state, f"{available:.1f} GiB available, {os.cpu_count()} cores", fix)


def open_files() -> Check:
    """How many files a process may open, once it asks for all it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    detail = f"{soft}, at most {'unlimited' if hard == resource.RLIM_INFINITY else hard}"
    if hard == resource.RLIM_INFINITY or hard >= OPEN_FILES:
        return Check("open files", "ok", detail)
    return Check("open files", "warning", detail, f"raise the limit: ulimit -Hn {OPEN_FILES}")


def inotify() -> Check:
    """Envoy sees changed files through inotify, one instance for each."""
    try:
        instances = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    except OSError as exc:
        return Check("inotify", "warning", f"its limit cannot be read: {exc.strerror}", "mount /proc")
    if instances >= INOTIFY_INSTANCES:
        return Check("inotify", "ok", f"{instances} instances for each user")
    fix = "sysctl fs.inotify.max_user_instances=1024"
    return Check("inotify", "warning", f"only {instances} instances for each user", fix)


def names() -> Check:
    """Whether this machine's resolver knows ``*.localhost``; browsers and curl do by themselves."""
    try:
        socket.getaddrinfo("greenfield.localhost", 443)
    except OSError:
        fix = "nothing for browsers and curl; other programs connect to 127.0.0.1 with that Host, or use nss-myhostname"
        return Check(".localhost", "warning", "this machine's resolver does not know *.localhost", fix)
    return Check(".localhost", "ok", "*.localhost is known")


def debian() -> Check:
    """What fetches and unpacks Debian packages."""
    if missing := [name for name in ("apt-get", "apt-cache", "dpkg-deb") if not shutil.which(name)]:
        fix = "install PostgreSQL and Redis yourself, so that they are on PATH (`greenfield tools` says which versions)"
        return Check("apt", "warning", f"{', '.join(missing)}: not on PATH, so no Debian packages can be fetched", fix)
    return Check("apt", "ok", "Debian packages can be fetched, and unpacked without root")


def wheels() -> Check:
    """What fetches wheels."""
    if importlib.util.find_spec("pip"):
        return Check("wheels", "ok", f"by pip of {sys.executable}")
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv:
        return Check("wheels", "ok", f"by {uv}")
    return Check("wheels", "failed", "neither pip nor uv is there", f"{sys.executable} -m ensurepip")


def builders(cache: Path) -> Iterator[Check]:
    """Maven, Java and Go: on PATH, in the cache, or to be fetched when first needed."""
    for name, finding in Toolchain(cache, Silent()).find([MAVEN, JAVA, GO]).items():
        yield Check(name, "ok", "; ".join(filter(None, (finding.passed_over, _whence(finding)))))


def passed_over(cache: Path, tools: Iterable[Tool]) -> Iterator[Check]:
    """Programs on PATH that are not used, since they are of another version, or not all of their set."""
    others = [tool for tool in tools if tool.name not in {MAVEN.name, JAVA.name, GO.name}]
    for name, finding in Toolchain(cache, Silent()).find(others).items():
        if not (reason := finding.passed_over):
            continue
        detail = f"{reason}; {_whence(finding)}"
        if finding.tool.never_from_path:
            yield Check(name, "ok", detail)
        else:
            yield Check(name, "warning", detail, f"nothing, or {wanted_on_path(finding.tool)}")


def _whence(finding: Finding) -> str:
    if there := finding.installation:
        return f"{there.version} from {there.source}"
    sources = " or ".join(described(source) for source in finding.tool.sources)
    absent = "" if finding.passed_over else "".join(f"{refusal}; " for refusal in finding.refusals)
    return f"{absent}fetched when needed from {sources}"
