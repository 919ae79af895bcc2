"""``init``: a new platform that runs as it is."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from greenfield.cli.output import emit, emit_json, say
from greenfield.errors import ArgumentError, StateError

_STARTER = Path(__file__).with_name("starter")
_PLACEHOLDER = "NAME"
_FILES = (
    "greenfield.yaml",
    "services/hello/hello.py",
    "services/hello/alembic.ini",
    "services/hello/migrations/env.py",
    "services/hello/migrations/versions/0001_guests.py",
    "tests/test_hello.py",
    "pyproject.toml",
    "README.md",
    ".gitignore",
)


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
def init(folder: Path, format_: str) -> None:
    """A new platform in DIR (default: here) that runs as it is: a service with a database, a cache, a topic and tests.

    Nothing that is there already is overwritten.
    """
    name = platform_name(folder)
    written = list(write_starter(folder, name))
    if format_ == "json":
        emit_json({"name": name, "folder": str(folder.absolute()), "files": [str(path) for path in written]})
        return
    for path in written:
        emit(str(path))
    if kept := [file for file in _FILES if folder / file not in written]:
        say(f"left as they were: {', '.join(kept)}")
    say(f"\n{name} is ready to run:\n\n    {_steps(folder)}\n")


def platform_name(folder: Path) -> str:
    """A name that ``check`` accepts from a folder's: ``My Shop_2`` becomes ``my-shop-2``."""
    from greenfield.spec.head import is_kept
    from greenfield.spec.names import LONGEST_NAME

    name = re.sub(r"[^a-z0-9]+", "-", folder.absolute().name.lower()).strip("-")
    if name[:1].isdigit() or is_kept(name):
        name = f"platform-{name}"
    return name[:LONGEST_NAME].rstrip("-") or "platform"


def write_starter(folder: Path, name: str) -> Iterator[Path]:
    """Writes the platform's files and yields each one written; ArgumentError where a declaration is there already."""
    if os.path.lexists(folder / _FILES[0]):
        raise ArgumentError(
            f"{folder / _FILES[0]} is there already.", hint="run it: greenfield up, or name another folder"
        )
    try:
        for file in _FILES:
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            source = _STARTER / file.removeprefix(".")
            try:
                with path.open("x", encoding="utf-8") as new:
                    new.write(source.read_text(encoding="utf-8").replace(_PLACEHOLDER, name))
            except FileExistsError:
                continue
            yield path
    except OSError as exc:
        raise StateError(
            f"{exc.filename or folder} cannot be written: {exc.strerror}.",
            hint="name a folder that is writable for you",
        ) from exc


def _steps(folder: Path) -> str:
    there = "" if folder.absolute() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    return f"{there}greenfield up"
