"""The declaration as it was at a revision of git."""

from __future__ import annotations

import subprocess

from greenfield.cli.catalogue import catalogue
from greenfield.cli.options import Options
from greenfield.cli.reading import Planned, read_declaration
from greenfield.errors import ArgumentError, DeclarationError
from greenfield.plan.compile import compile_plan


def read_plan_at(options: Options, revision: str) -> Planned:
    """The plan of the file at a revision; ArgumentError where git has neither it nor the file in it."""
    content = _content_at(options, revision)
    try:
        declaration = read_declaration(options, content=content)
    except DeclarationError as exc:
        raise ArgumentError(
            f"the file at {revision} has mistakes: {exc.problems[0].message}", hint="name one in which it had none"
        ) from exc
    components = catalogue()
    return Planned(declaration, compile_plan(declaration, components), components)


def _content_at(options: Options, revision: str) -> bytes:
    if not revision or revision.startswith("-"):
        raise ArgumentError(f"{revision!r} is no revision", hint="such as main, or HEAD~1")
    shown = ["git", "-C", str(options.file.parent), "show", f"{revision}:./{options.file.name}"]
    try:
        done = subprocess.run(shown, capture_output=True, check=False)
    except OSError as exc:
        raise ArgumentError(f"git cannot be run: {exc.strerror}", hint="--against asks git for the file") from exc
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        reason = "".join(last).removeprefix("fatal: ")
        raise ArgumentError(f"git has no {options.file.name} at {revision!r}: {reason}", hint="such as main, or HEAD~1")
    return done.stdout
