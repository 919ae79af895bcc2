"""Who is who at a PostgreSQL server, and who is let in: certificates become roles, groups open databases.

A service's role has the service's name. What belongs to the platform has a colon in its name, which no service's name
can hold: the administrator, and three groups for each database, of which each includes the one before it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from greenfield.programs.databases import ACCESSES

ADMINISTRATOR = "platform:admin"
"""The superuser: the bootstrap role, for the platform's own tasks alone."""
PROBE = "platform:probe"
"""A role that does not exist. Its login is answered with a question, as soon as logins are answered at all."""

_LONGEST = 63  # bytes of a name: NAMEDATALEN - 1, https://www.postgresql.org/docs/current/limits.html
_LOOPBACK = "127.0.0.0/8"


def group(database: str, access: str) -> str:
    """The role that holds an access to a database; objects belong to that of ``own``."""
    name = f"{database}:{access}"
    if len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(database.encode()).hexdigest()[:8]
    return f"{database[:40]}:{digest}:{access}"


def groups(database: str) -> tuple[str, ...]:
    """The groups of a database, weakest first."""
    return tuple(group(database, access) for access in ACCESSES)


def entries(databases: Iterable[str], addresses: str = _LOOPBACK) -> Iterable[str]:
    """Lines of ``pg_hba.conf``: by certificate, into databases of which one is a member, from these addresses.

    They change with databases only, not with edges. All members of a database's groups are members of that of
    ``read``, and a superuser does not count as a member.
    """
    yield f'hostssl all "{ADMINISTRATOR}" {addresses} cert map=platform clientname=DN'
    for database in databases:
        member = group(database, "read")
        yield f'hostssl "{database}" +"{member}" {addresses} cert map=service clientname=DN'


def admission(databases: Iterable[str]) -> str:
    """``pg_hba.conf`` for this machine. Whatever no line names is refused."""
    return "".join(f"{line}\n" for line in (f'local all "{PROBE}" scram-sha-256', *entries(databases)))


def identities(platform: str, administrator: str) -> tuple[str, ...]:
    """Lines of ``pg_ident.conf``: which role a certificate's whole subject may take.

    ``administrator`` is the common name of the platform's own certificate for tasks.
    """
    return (
        f'platform "CN={administrator},OU=platform,O={platform}" "{ADMINISTRATOR}"',
        f'service "/^CN=([a-z0-9-]+),OU=service,O={re.escape(platform)}$" \\1',
    )
