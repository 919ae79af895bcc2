"""What Redis refused: it keeps the last 128 of them in memory, like ones together, and tells its administrator.

https://redis.io/docs/latest/commands/acl-log
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenfield.components.redis import CLIENT_PORT
from greenfield.components.redis.tasks import connect
from greenfield.components.redis.users import OF_EVERYBODY, prefix
from greenfield.model.denial import PLATFORMS_OWN, Denial, Log, of_handshake, told
from greenfield.model.local import Site
from greenfield.model.plan import Member, Plan, Resource
from greenfield.programs.stores import administration, administrator

if TYPE_CHECKING:
    from redis import Redis

_CATEGORIES = ("read", "write", "pubsub", "scripting", "admin", "dangerous")
_NO_HANDSHAKE = re.compile(r"Error accepting a client connection: error:\w+:SSL routines::([^(]*[^( ])")
_LONGEST = 80  # characters of a key that are shown


@dataclass(frozen=True)
class Entry:
    """One of the server's records: ``reason`` is ``auth``, ``command``, ``key`` or ``channel``, ``object`` which."""

    reason: str
    object: str
    user: str
    command: str
    count: int
    age_s: float


Categories = Mapping[str, frozenset[str]]


def denied(resource: Resource, plan: Plan, site: Site, log: Log) -> Iterable[Denial]:
    """Of every server, those handshakes included that stand in its log; RuntimeError where one does not answer."""
    yield from told(log, (member.name for member in resource.members), partial(not_admitted, resource))
    for member in resource.members:
        now = time.time()
        entries, categories = _asked(resource, member, site)
        for entry in entries:
            yield denial(resource, plan, entry, categories, now)


def not_admitted(resource: Resource, line: str) -> Denial | None:
    """A line of the server's log read as a handshake that failed; None for any other."""
    if not (match := _NO_HANDSHAKE.search(line)):
        return None
    return Denial("", resource.name, "a connection", why=of_handshake(match[1]))


def denial(resource: Resource, plan: Plan, entry: Entry, categories: Categories, now: float) -> Denial:
    """A record as a refusal. ``categories``: which commands the server counts to each."""
    asked, accesses, why = _judged(resource, plan, entry, categories)
    return Denial(entry.user, resource.name, asked, accesses, why, now - entry.age_s, entry.count)


def _judged(resource: Resource, plan: Plan, entry: Entry, categories: Categories) -> tuple[str, tuple[str, ...], str]:
    command, own = entry.command.upper().replace("|", " "), prefix(entry.user)
    if entry.reason == "auth":
        return "a session", *_of_password(resource, plan, entry.user)
    if entry.reason == "channel":
        return f"{command} of channel {_shown(entry.object)}", (), f"the names of its own channels begin with {own}"
    if entry.reason == "key":
        words = f"{command} of key {_shown(entry.object)}"
        if entry.object.startswith(own):
            return words, ("write",), ""
        if entry.command in categories["read"] and entry.command not in categories["write"]:
            return words, ("read",), ""
        return words, (), f"it may change keys of its own alone, and their names begin with {own}"
    accesses = _of_command(entry.object, categories)
    return entry.object.upper().replace("|", " "), accesses, "" if accesses else PLATFORMS_OWN


def _of_password(resource: Resource, plan: Plan, user: str) -> tuple[tuple[str, ...], str]:
    if user not in {service.name for service in plan.of_kind("service")}:
        return (), "there is no user of that name"
    if any(edge.source == user for edge in plan.edges_to(resource.name)):
        return (), "it showed another password than its own: `greenfield env` shows what it is given"
    return resource.parts[0].accesses, ""


def _of_command(command: str, categories: Categories) -> tuple[str, ...]:
    """What allows a command that a user may not use with any key."""
    if command in categories["admin"] | categories["dangerous"]:
        return ()
    if command in OF_EVERYBODY or command.partition("|")[0] in OF_EVERYBODY:
        return ("read",)
    if command in categories["write"] | categories["pubsub"] | categories["scripting"]:
        return ("write",)
    return ("read", "write") if command in categories["read"] else ()


def _shown(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"


# --- the server -----------------------------------------------------------------------------------------------------


def _asked(resource: Resource, member: Member, site: Site) -> tuple[list[Entry], Categories]:
    from redis.exceptions import RedisError

    password = Path(site.secret_file(administrator(resource))).read_text().strip()
    try:
        with connect(administration(resource, member, CLIENT_PORT, site), password) as session:
            entries = [_entry(record) for record in _acl(session, "LOG")]
            return entries, {name: frozenset(_acl(session, "CAT", name)) for name in _CATEGORIES}
    except RedisError as exc:
        raise RuntimeError(f"{member.name} did not say whom it refused: {exc}") from exc


def _acl(session: Redis, *words: str) -> Any:
    return session.execute_command("ACL", *words)  # type: ignore[no-untyped-call]


def _entry(facts: Mapping[str, Any]) -> Entry:
    """A record as the server sends it. The library's own reading fails on a client whose name has a ``=``."""
    client = dict(word.partition("=")[::2] for word in str(facts["client-info"]).split())
    return Entry(
        reason=str(facts["reason"]),
        object=str(facts["object"]),
        user=str(facts["username"]),
        command=client.get("cmd", "").lower(),
        count=int(facts["count"]),
        age_s=float(facts["age-seconds"]),
    )
