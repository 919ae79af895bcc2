"""``diff`` and ``deploy``: what the file says, and what the cluster holds."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from greenfield.cli.options import Options, with_options
from greenfield.cli.output import emit, emit_json, say
from greenfield.errors import ArgumentError

if TYPE_CHECKING:
    from greenfield.cli.rendered import Rendered
    from greenfield.cli.screen import Screen
    from greenfield.targets.kubernetes.live.access import Access
    from greenfield.targets.kubernetes.live.applyset import Member
    from greenfield.targets.kubernetes.live.deploy import Survey, Wishes
    from greenfield.targets.kubernetes.live.difference import Difference
    from greenfield.targets.kubernetes.object import Object

    Rollout = Screen[Iterable[Object]]

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def _with_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Adds what kubectl has too: which file, and which context of it."""

    @click.option("--context", metavar="NAME", default="", help="The kubeconfig's context. Default: its current one.")
    @click.option("--kubeconfig", metavar="FILE", default="", help="Default: $KUBECONFIG, or ~/.kube/config.")
    @functools.wraps(command)
    def wrapped(*args: Any, context: str, kubeconfig: str, **kwargs: Any) -> None:
        from greenfield.targets.kubernetes.live.access import Access

        command(*args, access=Access(kubeconfig, context), **kwargs)

    return wrapped


# --- diff -----------------------------------------------------------------------------------------------------------


@click.command()
@with_options
@_with_cluster
@click.option("--exit-code", is_flag=True, help="Exit 1 where there is a difference.")
def diff(options: Options, access: Access, *, exit_code: bool) -> None:
    """Show what a deploy would change, field by field; the cluster itself works it out, and keeps nothing of it."""
    import asyncio

    from greenfield.cli.rendered import rendered
    from greenfield.targets.kubernetes.live.difference import differences

    wanted = rendered(options)
    found = list(differences(asyncio.run(_survey(access, wanted, force=True))))
    if options.json:
        emit_json({"changes": [each.as_json() for each in found]})
    else:
        _show(found)
    if found and exit_code:
        click.get_current_context().exit(1)


async def _survey(access: Access, wanted: Rendered, *, force: bool) -> Survey:
    from greenfield.targets.kubernetes.live.api import connected
    from greenfield.targets.kubernetes.live.deploy import survey

    async with connected(access) as api:
        return await survey(api, wanted.planned.plan, wanted.objects, wanted.charts, force=force)


def _show(found: Sequence[Difference]) -> None:
    for each in found:
        for line in each.lines:
            colour = _COLOURS.get(line[:1])
            bold = line.startswith(("---", "+++"))
            emit(click.style(line, bold=True) if bold else click.style(line, fg=colour) if colour else line)
    if not found:
        say("no difference")


# --- deploy ---------------------------------------------------------------------------------------------------------


@click.command()
@with_options
@_with_cluster
@click.option("--timeout", metavar="DURATION", default="15m", show_default=True, help="How long all of it may take.")
@click.option("--wait/--no-wait", default=True, help="Return when everything is ready, or when it is applied.")
@click.option("--dry-run", type=click.Choice(["server"]), help="Let the cluster check everything, and keep nothing.")
@click.option("--force-conflicts", is_flag=True, help="Take fields over that somebody else manages.")
@click.option("--prune/--no-prune", default=True, help="Remove what an earlier deploy made and the file has no more.")
@click.option("--prune-data", is_flag=True, help="Remove also what keeps data: databases, brokers, topics, caches.")
@click.option("-y", "--yes", is_flag=True, help="Remove without asking.")
def deploy(options: Options, access: Access, **wishes: Any) -> None:
    """Make the cluster hold what the file says: try everything, apply it in order, wait, remove what is left over.

    It may be interrupted at any moment: the next one completes it.
    """
    import asyncio

    from greenfield.cli.rendered import rendered
    from greenfield.cli.rollout import Objects
    from greenfield.cli.screen import Shown

    within = _timeout(wishes["timeout"])
    wanted = rendered(options)
    for warning in wanted.planned.plan.warnings:
        say(f"{click.style('warning', fg='yellow')}: {warning}")
    with Shown(Objects(), as_json=options.json) as screen:
        closing = asyncio.run(_deploy(access, wanted, wishes, within, screen))
    if options.json:
        emit_json(closing)


