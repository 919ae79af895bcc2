"""The interpreter of an ``app``, and whether it has the modules that running the app takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from greenfield.errors import ClaimError
from greenfield.model.local import PythonClaim
from greenfield.targets.local.private import private_folder, write_private

_TIMEOUT_S: Final = 30.0  # an interpreter on a cold, busy disk
_QUESTION: Final = """
import importlib.util, json, sys
def found(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
print(json.dumps({"missing": [n for n in sys.argv[1:] if not found(n)]}))
"""


@dataclass(frozen=True)
class Pythons:
    """Finds interpreters for the project in ``root``.

    ``memory`` is a file that remembers which interpreter had which modules, so that nothing is asked twice.
    ``environment`` is the caller's; VIRTUAL_ENV counts.
    """

    root: Path
    memory: Path
    environment: Mapping[str, str]

    def find(self, claims: Iterable[PythonClaim]) -> Mapping[str, str]:
        """The path of each claim's interpreter by name; ClaimError where it is missing or lacks a module."""
        known = _read(self.memory)
        before = {key: list(modules) for key, modules in known.items()}
        found: dict[str, str] = {}
        for claim in claims:
            python = self._interpreter(claim)
            key = _fingerprint(python)
            unknown = sorted(set(claim.modules) - set(known.get(key, [])))
            if unknown:
                _require(python, unknown, claim.name)
                known[key] = sorted({*known.get(key, []), *unknown})
            found[claim.name] = str(python)
        if known != before:
            private_folder(self.memory.parent)
            write_private(self.memory, json.dumps(known).encode())
        return found

    def _interpreter(self, claim: PythonClaim) -> Path:
        if claim.declared:
            return self._declared(claim)
        for folder in self._upwards(self.root / claim.path):
            if (python := folder / ".venv" / "bin" / "python").exists():
                return python
        if active := self.environment.get("VIRTUAL_ENV"):
            python = Path(active) / "bin" / "python"
            if python.exists():
                return python
        return Path(sys.executable)

    def _declared(self, claim: PythonClaim) -> Path:
        python = self.root / claim.declared
        if not python.is_file() or not os.access(python, os.X_OK):
            raise ClaimError(
                f"The interpreter of {claim.name}, {python}, is no program.",
                hint=f"make it (python3 -m venv {python.parent.parent}), or correct `python:` of {claim.name}",
            )
        return python

    def _upwards(self, start: Path) -> Iterable[Path]:
        """The folders from ``start`` up to the project's, and not beyond it."""
        for folder in (start, *start.parents):
            if not folder.is_relative_to(self.root):
                return
            yield folder


def _require(python: Path, modules: Iterable[str], name: str) -> None:
    answer = _ask(python, modules, name)
    if answer["missing"]:
        missing = ", ".join(answer["missing"])
        raise ClaimError(
            f"{python}, the interpreter of {name}, cannot import {missing}.",
            hint=f"{python} -m pip install {' '.join(answer['missing'])}".replace("_", "-")
            + f", or name another interpreter with `python:` of {name}",
        )


def _ask(python: Path, modules: Iterable[str], name: str) -> dict[str, list[str]]:
    try:
        done = subprocess.run(
            [python, "-I", "-c", _QUESTION, *modules], capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as exc:
        said = (getattr(exc, "stderr", None) or str(exc)).strip().splitlines()
        raise ClaimError(
            f"{python}, the interpreter of {name}, does not run: {said[-1] if said else 'it says nothing'}.",
            hint="make the virtual environment anew, or name another interpreter with `python:`",
        ) from exc
    assert isinstance(answer, dict)
    return answer


def _fingerprint(python: Path) -> str:
    """An interpreter and what is installed for it, as far as their folders' times tell."""
    prefix = python.parent.parent
    places = [python, *sorted(prefix.glob("lib/python3*/site-packages"))]
    return "|".join([str(python), *(str(place.stat().st_mtime_ns) for place in places)])


def _read(memory: Path) -> dict[str, list[str]]:
    try:
        known = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(key): [str(name) for name in names] for key, names in known.items()} if isinstance(known, dict) else {}
