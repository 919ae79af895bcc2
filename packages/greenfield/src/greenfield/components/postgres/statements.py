"""Who may do what inside a database: the same statements on this machine, over a session, and on a cluster, by psql."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from greenfield.components.postgres.roles import groups


@dataclass(frozen=True)
class Statement:
    """SQL with ``{}`` where each of the names goes, as an identifier."""

    words: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return self.words.format(*(identifier(name) for name in self.names))


def identifier(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal, with the server's own ``standard_conforming_strings``."""
    return "'" + text.replace("'", "''") + "'"


def opened(database: str) -> Iterable[Statement]:
    """The database to its groups and nobody else. It belongs to the administrator, so that no service can drop it."""
    read, write, own = groups(database)
    yield Statement("REVOKE ALL ON DATABASE {} FROM PUBLIC", (database,))
    yield Statement("GRANT CONNECT ON DATABASE {} TO {}", (database, read))
    yield Statement("GRANT TEMPORARY ON DATABASE {} TO {}", (database, write))
    yield Statement("GRANT CREATE ON DATABASE {} TO {}", (database, own))


def public_schema(database: str) -> Iterable[Statement]:
    """The schema that every new database has. Its owners may have dropped it."""
    read, _, own = groups(database)
    yield Statement("ALTER SCHEMA public OWNER TO {}", (own,))
    yield Statement("REVOKE ALL ON SCHEMA public FROM PUBLIC", ())
    yield Statement("GRANT USAGE ON SCHEMA public TO {}", (read,))


def shared(database: str) -> Iterable[Statement]:
    """What the owners make from now on is open to readers and writers; nothing is to anybody else."""
    read, write, own = groups(database)
    later = "ALTER DEFAULT PRIVILEGES FOR ROLE {} "
    yield Statement(later + "GRANT USAGE ON SCHEMAS TO {}", (own, read))
    yield Statement(later + "GRANT SELECT ON TABLES TO {}", (own, read))
    yield Statement(later + "GRANT INSERT, UPDATE, DELETE ON TABLES TO {}", (own, write))
    yield Statement(later + "GRANT SELECT ON SEQUENCES TO {}", (own, read))
    yield Statement(later + "GRANT USAGE, UPDATE ON SEQUENCES TO {}", (own, write))


def acting(service: str, database: str) -> Statement:
    """An owner acts as the group of owners, so that what it makes belongs to all of them."""
    return Statement("ALTER ROLE {} IN DATABASE {} SET role TO {}", (service, database, groups(database)[-1]))
