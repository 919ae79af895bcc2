"""``python -m benchmarks [NAME] [--format json]``: runs one benchmark, or all."""

from __future__ import annotations

import argparse
import importlib

NAMES = ("cli", "start")


def main() -> None:
    """Prints each figure as soon as it is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("name", nargs="?", choices=NAMES)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    arguments = parser.parse_args()
    for name in (arguments.name,) if arguments.name else NAMES:
        for result in importlib.import_module(f"benchmarks.{name}").measure():
            print(result.as_json() if arguments.format == "json" else result.as_text(), flush=True)


if __name__ == "__main__":
    main()
