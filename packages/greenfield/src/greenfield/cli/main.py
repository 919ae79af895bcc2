"""The command line: finds the command, runs it, turns what went wrong into words and an exit code."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import click

from greenfield import __version__


@dataclass(frozen=True)
class Entry:
    """Where a command lives, and its line in ``--help``, so that help imports no command."""

    module: str
    summary: str


COMMANDS: Mapping[str, Entry] = {
    "init": Entry("start", "A new platform that runs as it is."),
    "check": Entry("declaration", "Find every mistake in the declaration."),
    "plan": Entry("declaration", "Show the graph, the grants and the parity."),
    "schema": Entry("declaration", "Print the JSON schema of the declaration."),
    "up": Entry("platform", "Run the platform on this machine, or make it what the file says."),
    "down": Entry("platform", "Stop it; data is kept unless --volumes."),
    "status": Entry("platform", "What runs, where, and how it is."),
    "logs": Entry("members", "What the processes said."),
    "restart": Entry("members", "Start a service or process anew, without losing a request."),
    "scale": Entry("members", "Run another number of replicas of a service."),
    "env": Entry("members", "Print the wiring of a service."),
    "shell": Entry("members", "A shell with the wiring of a service."),
    "run": Entry("members", "A one-off process with the wiring and identity of a service."),
    "backing": Entry("backing", "What a service uses, alone and for a while: for its tests."),
    "verify": Entry("assurance", "Prove that every edge works and everything else is refused."),
    "explain": Entry("assurance", "Why A may, or may not, reach B; whom the running platform refused."),
    "render": Entry("render", "What Kubernetes is to hold, as files or on stdout."),
    "diff": Entry("kubernetes", "Show what a deploy would change on the cluster."),
    "deploy": Entry("kubernetes", "Make the cluster hold what the file says."),
    "secrets": Entry("secrets", "Secrets for Kubernetes: list them, seal them."),
    "tools": Entry("machine", "The programs and where they came from."),
    "doctor": Entry("machine", "What is wrong with this machine, and the fix."),
}


class _Commands(click.Group):
    """A group that imports a command's module only when that command is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if (entry := COMMANDS.get(cmd_name)) is None:
            return None
        command = getattr(importlib.import_module(f"greenfield.cli.{entry.module}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown command names the nearest one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def greenfield() -> None:
    """One file declares the platform; the same file runs it for real here and on Kubernetes."""


def main() -> None:
    """The entry point. Exit 0 done, 1 it failed, 2 the declaration or the arguments are wrong, 130 interrupted."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code."""
    try:
        code = greenfield.main(arguments, prog_name="greenfield", standalone_mode=False)
    except click.exceptions.Abort:
        return 130
    except click.ClickException as exc:
        return _usage(exc, arguments)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as exc:
        from greenfield.cli.output import report
        from greenfield.errors import GreenfieldError

        if not isinstance(exc, GreenfieldError):
            raise
        report(exc, as_json=_wants_json(arguments))
        return exc.exit_code
    return code if isinstance(code, int) else 0


def _usage(exc: click.ClickException, arguments: list[str]) -> int:
    from greenfield.cli.output import report
    from greenfield.errors import ArgumentError

    context = getattr(exc, "ctx", None)
    hint = f"see `{context.command_path} --help`" if context else ""
    report(ArgumentError(exc.format_message(), hint=hint), as_json=_wants_json(arguments))
    return 2


def _wants_json(arguments: list[str]) -> bool:
    head = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--format=json" in head or ("--format", "json") in itertools.pairwise(head)
