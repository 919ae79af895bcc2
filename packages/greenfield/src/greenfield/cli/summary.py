"""A status answer in words: what to know of a platform beside the rows of its processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def remarks(status: Mapping[str, Any], *fields: str) -> list[str]:
    """What a table has no room for: the ``reason`` why a process is not ready, the ``note`` which program it is.

    Those of whom the same is to be said share a line.
    """
    about: dict[str, list[str]] = {}
    for process in status["processes"]:
        for words in filter(None, (process.get(field, "") for field in fields)):
            about.setdefault(words, []).append(process["name"])
    return [f"{', '.join(names)}: {words}" for words, names in about.items()]


def memory_text(size: int) -> str:
    """Bytes for people: ``71 MiB``, ``1.2 GiB``."""
    mebibytes = size / (1 << 20)
    return f"{mebibytes:.0f} MiB" if mebibytes < 1000 else f"{mebibytes / 1024:.1f} GiB"


def card(status: Mapping[str, Any], logs: str, *, stop: str) -> str:
    """What to know about a platform that is ready: where it is, what it takes, how to stop it."""
    resident = sum(process["rss_bytes"] for process in status["processes"])
    rows = {
        **status["urls"],
        "logs": f"{logs}  (greenfield logs NAME --follow)",
        "memory": f"{memory_text(resident)} in {len(status['processes'])} processes",
        "stop": stop,
    }
    width = max(len(name) for name in rows)
    return "\n".join(f"  {name.ljust(width)}  {value}" for name, value in rows.items())


def took(status: Mapping[str, Any], cores: int) -> str:
    """``ready in 9.8 s; longest chain: zookeeper 1.1 → kafka 2.9``, and the bound that the processors set."""
    if status["started_in_s"] is None:
        return ""
    chain = " → ".join(f"{step['name']} {step['seconds']:.1f}" for step in status["critical_path"])
    cpu = status.get("cpu_s")
    bound = f"; {cpu:.1f} CPU seconds ÷ {cores} cores = {cpu / cores:.1f} s" if cpu else ""
    return f"ready in {status['started_in_s']:.1f} s" + (f"; longest chain: {chain}" if chain else "") + bound
