"""Makes a cluster hold what a plan says: tried first, then applied in order, waited for, what is left over pruned.

Crash only: an interrupted deploy is completed by the next, since applying twice is applying once, and the kinds of what
was to be made are on the cluster before anything else is.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from greenfield.errors import ClusterError
from greenfield.model.manifest import Chart
from greenfield.model.plan import Plan
from greenfield.targets.kubernetes.live import applyset, lease
from greenfield.targets.kubernetes.live.api import Answer, Api, Refusal
from greenfield.targets.kubernetes.live.applyset import ApplySet, Member
from greenfield.targets.kubernetes.live.kinds import Kinds, kinds_of
from greenfield.targets.kubernetes.live.readiness import State, has_rule, state_of
from greenfield.targets.kubernetes.live.refusals import Refused, explained
from greenfield.targets.kubernetes.live.symptoms import symptoms
from greenfield.targets.kubernetes.live.trial import APPLYING, Trial, Trier, fresh_namespaces, require_no_conflict
from greenfield.targets.kubernetes.object import Object

Event = Mapping[str, Any]
Tell = Callable[[Event], None]
POLL_S: Final = 1.0  # at most; the first look comes sooner
_SOON_S: Final = 0.2
_JOBS: Final = frozenset({"batch"})
_RUNNING: Final = frozenset({"apps", "autoscaling", "keda.sh"})  # what runs on, and what scales it


@dataclass(frozen=True)
class Survey:
    """What a deploy would do. ``surplus`` is what an earlier one made and nobody wants any more."""

    wanted: tuple[Object, ...]
    kinds: Kinds
    set: ApplySet
    trials: tuple[Trial, ...]
    surplus: tuple[Member, ...]
    fresh: frozenset[str]

    def counted(self) -> Mapping[str, int]:
        """How many objects would be created, changed, left as they are."""
        return Counter(trial.change for trial in self.trials)


@dataclass(frozen=True)
class Wishes:
    """How to deploy. ``prune``: the surplus goes; ``data``: also what keeps data. ``wait_s`` None: do not wait."""

    force: bool = False
    prune: bool = False
    data: bool = False
    wait_s: float | None = 600.0


async def survey(
    api: Api, plan: Plan, wanted: Sequence[Object], charts: Iterable[Chart], *, force: bool = False
) -> Survey:
    """Looks at the cluster, and tries every object on it. Changes nothing. ClusterError where it cannot be done.

    Conflicts are not among what is raised: they are in the trials.
    """
    try:
        kinds = await kinds_of(api)
        kinds.require(wanted, charts)
        found = await applyset.read(api, plan.name)
        marked = tuple(found.marked(each) for each in wanted)
        fresh = await fresh_namespaces(api, marked)
        all_of_it = found.with_(*applyset.listed(marked, kinds))
        there, refused = await applyset.members(api, all_of_it, kinds) if found.there else ([], [])
        refused += await _of_lease(api, plan.name)
    except Refusal as refusal:
        raise explained([Refused(str(refusal.details.get("kind", plan.name)), plan.name, refusal)]) from refusal
    trier = Trier(api, kinds, {member.key: member for member in there}, force)
    trials = await trier.all(marked, fresh, refused)
    return Survey(marked, kinds, found, tuple(trials), tuple(applyset.surplus(there, marked)), fresh)


async def _of_lease(api: Api, namespace: str) -> list[Refused]:
    """Why it may not even be looked who deploys, if so; so that one role allows that, too."""
    try:
        await lease.read(api, namespace)
    except Refusal as refusal:
        return [Refused(f"Lease/{lease.NAME}", namespace, refusal)]
    return []


def going(found: Survey, wishes: Wishes) -> tuple[Member, ...]:
    """The part of the surplus that a deploy would prune."""
    return tuple(each for each in found.surplus if wishes.prune and (wishes.data or not each.keeps_data))


@dataclass
class Deployment:
    """One deploy under way; ``tell`` hears of every object. ``applied`` is what became of each, by title."""

    api: Api
    found: Survey
    wishes: Wishes
    tell: Tell
    applied: dict[str, str] = field(default_factory=dict)
    pruned: list[Member] = field(default_factory=list)
    _changes: Mapping[Any, str] = field(default_factory=dict)
    _deadline: float = 0.0
    _newer: tuple[frozenset[str], frozenset[str]] = frozenset(), frozenset()

    async def run(self) -> None:
        """Everything in order. ClusterError at the first stage that is refused or does not become ready in time."""
        require_no_conflict(self.found.trials)
        try:
            await self._run()
        except Refusal as refusal:  # of what is asked about no object in particular
            what = str(refusal.details.get("kind") or self.found.set.namespace)
            raise explained([Refused(what, self.found.set.namespace, refusal)], changed=bool(self.applied)) from refusal

    async def _run(self) -> None:
        self._changes = {trial.object.key: trial.change for trial in self.found.trials}
        namespaces = [each for each in self.found.wanted if each.kind == "Namespace"]
        others = [each for each in self.found.wanted if each.kind != "Namespace"]
        await self._stage([each for each in namespaces if each.name in self.found.fresh])  # a Lease needs its own
        async with lease.held(self.api, self.found.set.namespace, self._wait_for):
            self._deadline = time.monotonic() + (self.wishes.wait_s or 0.0)
            await self._stage([each for each in namespaces if each.name not in self.found.fresh])
            await self._remember()
            for stage in sorted({each.stage for each in others}):
                await self._stage([each for each in others if each.stage == stage])
            await self._prune()
            await self._forget()

    def _wait_for(self, holder: str) -> None:
        self.tell({"event": "lock", "name": f"Lease/{lease.NAME}", "state": "waiting", "reason": f"held by {holder}"})

    async def _stage(self, objects: Sequence[Object]) -> None:
        """What is only read, or an operator's, first; then jobs, such as migrations; then what runs on."""
        for groups in (None, _JOBS, _RUNNING):
            wave = [each for each in objects if _wave(each) == groups]
            await self._apply(wave)
            if self.wishes.wait_s is not None:
                await self._wait([each for each in wave if has_rule(each.group, each.kind)])

    async def _apply(self, objects: Sequence[Object]) -> None:
        results = await asyncio.gather(*(self._one(each) for each in objects), return_exceptions=True)
        refused = [
            Refused(each.title, each.namespace, result)
            for each, result in zip(objects, results, strict=True)
            if isinstance(result, Refusal)
        ]
        if refused:
            for each in refused:
                self._told(each.title, "failed", each.refusal.message)
            raise explained(refused, changed=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _one(self, wanted: Object) -> None:
        query = {**APPLYING, "force": str(self.wishes.force).lower()}
        answer: Answer = await self.api.apply(self.found.kinds.path(wanted), wanted.manifest, query)
        change = "created" if answer.code == 201 else self._changes[wanted.key]
        self.applied[wanted.title] = change
        self._told(wanted.title, change)
        for warning in answer.warnings:
            self.tell({"event": "warning", "name": wanted.title, "state": "warning", "reason": warning})

    # --- waiting ----------------------------------------------------------------------------------------------------

    async def _wait(self, objects: Sequence[Object]) -> None:
        left, pause = {each.key: each for each in objects}, _SOON_S
        said: dict[Any, State] = {}
        while left:
            for key, state in (await self._states(list(left.values()))).items():
                if said.get(key) != state:
                    said[key] = state
                    word: Literal["ready", "failed", "waiting"] = "ready" if state.ready else "waiting"
                    self._told(left[key].title, "failed" if state.failed else word, state.why)
                if state.ready:
                    del left[key]
            failed = [each for key, each in left.items() if key in said and said[key].failed]
            if failed or (left and time.monotonic() > self._deadline):
                raise await self._stuck(failed or list(left.values()), said, timed_out=not failed)
            if left:
                await asyncio.sleep(pause)
                pause = min(POLL_S, pause * 1.5)

    async def _states(self, objects: Sequence[Object]) -> Mapping[Any, State]:
        """One listing for each kind and namespace."""
        places: dict[str, list[Object]] = {}
        for each in objects:
            places.setdefault(self.found.kinds.of(each).path(each.namespace), []).append(each)
        lists = await asyncio.gather(*(self.api.get(path, self.found.set.selector) for path in places))
        states: dict[Any, State] = {}
        for wanted, body in zip(places.values(), lists, strict=True):
            bodies = {item["metadata"]["name"]: item for item in body["items"]}
            for each in wanted:
                typed = {"apiVersion": each.manifest["apiVersion"], "kind": each.kind}
                found = bodies.get(each.name)
                states[each.key] = state_of({**typed, **found}) if found else State(False, "it is gone", failed=True)
        return states

    async def _stuck(self, objects: Sequence[Object], said: Mapping[Any, State], *, timed_out: bool) -> ClusterError:
        log: list[str] = []
        for each in objects[:10]:
            log.append(f"{each.title}: {said[each.key].why}")
            log += [f"  {line}" for line in await symptoms(self.api, each)]
        names = ", ".join(each.title for each in objects[:5]) + (" …" if len(objects) > 5 else "")
        if timed_out:
            message = f"Not ready within {self.wishes.wait_s:.0f} s: {names}."
            hint = "it goes on by itself; deploy again to wait for it, with --timeout for longer"
        else:
            message, hint = f"Failed: {names}.", "mend it, and deploy again: what is done stays done"
        return ClusterError(message, hint=hint, log=tuple(log))

    # --- what is remembered, and what goes --------------------------------------------------------------------------

    async def _remember(self) -> None:
        """On the cluster, before anything else: where members may be, old and new.

        The set is read once more: another deploy may have ended since the survey.
        """
        kinds, namespaces = applyset.listed(self.found.wanted, self.found.kinds)
        known = await applyset.read(self.api, self.found.set.namespace)
        self._newer = known.kinds - self.found.set.kinds, known.namespaces - self.found.set.namespaces
        await applyset.write(self.api, known.with_(kinds, namespaces), force=self.wishes.force)

    async def _prune(self) -> None:
        for member in going(self.found, self.wishes):
            await applyset.prune(self.api, member)
            self.pruned.append(member)
            self._told(member.title, "pruned")

    async def _forget(self) -> None:
        """Lists no more than there is; what was not pruned is found again the next time."""
        gone = {member.key for member in self.pruned}
        left = [member for member in self.found.surplus if member.key not in gone]
        kinds, namespaces = applyset.listed(self.found.wanted, self.found.kinds, left)
        newer = ApplySet(self.found.set.namespace).with_(*self._newer)
        await applyset.write(self.api, newer.with_(kinds, namespaces), force=self.wishes.force)

    def _told(self, title: str, state: str, reason: str = "") -> None:
        self.tell({"event": "object", "name": title, "state": state, **({"reason": reason} if reason else {})})


def _wave(found: Object) -> frozenset[str] | None:
    return next((groups for groups in (_JOBS, _RUNNING) if found.group in groups), None)
