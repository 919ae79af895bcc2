"""Writes the grants of the stand-in for MongoDB. Runs in the task process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def reconcile(input: Mapping[str, Any], secret: Callable[[str], str]) -> str:  # noqa: A002, ARG001
    """Makes the file of grants as ``input`` says; without ``prune`` it only adds.

    ``input``: ``file``, and ``grants`` as rows of subject, database and access. The server reads the file anew for the
    command after the change.
    """
    file = Path(input["file"])
    wanted = {"|".join(row) for row in input["grants"]}
    present = set(file.read_text(encoding="utf-8").splitlines()) if file.exists() else set()
    kept = wanted if input["prune"] else wanted | present
    if kept == present:
        return "everything was as declared"
    written = file.with_name(f"{file.name}.tmp")
    written.write_text("".join(f"{line}\n" for line in sorted(kept)), encoding="utf-8")
    written.rename(file)
    return f"{len(kept - present)} grants came, {len(present - kept)} went"