def _timeout(text: str) -> float:
    from greenfield.model.quantity import seconds

    try:
        return float(seconds(text))
    except ValueError as exc:
        raise ArgumentError(f"--timeout: {exc}") from exc


async def _deploy(access: Access, wanted: Rendered, asked: Any, within: float, screen: Rollout) -> dict[str, Any]:
    from greenfield.targets.kubernetes.live.api import connected
    from greenfield.targets.kubernetes.live.deploy import Deployment, Wishes, survey
    from greenfield.targets.kubernetes.live.trial import require_no_conflict

    async with connected(access) as api:
        plan, force = wanted.planned.plan, bool(asked["force_conflicts"])
        found = await survey(api, plan, wanted.objects, wanted.charts, force=force)
        require_no_conflict(found.trials)
        prune = Wishes(prune=asked["prune"], data=asked["prune_data"])
        screen.note(_summary(api.opened.context, plan.name, found))
        if asked["dry_run"]:
            _tell_left(found, prune, screen)
            return _closing(found, {trial.object.title: trial.change for trial in found.trials}, (), dry_run=True)
        agreed = _agreed(found, prune, screen, yes=asked["yes"])
        wishes = Wishes(force, agreed, asked["prune_data"], within if asked["wait"] else None)
        screen.expect(found.wanted)
        deployment = Deployment(api, found, wishes, screen.event)
        await deployment.run()
        screen.note(_done(deployment.applied, len(deployment.pruned), waited=asked["wait"]))
        return _closing(found, deployment.applied, deployment.pruned, dry_run=False)


def _summary(context: str, name: str, found: Survey) -> str:
    counts = found.counted()
    said = ", ".join(f"{counts[change]} {change}" for change in ("created", "changed", "unchanged") if counts[change])
    untried = sum(trial.after is None for trial in found.trials)
    note = f"; {untried} could not be tried, their namespace is new" if untried else ""
    return f"{name} on {context}: {said} of {len(found.trials)} objects{note}"


def _agreed(found: Survey, wishes: Wishes, screen: Rollout, *, yes: bool) -> bool:
    """Whether the surplus goes: shown first, asked for at a terminal; never without one, unless it was said before."""
    from greenfield.targets.kubernetes.live.deploy import going

    leaving = going(found, wishes)
    _tell_left(found, wishes, screen)
    if not leaving or yes:
        return wishes.prune
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        screen.note("nothing is removed: there is nobody to ask; --yes says so beforehand")
        return False
    return click.confirm(f"Remove {len(leaving)} objects when the rest is ready?", default=False, err=True)


def _tell_left(found: Survey, wishes: Wishes, screen: Rollout) -> None:
    """What an earlier deploy made and the file has no more, and what becomes of it."""
    from greenfield.targets.kubernetes.live.deploy import going

    leaving = going(found, wishes)
    for member in found.surplus:
        screen.note(f"  {'remove' if member in leaving else 'keep  '}  {_named(member)}{_why(member, wishes)}")


def _named(member: Member) -> str:
    return f"{member.namespace}/{member.title}" if member.namespace else member.title


def _why(member: Member, wishes: Wishes) -> str:
    if not wishes.prune:
        return "  (--no-prune)"
    if member.keeps_data:
        return "  (and its data)" if wishes.data else "  (it keeps data: --prune-data removes it)"
    return ""


def _done(applied: dict[str, str], pruned: int, *, waited: bool) -> str:
    counts = {change: list(applied.values()).count(change) for change in ("created", "changed", "unchanged")}
    said = ", ".join(f"{count} {change}" for change, count in counts.items() if count)
    removed = f", {pruned} removed" if pruned else ""
    return f"{said}{removed}; {'everything is ready' if waited else 'not waited for'}"


def _closing(found: Survey, applied: dict[str, str], pruned: Sequence[Member], *, dry_run: bool) -> dict[str, Any]:
    gone = {member.key for member in pruned}
    return {
        "ok": True,
        "dry_run": dry_run,
        "objects": [{"object": title, "change": change} for title, change in applied.items()],
        "pruned": [_named(member) for member in pruned],
        "surplus": [_named(member) for member in found.surplus if member.key not in gone],
    }
