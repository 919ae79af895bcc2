"""``verify --observed``: what traces tell of the running platform's edges, for people and as JSON."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from greenfield.cli.options import Options
from greenfield.cli.output import emit, emit_json
from greenfield.errors import NotRunningError

if TYPE_CHECKING:
    from greenfield.assurance.observed import Look
    from greenfield.assurance.verify import Check


def show(options: Options, status: Mapping[str, Any], since_s: float, *, strict: bool) -> bool:
    """Reads and prints it. Whether nothing was seen that nobody declared; ``strict``: and every edge was used."""
    share, seen, checks = _looked(options, status, since_s)
    ok = not any(check.ok is False or (strict and check.ok is None) for check in checks)
    if options.json:
        listed = [check.as_json() for check in checks]
        emit_json({"ok": ok, "checks": listed, "observed": {**seen.as_json(), "sample": share}})
        return ok
    for line in _lines(checks, seen, share):
        emit(line)
    return ok


def _looked(options: Options, status: Mapping[str, Any], since_s: float) -> tuple[float, Look, list[Check]]:
    from greenfield.assurance import attempts, observed
    from greenfield.cli.prepared import compiled, paths_of
    from greenfield.programs.telemetry import told

    plan = compiled(options, status["scale"]).plan
    tried = attempts.remembered(paths_of(options).logs)
    now = time.time()
    seen = observed.look(plan, _asking(status), (now - since_s if since_s else 0.0, now), tried)
    return told(plan).sample, seen, observed.checks(plan, seen)


def _asking(status: Mapping[str, Any]) -> Any:
    """How the store of traces is asked; NotRunningError where there is none, or it does not answer."""
    import http.client
    from urllib.parse import urlsplit

    from greenfield.programs.knock import document
    from greenfield.programs.telemetry import JAEGER

    if (url := status["urls"].get(JAEGER)) is None:
        raise NotRunningError("There are no traces: telemetry is off here.", hint="declare `telemetry:` and run it")
    at = urlsplit(url)

    def ask(path: str) -> Any:
        try:
            return document((str(at.hostname), int(at.port or 0)), path)
        except (OSError, ValueError, http.client.HTTPException) as exc:
            hint = "it may still be building: greenfield status"
            raise NotRunningError(f"The store of traces at {url} does not answer: {exc}.", hint=hint) from exc

    return ask


def _lines(checks: list[Check], seen: Look, share: float) -> Iterable[str]:
    from greenfield.assurance.observed import moment

    edges = [check for check in checks if check.expected == "allowed"]
    used = sum(check.ok is True for check in edges)
    period = f", from {moment(seen.begin)} to {moment(seen.end)}" if seen.traces else ""
    yield f"{used} of {len(edges)} edges were seen in {seen.traces} traces{period}"
    for check in checks:
        if check.ok is False:
            yield f"  {click.style('UNDECLARED', fg='red')}  {check.name}: {check.observed}"
        elif check.ok is None:
            yield f"  {click.style('unused?', fg='yellow')}  {check.name}: {check.observed}"
    if seen.cut:
        yield f"only the newest traces of {', '.join(seen.cut)} were looked at"
    if seen.by_verify:
        yield f"{seen.by_verify} traces are left out: `verify` began them, or they fell into its time"
    yield (
        f"a share of {share:g} of all traces is kept, besides those that fail or are slow: "
        "what was not seen may still be used"
    )
