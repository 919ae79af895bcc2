"""Data on stdout, messages on stderr. No colour off a terminal or under NO_COLOR."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from greenfield.errors import ClusterError, DeclarationError, GreenfieldError, Problem, StartError, UserError


def emit(text: str) -> None:
    """One piece of data, on stdout."""
    click.echo(text)


def emit_json(value: Any) -> None:
    """One JSON document on stdout: indented for a person's terminal, one line elsewhere."""
    click.echo(json.dumps(value, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))


def say(message: str) -> None:
    """A message for a person, on stderr."""
    click.echo(message, err=True)


def aligned(lines: Iterable[Sequence[str]]) -> str:
    """Lines of cells as columns, without colour."""
    listed = list(lines)
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in listed
    )


def problem_json(problem: Problem) -> dict[str, Any]:
    """A problem as DESIGN §6 has it."""
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
        "severity": problem.severity,
    }


def problems_json(problems: Iterable[Problem]) -> dict[str, Any]:
    """The problems object; ``ok`` unless one of them is an error."""
    listed = list(problems)
    return {
        "ok": all(problem.severity != "error" for problem in listed),
        "problems": [problem_json(problem) for problem in listed],
    }


def report(error: GreenfieldError, *, as_json: bool) -> None:
    """An error, for a person on stderr, or as JSON on stdout."""
    if isinstance(error, UserError):
        problems = error.problems if isinstance(error, DeclarationError) else (_argument_problem(error),)
        if as_json:
            emit_json(problems_json(problems))
            return
        for problem in problems:
            say(_coloured(problem))
        return
    if as_json:
        emit_json({"ok": False, "error": {"message": error.message, "hint": error.hint, "log": list(_log(error))}})
    say(f"{click.style('error', fg='red', bold=True)}: {error.message}")
    for line in _log(error):
        say(f"  | {line}")
    if error.hint:
        say(f"{click.style('hint', fg='cyan')}: {error.hint}")


def _log(error: GreenfieldError) -> tuple[str, ...]:
    return error.log if isinstance(error, StartError | ClusterError) else ()


def _argument_problem(error: GreenfieldError) -> Problem:
    return Problem(file="", line=0, column=0, code="argument", message=error.message, hint=error.hint)


def _coloured(problem: Problem) -> str:
    place = click.style(f"{problem.file}:{problem.line}:{problem.column}: ", bold=True) if problem.line else ""
    colour = "red" if problem.severity == "error" else "yellow"
    head = click.style(f"{problem.severity}[{problem.code}]", fg=colour, bold=True)
    hint = f"\n  {click.style('hint', fg='cyan')}: {problem.hint}" if problem.hint else ""
    return f"{place}{head}: {problem.message}{hint}"
