"""From the options of a command to a declaration and its plan. The only place that opens the file."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from greenfield.cli.catalogue import catalogue
from greenfield.cli.options import FILE_NAME, Options
from greenfield.errors import ArgumentError, DeclarationError, Problem, StartError
from greenfield.model.component import Catalogue
from greenfield.model.declaration import Declaration
from greenfield.model.plan import Plan
from greenfield.plan.compile import compile_plan
from greenfield.spec.parse import LARGEST_BYTES
from greenfield.spec.reader import Reader, Source


@dataclass(frozen=True)
class Planned:
    """A plan, with what it came from."""

    declaration: Declaration
    plan: Plan
    catalogue: Catalogue


def read_source(file: Path, content: bytes | None = None) -> Source:
    """The text of a declaration; a problem where there is none, or it is no text.

    ``content`` is what the file held at another time, when there were other folders.
    """
    past, content = content is not None, _content(file) if content is None else content
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        before = content[: exc.start]
        line, column = before.count(b"\n") + 1, exc.start - before.rfind(b"\n")
        message = f"this is no UTF-8: byte 0x{content[exc.start]:02x} cannot be read"
        raise DeclarationError([Problem(str(file), line, column, "yaml", message, "save the file as UTF-8")]) from exc
    root = file.parent
    inside = _resolved(root)

    def leads(path: str) -> Path | None:
        return _resolved(root / path)

    def folder_exists(path: str) -> bool:
        return past or ((folder := leads(path)) is not None and folder.is_dir())

    def stays_inside(path: str) -> bool:
        folder = leads(path)
        return folder is None or inside is None or folder.is_relative_to(inside)

    return Source(text, str(file), str(root), folder_exists, stays_inside)


def _resolved(path: Path) -> Path | None:
    """Where a path leads; None where it cannot lead anywhere: a loop of links, too long a name."""
    try:
        return path.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return None


def _content(file: Path) -> bytes:
    """The bytes of the file, at most one more than a declaration may have."""
    try:
        kind = file.stat().st_mode
        if stat.S_ISDIR(kind):
            there = (file / FILE_NAME).is_file()
            hint = f"name the file: -f {file / FILE_NAME}" if there else "name a file"
            raise _problem(file, f"{file} is a folder", hint)
        if not stat.S_ISREG(kind):
            raise _problem(file, f"{file} is no regular file", "name a file")
        with file.open("rb") as opened:
            return opened.read(LARGEST_BYTES + 1)
    except FileNotFoundError as exc:
        raise _problem(file, f"there is no {file.name} in {file.parent}", _near(file)) from exc
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        hint = "look at its permissions and those above it" if isinstance(exc, PermissionError) else ""
        raise _problem(file, f"{file} cannot be read: {reason}", hint) from exc


def _near(file: Path) -> str:
    """The YAML file beside it that may have been meant, else how to get one."""
    try:
        names = sorted(each.name for each in os.scandir(file.parent) if each.name.endswith((".yaml", ".yml")))
    except OSError:
        names = []
    found = difflib.get_close_matches(file.name, names, n=1, cutoff=0.8)
    return f"did you mean {found[0]!r}?" if found else "`greenfield init` writes one"


def read_declaration(
    options: Options, default_environment: str | None = None, content: bytes | None = None
) -> Declaration:
    """The asked environment; where none was asked for, the default one if the file has it, else the base.

    ``content`` is what the file held at another time.
    """
    reader = Reader(read_source(options.file, content), catalogue())
    known, environment = reader.environments, options.environment
    if environment is None:
        return reader.read(default_environment if default_environment in known else None)
    if reader.readable and environment not in known:
        found = difflib.get_close_matches(environment, known, n=1)
        there = f"the file has {', '.join(known)}" if known else "the file has none"
        hint = f"did you mean {found[0]!r}?" if found else there
        raise ArgumentError(f"there is no environment {environment!r}", hint=hint)
    return reader.read(environment)


def environments(options: Options) -> tuple[str, ...]:
    """The names of the overlays, in the order of the file, as far as it can be read."""
    return Reader(read_source(options.file), catalogue()).environments


def read_plan(
    options: Options, default_environment: str | None = None, scale: Mapping[str, int] | None = None
) -> Planned:
    """The declaration and its plan."""
    declaration = read_declaration(options, default_environment)
    components = catalogue()
    return Planned(declaration, compile_plan(declaration, components, scale), components)


def require_workable(plan: Plan) -> None:
    """StartError with every sum that cannot work, wherever it were run."""
    if plan.refusals:
        raise StartError("\n".join(plan.refusals), hint="`greenfield plan` shows the sums")


def _problem(file: Path, message: str, hint: str) -> DeclarationError:
    return DeclarationError([Problem(str(file), 1, 1, "no-such-file", message, hint)])
