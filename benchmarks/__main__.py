"""``python -m benchmarks [NAME] [--format json]``: runs one benchmark, or all."""

from __future__ import annotations

import argparse
import importlib
import os

from benchmarks.result import Result

_KIT = ("telemetry", "cache", "kit", "outbox", "consumer", "overload")
NAMES = ("cli", "render", "start", "idle", "request", "waf", *_KIT)
LONG = ("soak", "faults")  # by name only


def main() -> None:
    """Prints each figure as soon as it is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("name", nargs="?", choices=(*NAMES, *LONG))
    parser.add_argument("--format", choices=("text", "json"), default="text")
    arguments = parser.parse_args()
    for name in (arguments.name,) if arguments.name else NAMES:
        _print(_load(name, "before"), arguments.format)
        for result in importlib.import_module(f"benchmarks.{name}").measure():
            _print(result, arguments.format)
        _print(_load(name, "after"), arguments.format)


def _print(result: Result, form: str) -> None:
    print(result.as_json() if form == "json" else result.as_text(), flush=True)


def _load(name: str, when: str) -> Result:
    """Who else is busy here: a figure from a loaded machine is worth less."""
    return Result(name, f"load average {when}", os.getloadavg()[0], "processes")


if __name__ == "__main__":
    main()
