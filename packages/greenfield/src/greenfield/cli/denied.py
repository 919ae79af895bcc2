"""``explain denied``: what the running platform refused, for people and as JSON."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from greenfield.cli.options import Options
from greenfield.cli.output import emit, emit_json, say

if TYPE_CHECKING:
    from greenfield.assurance.denied import Refusal, Report
    from greenfield.model.declaration import Declaration
    from greenfield.model.denial import Line

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


def show(options: Options) -> None:
    """Reads it and prints it; NotRunningError where nothing runs that could be asked."""
    declaration, found = _found(options)
    if options.json:
        denials = [refusal.as_json() for refusal in found.refusals]
        emit_json({"denials": denials, "by_verify": found.by_verify, "unread": list(found.unread)})
        return
    for sentence in found.unread:
        say(f"warning: {sentence}")
    now = time.time()
    for refusal in found.refusals:
        for line in _lines(refusal, declaration, now):
            emit(line)
    emit(_sum(found))


def _found(options: Options) -> tuple[Declaration, Report]:
    from greenfield.assurance import attempts, denied
    from greenfield.cli.prepared import compiled, paths_of, prepared_site, running
    from greenfield.model.denial import Line
    from greenfield.targets.local import reading

    paths = paths_of(options)
    wanted = compiled(options, running(paths).status()["scale"])
    _, plan, site = prepared_site(wanted, paths, running=True)

    zone = reading.zone_of_programs()

    def log(process: str) -> Iterable[Line]:
        return (Line(line.time, line.text) for line in reading.last_lines(paths.logs, [process], None, zone))

    tried = attempts.remembered(paths.logs)
    return wanted.declaration, denied.report(plan, wanted.catalogue, site, log, tried)


def _lines(refusal: Refusal, declaration: Declaration, now: float) -> Iterable[str]:
    source = refusal.source or "somebody unknown"
    times = "once" if refusal.count == 1 else f"{refusal.count} times"
    yield f"{click.style(source, bold=True)} → {refusal.target}: refused {times}, last {_ago(now - refusal.last)}"
    yield f"  asked for {'; '.join(refusal.asked)}"
    if refusal.verdict == "missing":
        one = "add one of these" if len(refusal.add) > 1 else "add this"
        yield f"  {click.style('an edge is missing', fg='yellow')}: {one}{_place(refusal.source, declaration)}"
        yield from (f"    {line}" for line in refusal.add.values())
    elif refusal.verdict == "declared":
        yield f"  allowed by now: {refusal.why}"
    else:
        yield f"  stays refused: {refusal.why}"


def _place(service: str, declaration: Declaration) -> str:
    """Where the edges of a service stand in the file."""
    keys = (("services", service, "uses"), ("services", service))
    place = next((declaration.positions[key] for key in keys if key in declaration.positions), None)
    return f", at {place.file}:{place.line}" if place is not None else ""


def _ago(seconds: float) -> str:
    for unit, name in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= 2 * unit:
            return f"{seconds // unit:.0f} {name} ago"
    return f"{max(0.0, seconds):.0f} s ago"


def _sum(found: Report) -> str:
    missing = sum(refusal.verdict == "missing" for refusal in found.refusals)
    edges = f"{missing} edge{'' if missing == 1 else 's'} {'is' if missing == 1 else 'are'} missing"
    said = edges if found.refusals else "nothing was refused"
    return f"{said}; left out: {found.by_verify} that `verify` asked for" if found.by_verify else said
