"""How long a person waits for the commands that start nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.result import Result

GREENFIELD = str(Path(sys.executable).parent / "greenfield")
SHOP = Path(__file__).parents[1] / "examples" / "shop" / "greenfield.yaml"


def measure() -> Iterator[Result]:
    """Medians of whole processes; the large file's cost beside one of half its size tells whether it grows evenly."""
    yield Result("cli", "greenfield --help", _seconds("--help"), "s", 0.2)
    yield Result("cli", "check of the shop", _seconds("check", "-f", str(SHOP)), "s", 0.5)
    with tempfile.TemporaryDirectory() as folder:
        half, whole = (large_platform(Path(folder) / str(count), count) for count in (500, 1000))
        for command in ("check", "plan"):
            small, large = _seconds(command, "-f", str(half), runs=3), _seconds(command, "-f", str(whole), runs=3)
            yield Result("cli", f"{command} of 1,000 services", large, "s", 3.0)
            yield Result("cli", f"{command}: 1,000 services over 500", large / small, "ratio", 2.4)


def _seconds(*arguments: str, runs: int = 5) -> float:
    taken = []
    for _ in range(runs + 1):
        begin = time.perf_counter()
        subprocess.run([GREENFIELD, *arguments], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken[1:])


def large_platform(folder: Path, services: int) -> Path:
    """Services that call their neighbour and share a cache, a database each ten, and a topic."""
    folder.mkdir()
    lines = ["apiVersion: greenfield/v1", "name: large", "telemetry: off", "services:"]
    for index in range(services):
        lines += [
            f"  svc-{index}:",
            "    app: app:app",
            "    image: registry.example/app:1.0.0",
            "    uses:",
            "      cache: write",
            f"      db-{index // 10}: own",
            f"      svc-{(index + 1) % services}: call",
            f"      events: {'produce' if index % 2 else 'consume'}",
        ]
    databases = ", ".join(f"db-{index}" for index in range((services + 9) // 10))
    lines += [
        "datastores:",
        "  cache: {kind: redis}",
        f"  postgres: {{kind: postgres, databases: [{databases}]}}",
        "brokers:",
        "  kafka: {kind: kafka, topics: {events: {}}}",
    ]
    file = folder / "greenfield.yaml"
    file.write_text("\n".join(lines) + "\n")
    return file
