"""``verify`` and ``explain``: what holds on the running platform, and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from greenfield.cli.options import Options, with_options
from greenfield.cli.output import emit, emit_json
from greenfield.errors import ArgumentError

if TYPE_CHECKING:
    from greenfield.assurance.verify import Check

_MARKS = {True: ("ok", "green"), False: ("FAILED", "red"), None: None}


class _Duration(click.ParamType[int]):
    """``90s``, ``15m``, ``48h`` or ``30d``, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from greenfield.model.quantity import seconds

        try:
            return value if isinstance(value, int) else seconds(str(value))
        except ValueError as exc:
            return self.fail(str(exc), param, ctx)


@click.command()
@with_options
@click.option("--edge", metavar="A:B", help="Only what A may do at B, and that nobody else gets in there.")
@click.option(
    "--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write the checks there as JUnit XML, too."
)
@click.option("--strict", is_flag=True, help="What is skipped, not enforced here, or never seen, fails too.")
@click.option("--observed", is_flag=True, help="Try nothing: compare edges with what services did, by their traces.")
@click.option("--since", type=_Duration(), metavar="DURATION", help="With --observed: only what is as young as this.")
def verify(
    options: Options, edge: str | None, junit: Path | None, since: int | None, *, strict: bool, observed: bool
) -> None:
    """Prove the running platform: every edge works, everything else is refused."""
    from greenfield.cli import observed as by_traces

    if observed and (edge or junit):
        raise ArgumentError("--observed goes with neither --edge nor --junit", hint="it compares all edges at once")
    if since is not None and not observed:
        raise ArgumentError("--since goes with --observed", hint="proofs are tried now")
    status = _status(options)
    if observed:
        ok = by_traces.show(options, status, since or 0, strict=strict)
    else:
        ok = _tried(options, status, edge, junit, strict=strict)
    if not ok:
        click.get_current_context().exit(1)


def _status(options: Options) -> Mapping[str, Any]:
    from greenfield.cli.prepared import paths_of, running

    return running(paths_of(options)).status()


def _tried(options: Options, status: Mapping[str, Any], edge: str | None, junit: Path | None, *, strict: bool) -> bool:
    from greenfield.assurance.junit import document
    from greenfield.cli.summary import remarks

    checks = _proved(options, status, edge)
    if junit is not None:
        _write(junit, document(status["name"], checks))
    ok = bool(checks) and not any(c.ok is False or (strict and c.ok is None) for c in checks)
    if options.json:
        emit_json({"ok": ok, "checks": [check.as_json() for check in checks]})
    else:
        _show(checks)
        for remark in remarks(status, "note"):
            emit(remark)
    return ok


def _proved(options: Options, status: Mapping[str, Any], edge: str | None) -> list[Check]:
    """Every proof tried, those of the machine itself among them; or only those of one edge."""
    from greenfield.assurance import machine
    from greenfield.assurance import verify as proofs
    from greenfield.assurance.attempts import noted
    from greenfield.assurance.bench import workbench
    from greenfield.cli.prepared import compiled, paths_of, prepared_site

    paths, wanted = paths_of(options), compiled(options, status["scale"])
    _, plan, site = prepared_site(wanted, paths, running=True)
    named = proofs.edge_named(edge, plan) if edge else None
    with workbench(plan, site, paths.pki) as bench, noted(paths.logs):
        listed = proofs.gather(plan, wanted.catalogue, bench)
        if named is not None:
            return proofs.prove(proofs.touching(listed, named))
        names = {each["pid"]: each["name"] for each in status["processes"] if each["pid"]}
        ports = machine.claimed(plan, wanted.catalogue, site)
        checks = proofs.prove([*listed, *machine.Machine(paths, site, status["run"], names, ports).proofs()])
        return [*checks, *proofs.unproved(plan, checks)]


def _write(path: Path, report: bytes) -> None:
    try:
        path.write_bytes(report)
    except OSError as exc:
        raise ArgumentError(
            f"{path} cannot be written: {exc.strerror}", hint="name a file in a folder that is there"
        ) from exc


def _show(checks: list[Check]) -> None:
    for category in dict.fromkeys(check.category for check in checks):
        of_it = [check for check in checks if check.category == category]
        good = sum(check.ok is True for check in of_it)
        emit(f"{category}: {good} of {len(of_it)} as they should be")
        for check in of_it:
            if check.ok is not True:
                word, colour = _MARKS[check.ok] or (check.observed.partition(":")[0], "yellow")
                emit(f"  {click.style(word, fg=colour)}  {check.name}: expected {check.expected}; {check.observed}")
    seconds = sum(check.seconds for check in checks)
    emit(f"{len(checks)} checks, {sum(check.ok is False for check in checks)} failed, {seconds:.1f} s of attempts")


@click.command()
@click.argument("names", metavar="SOURCE TARGET | denied", nargs=-1, required=True)
@with_options
def explain(options: Options, names: tuple[str, ...]) -> None:
    """Why SOURCE may, or may not, reach TARGET. With `denied`: whom the running platform refused, and why."""
    from greenfield.assurance import explain as explanations
    from greenfield.cli import denied
    from greenfield.cli.reading import read_plan

    if names == ("denied",):
        denied.show(options)
        return
    if len(names) != 2:
        raise ArgumentError("two names are wanted, or `denied`", hint="write greenfield explain SOURCE TARGET")
    source, target = names
    answer = explanations.explain(read_plan(options, "local").plan, source, target)
    if options.json:
        emit_json(answer.as_json())
        return
    emit(f"{source} → {target}: {click.style('allowed', fg='green') if answer.allowed else 'refused'}")
    for sentence in answer.sentences:
        emit(f"  {sentence}")
