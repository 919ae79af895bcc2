"""The process that runs reconcilers: questions on standard input, answers on standard output, one JSON a line.

Each runs in a thread of its own; drivers are imported only by those who need them.
"""

from __future__ import annotations

import functools
import importlib
import json
import sys
import threading
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

WORKERS = 8


def main() -> None:
    """Answers until its input ends."""
    secrets = Path(sys.argv[1])
    writing = threading.Lock()

    def secret(name: str) -> str:
        return (secrets / name).read_text(encoding="ascii").strip()

    def work(question: dict[str, Any]) -> str:
        module, _, function = question["function"].partition(":")
        return str(getattr(importlib.import_module(module), function)(question["input"], secret))

    def answer(number: int, future: Future[str]) -> None:
        with writing:
            print(json.dumps({"number": number, **_outcome(future)}), flush=True)

    with ThreadPoolExecutor(WORKERS) as pool:
        for line in sys.stdin:
            question = json.loads(line)
            future = pool.submit(work, question)
            future.add_done_callback(functools.partial(answer, question["number"]))


def _outcome(future: Future[str]) -> dict[str, str]:
    error = future.exception()
    if error is None:
        return {"done": future.result()}
    trace = "".join(traceback.format_exception(error))
    return {"error": str(error) or type(error).__name__, "trace": trace}


if __name__ == "__main__":
    main()
