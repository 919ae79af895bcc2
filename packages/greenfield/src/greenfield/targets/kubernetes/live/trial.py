"""What a deploy would change, found out by the server itself: every object applied, and nothing kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from greenfield.errors import ClusterError
from greenfield.targets.kubernetes.live.api import Api, Refusal
from greenfield.targets.kubernetes.live.applyset import Body, Key, Member
from greenfield.targets.kubernetes.live.fields import changes, ours, owned, together
from greenfield.targets.kubernetes.live.kinds import Kinds
from greenfield.targets.kubernetes.live.refusals import Refused, explained
from greenfield.targets.kubernetes.object import Object
from greenfield.targets.kubernetes.objects import MANAGER

Change = Literal["created", "changed", "unchanged"]
APPLYING: Final[Mapping[str, str]] = {"fieldManager": MANAGER, "fieldValidation": "Strict", "force": "false"}
_NOT_TRIABLE: Final = "does not support dry run"


@dataclass(frozen=True)
class Trial:
    """One object: as the cluster has it (None: it has none), and as it would be (None: it could not be tried).

    ``refused`` is why other managers' fields are in the way.
    """

    object: Object
    before: Body | None
    after: Body | None
    refused: Refused | None = None

    @cached_property
    def sides(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Our fields before and after; before is empty where it is new."""
        if self.after is None:
            return ours(self.before, owned(self.before)) if self.before else {}, ours(self.object.manifest, {})
        fields = owned(self.after)
        if self.before is None:
            return {}, ours(self.after, fields)
        fields = together(fields, owned(self.before))
        return ours(self.before, fields), ours(self.after, fields)

    @property
    def change(self) -> Change:
        """What would become of it."""
        before, after = self.sides
        return "created" if not before else "changed" if any(changes(before, after)) else "unchanged"


@dataclass(frozen=True)
class Trier:
    """Tries objects on a cluster where those of ``members`` are already; ``force`` as in an apply."""

    api: Api
    kinds: Kinds
    members: Mapping[Key, Member]
    force: bool = False

    async def all(self, wanted: Sequence[Object], fresh: Iterable[str]) -> list[Trial]:
        """Every object; those of ``fresh`` namespaces, which are still to be made, cannot be tried.

        ClusterError with all refusals that are no conflicts.
        """
        new = frozenset(fresh)
        tried = await asyncio.gather(*(self._one(each, new) for each in wanted), return_exceptions=True)
        refused: list[Refused] = []
        found: list[Trial] = []
        for each, result in zip(wanted, tried, strict=True):
            if isinstance(result, Refusal):
                refused.append(Refused(each.title, each.namespace, result))
            elif isinstance(result, BaseException):
                raise result
            else:
                found.append(result)
        if refused:
            raise explained(refused)
        return found

    async def _one(self, wanted: Object, fresh: frozenset[str]) -> Trial:
        if wanted.namespace in fresh:
            return Trial(wanted, None, None)
        path = self.kinds.path(wanted)
        query = {**APPLYING, "dryRun": "All", "force": str(self.force).lower()}
        conflict: Refused | None = None
        try:
            answer = await self.api.apply(path, wanted.manifest, query)
        except Refusal as refusal:
            if _NOT_TRIABLE in refusal.message:
                return Trial(wanted, await self._before(wanted, path), None)
            if not _is_conflict(refusal):
                raise
            conflict = Refused(wanted.title, wanted.namespace, refusal)
            answer = await self.api.apply(path, wanted.manifest, {**query, "force": "true"})
        before = None if answer.code == 201 else await self._before(wanted, path)
        return Trial(wanted, before, answer.body, conflict)

    async def _before(self, wanted: Object, path: str) -> Body | None:
        """As the listing of members had it; asked for where it was nobody's member yet."""
        if (member := self.members.get(wanted.key)) is not None:
            return member.body
        try:
            found: Body = await self.api.get(path)
        except Refusal as refusal:
            if refusal.code == 404:
                return None
            raise
        return found


def _is_conflict(refusal: Refusal) -> bool:
    return any(each.get("reason") == "FieldManagerConflict" for each in refusal.causes)


def require_no_conflict(trials: Iterable[Trial]) -> None:
    """ClusterError with every field that somebody else manages, and who."""
    if refused := [trial.refused for trial in trials if trial.refused is not None]:
        raise explained(refused)


async def fresh_namespaces(api: Api, wanted: Iterable[Object]) -> frozenset[str]:
    """The namespaces among the wanted that are not there yet. ClusterError where one that nobody makes is missing."""
    objects = list(wanted)
    made = {each.name for each in objects if each.kind == "Namespace"}
    places = sorted({each.namespace for each in objects if each.namespace})
    there = await asyncio.gather(*(_is_there(api, place) for place in places))
    missing = {place for place, found in zip(places, there, strict=True) if not found}
    if foreign := sorted(missing - made):
        raise ClusterError(
            f"There is no namespace {', '.join(foreign)}, which belongs to what must be installed before.",
            hint="`greenfield render -o DIR` writes a README with the commands",
        )
    return frozenset(missing)


async def _is_there(api: Api, namespace: str) -> bool:
    try:
        await api.get(f"/api/v1/namespaces/{namespace}")
    except Refusal as refusal:
        if refusal.code == 404:
            return False
        if refusal.code == 403:  # one who may not look may still apply in there
            return True
        raise
    return True
