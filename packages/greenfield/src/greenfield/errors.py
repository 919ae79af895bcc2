"""One tree of errors. Whose fault it is decides the exit code.

    GreenfieldError
    ├── UserError                 exit 2: what was typed or declared is wrong
    │   ├── DeclarationError      the file: carries every problem found, each with its position
    │   ├── ArgumentError         the command line
    │   ├── OutputError           the folder for files is not ours, or cannot be written
    │   └── UnsealedError         secrets that the target wants are not sealed for it yet
    ├── PlatformError             exit 1: this machine or a running program failed
    │   ├── ToolError             a program cannot be found, fetched or trusted
    │   ├── ClaimError            a port, certificate, secret or directory cannot be had
    │   ├── StartError            a process or task failed, or never became ready; carries its last words
    │   ├── StateError            `.greenfield` is locked, from a newer version, or cannot be written
    │   ├── NotRunningError       the command needs a running platform
    │   ├── ClusterError          a cluster cannot be reached, refuses, or never became what was asked; carries details
    │   └── UnsupportedError      a kind that this target cannot run yet
    └── DefectError               our own bug; the message asks for a report

Foreign exceptions are translated where they enter, with ``from``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a declaration or in the arguments.

    ``line`` and ``column`` count from 1; line 0 stands for a command-line argument. ``hint`` may be empty.
    """

    file: str
    line: int
    column: int
    code: str
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else ""
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{place}{self.severity}[{self.code}]: {self.message}{hint}"


class GreenfieldError(Exception):
    """The root. ``message`` says what, where and why; ``hint`` what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UserError(GreenfieldError):
    """What was typed or declared is wrong; nothing has been changed."""

    exit_code = 2


class DeclarationError(UserError):
    """The declaration has mistakes; ``problems`` holds all of them, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ArgumentError(UserError):
    """The command line is wrong."""


class OutputError(UserError):
    """A folder that was named for files is not ours, or cannot be written; it is as it was."""


class UnsealedError(UserError):
    """Secrets that the target wants are not sealed for it yet."""


class PlatformError(GreenfieldError):
    """This machine or a running program failed."""


class ToolError(PlatformError):
    """A program cannot be found, fetched or trusted."""


class ClaimError(PlatformError):
    """A port, certificate, secret or directory cannot be had."""


class StartError(PlatformError):
    """A process or task failed or never became ready; ``log`` holds its last lines, oldest first."""

    def __init__(self, message: str, *, hint: str = "", log: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.log = log


class StateError(PlatformError):
    """The state directory is locked, was written by a newer version, or cannot be written."""


class NotRunningError(PlatformError):
    """The command needs a running platform, or a running member of it."""


class ClusterError(PlatformError):
    """A cluster cannot be reached, refuses something, or did not become ready; ``log`` holds a line for each object."""

    def __init__(self, message: str, *, hint: str = "", log: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.log = log


class UnsupportedError(PlatformError):
    """The declaration is right, but this target cannot run a kind in it yet."""


class DefectError(GreenfieldError):
    """Our own bug."""
