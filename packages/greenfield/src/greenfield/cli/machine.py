"""What the platform stands on: ``tools`` and ``doctor``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from greenfield.cli.options import Options, with_options
from greenfield.cli.output import aligned, emit, emit_json

if TYPE_CHECKING:
    from greenfield.toolchain.chain import Finding
    from greenfield.toolchain.machine import Check

_MARKS = {"ok": "✓", "warning": "!", "failed": "✗"}


@click.command()
@with_options
@click.option("--fetch", is_flag=True, help="Fetch what is missing.")
@click.option("--learn", "learning", is_flag=True, help="Fetch everything afresh and print the lock file of it.")
def tools(options: Options, fetch: bool, learning: bool) -> None:
    """The programs that the declaration needs, or all there are, and where each comes from."""
    from greenfield.cli.catalogue import catalogue
    from greenfield.cli.inventory import tools_for
    from greenfield.toolchain.chain import Toolchain, default_cache
    from greenfield.toolchain.learning import learn
    from greenfield.toolchain.progress import Silent, shown_on

    cache = default_cache(os.environ)
    wanted = tools_for(options, catalogue())
    if learning:
        with shown_on(sys.stderr) as progress:
            emit(learn(wanted, cache, progress).text())
        return
    if fetch:
        with shown_on(sys.stderr) as progress:
            Toolchain(cache, progress).obtain(wanted)
    found = Toolchain(cache, Silent()).find(wanted)
    if options.json:
        emit_json({"cache": str(cache), "tools": [_as_json(finding) for finding in found.values()]})
        return
    emit(aligned([("TOOL", "VERSION", "SIZE", "FROM"), *(_told(finding) for finding in found.values())]))
    emit(f"cache: {cache}")


def _told(finding: Finding) -> tuple[str, str, str, str]:
    from greenfield.toolchain.chain import described
    from greenfield.toolchain.progress import mebibytes

    size = mebibytes(finding.size) if finding.size else ""
    if there := finding.installation:
        instead = f" (PATH: {finding.passed_over})" if finding.passed_over else ""
        return finding.tool.name, there.version, size, f"{there.source}{instead}"
    reasons = "".join(f" ({refusal})" for refusal in finding.refusals)
    sources = " or ".join(described(source) for source in finding.tool.sources)
    return finding.tool.name, "", size, f"not here yet: {sources}{reasons}"


def _as_json(finding: Finding) -> Mapping[str, Any]:
    from greenfield.toolchain.chain import described

    there = finding.installation
    return {
        "name": finding.tool.name,
        "state": "ready" if there else "missing",
        "version": there.version if there else "",
        "source": there.source if there else "",
        "root": there.root if there else "",
        "programs": dict(there.programs) if there else {},
        "size_bytes": finding.size,
        "contents": dict(finding.contents),
        "refusals": list(finding.refusals),
        "sources": [described(source) for source in finding.tool.sources],
    }


@click.command()
@with_options
@click.pass_context
def doctor(context: click.Context, options: Options) -> None:
    """Look at this machine without changing it: what a platform would miss, and how to get it."""
    from greenfield.cli.catalogue import catalogue
    from greenfield.cli.inventory import known
    from greenfield.toolchain.chain import default_cache
    from greenfield.toolchain.machine import examine

    checks = list(examine(default_cache(os.environ), known(catalogue())))
    healthy = all(check.state != "failed" for check in checks)
    if options.json:
        emit_json({"ok": healthy, "checks": [vars(check) for check in checks]})
    else:
        for check in checks:
            emit(_line(check))
    if not healthy:
        context.exit(1)


def _line(check: Check) -> str:
    colour = {"ok": "green", "warning": "yellow", "failed": "red"}[check.state]
    fix = f"\n    {click.style('hint', fg='cyan')}: {check.fix}" if check.fix else ""
    return f"{click.style(_MARKS[check.state], fg=colour)} {check.name}: {check.detail}{fix}"
