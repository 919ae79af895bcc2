"""The options that every command takes, and the file they name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

FILE_NAME = "greenfield.yaml"


@dataclass(frozen=True)
class Options:
    """What was asked for: the declaration's absolute path, the environment (None: the default), the format.

    ``asked``: the file was named, not looked for.
    """

    file: Path
    environment: str | None
    format: str
    asked: bool = False

    @property
    def json(self) -> bool:
        """Whether data goes out as JSON."""
        return self.format == "json"


def _find(given: str | None) -> Path:
    """The named file, or the nearest ``greenfield.yaml`` from here upwards; a path even where nothing is."""
    if given is not None:
        return Path(given).absolute()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    return here / FILE_NAME


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds ``-f``, ``--env`` and ``--format``, handed to the command as one ``Options``, its first argument."""
    return with_formats("text", "json")(command)


def with_formats(*formats: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """As ``with_options``, for a command that knows other formats; the first is the default."""
    return functools.partial(_with_options, formats=formats)


def _with_options(command: Callable[..., None], *, formats: tuple[str, ...]) -> Callable[..., None]:
    @click.option("-f", "--file", "file", metavar="FILE", help=f"The declaration. Default: the nearest {FILE_NAME}.")
    @click.option("--env", "environment", metavar="NAME", help="The environment whose overlay applies.")
    @click.option("--format", "format_", type=click.Choice(formats), default=formats[0], show_default=True)
    @functools.wraps(command)
    def wrapped(*args: Any, file: str | None, environment: str | None, format_: str, **kwargs: Any) -> None:
        command(Options(_find(file), environment, format_, file is not None), *args, **kwargs)

    return wrapped
