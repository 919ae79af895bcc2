"""Who is who at a Redis server, and what an access means there: the words of Redis' access control list.

A service's user has the service's name, and the platform's have a colon in theirs, which no service's name can hold.
https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

ADMINISTRATOR = "platform:admin"
PROBE = "platform:probe"
DRAFT = "platform:draft"
"""A user that nobody can be: Redis itself says by it how it would write a user's rules."""

ACTIVE = ("on", "sanitize-payload")
"""What Redis itself puts first in the rules of a user that may log in and whose payloads are checked."""

# What every user may: say who it is, and ask several things at once. Nothing that tells of others.
_SESSION = ("+@connection", "+@transaction")
_READ = ("%R~*", "+@read")
_WRITE = ("+@read", "+@write", "+@pubsub", "+@scripting")

# Scripts are kept side by side under their digest, so loading one is harmless, and taking all away is not. Functions
# are shared by name.
_SCRIPTS = ("-script", "+script|load", "+script|exists", "-function")
OF_EVERYBODY = ("scan", "randomkey", "dbsize", "client|tracking", "pubsub")
"""Commands that name keys and channels of everybody, whatever the key patterns say."""
_NOT = ("-@admin", "-@dangerous")


def prefix(service: str) -> str:
    """What the names of a service's own keys and channels begin with."""
    return f"{service}:"


def rules(service: str, accesses: Collection[str]) -> tuple[str, ...]:
    """The rules of a service's user, without its password.

    ``write`` is for the service's own keys and channels alone, to read them included. ``read`` is for every key.
    """
    own = prefix(service)
    found = ["-@all", *_SESSION]
    if "write" in accesses:
        found += [f"~{own}*", f"&{own}*", *_WRITE, *_SCRIPTS]
    if "read" in accesses:
        found += _READ
    elif "write" in accesses:
        found += [f"-{command}" for command in OF_EVERYBODY]
    return ("resetkeys", "resetchannels", *found, *_NOT)


def rules_by_service(grants: Iterable[tuple[str, str]]) -> Mapping[str, tuple[str, ...]]:
    """What grants of (service, access) come to."""
    accesses: dict[str, list[str]] = {}
    for service, access in grants:
        accesses.setdefault(service, []).append(access)
    return {service: rules(service, found) for service, found in sorted(accesses.items())}
