"""From the options of a command to a declaration and its plan. The only place that opens the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from greenfield.cli.catalogue import catalogue
from greenfield.cli.options import Options
from greenfield.errors import ArgumentError, DeclarationError, Problem
from greenfield.model.component import Catalogue
from greenfield.model.declaration import Declaration
from greenfield.model.plan import Plan
from greenfield.plan.compile import compile_plan
from greenfield.spec.reader import Source, environments, read


@dataclass(frozen=True)
class Planned:
    """A plan, with what it came from."""

    declaration: Declaration
    plan: Plan
    catalogue: Catalogue


def read_source(file: Path) -> Source:
    """The text of a declaration; a problem where there is none, or it is no text."""
    root = file.parent

    def folder_exists(path: str) -> bool:
        folder = (root / path).resolve()
        return folder.is_dir() and folder.is_relative_to(root.resolve())

    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as exc:
        raise _problem(file, "no-such-file", f"there is no {file.name} here", "`greenfield init` writes one") from exc
    except UnicodeDecodeError as exc:
        raise _problem(
            file, "yaml", f"the file is no UTF-8: byte {exc.start} cannot be read", "save it as UTF-8"
        ) from exc
    except OSError as exc:
        raise _problem(file, "no-such-file", f"{file} cannot be read: {exc.strerror}", "") from exc
    return Source(text, str(file), str(root), folder_exists)


def read_declaration(options: Options, default_environment: str | None = None) -> Declaration:
    """The asked environment; where none was asked for, the default one if the file has it, else the base."""
    source = read_source(options.file)
    environment = options.environment
    if environment is None and default_environment in (known := environments(source)):
        environment = default_environment
    elif environment is not None and environment not in (known := environments(source)):
        there = f"the file has {', '.join(known)}" if known else "the file has none"
        raise ArgumentError(f"there is no environment {environment!r}", hint=there)
    return read(source, catalogue(), environment)


def read_plan(
    options: Options, default_environment: str | None = None, scale: Mapping[str, int] | None = None
) -> Planned:
    """The declaration and its plan."""
    declaration = read_declaration(options, default_environment)
    components = catalogue()
    return Planned(declaration, compile_plan(declaration, components, scale), components)


def _problem(file: Path, code: str, message: str, hint: str) -> DeclarationError:
    return DeclarationError([Problem(str(file), 1, 1, code, message, hint)])
