"""What a platform takes of its machine: memory and processor time of every process, those that watch included."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.running import Running
from greenfield.targets.local.spawn import stat_fields

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Share:
    """Of one process and its children: proportional set size in MiB, seconds of processor time since their start."""

    name: str
    program: str
    pss_mib: float
    cpu_s: float


def shares(platform: Running) -> list[Share]:
    """Everything below the guardian, by the process of the platform that it belongs to."""
    parents = _parents()
    names = _names(platform)
    found: dict[str, list[int]] = defaultdict(list)
    for pid in parents:
        owner = _owner(pid, parents, names)
        if owner is not None:
            found[names[owner]].append(pid)
    programs = {name: _program(pid) for pid, name in names.items()}
    return [
        Share(name, programs[name], sum(map(pss_mib, pids)), sum(map(_cpu_s, pids))) for name, pids in found.items()
    ]


def by_program(shares: Iterable[Share]) -> Mapping[str, tuple[int, float, float]]:
    """How many processes run a program, and what they take together: MiB and seconds."""
    found: dict[str, tuple[int, float, float]] = {}
    for share in shares:
        count, pss, cpu = found.get(share.program, (0, 0.0, 0.0))
        found[share.program] = (count + 1, pss + share.pss_mib, cpu + share.cpu_s)
    return found


def _names(platform: Running) -> dict[int, str]:
    state = json.loads(platform.paths.state.read_text())
    names = {row["pid"]: row["name"] for row in platform.status()["processes"] if row["pid"]}
    return {**names, state["supervisor"]["pid"]: "supervisor", state["guardian"]["pid"]: "guardian"}


def _parents() -> dict[int, int]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return {pid: int(fields[1]) for pid in pids if (fields := stat_fields(pid))}


def _owner(pid: int, parents: Mapping[int, int], names: Mapping[int, str]) -> int | None:
    while pid not in names:
        if (parent := parents.get(pid)) is None:
            return None
        pid = parent
    return pid


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "gone"


def pss_mib(pid: int) -> float:
    """Its memory, shared pages by their share."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it ended meanwhile
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _cpu_s(pid: int) -> float:
    """Its own, and that of its children that ended."""
    return sum(int(field) for field in stat_fields(pid)[11:15]) * _TICK_S
