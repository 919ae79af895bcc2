"""What a failure says of a message: that it will never do, that it fails, or that something it needs is away.

The third kind is what must not be mistaken. While a database is away every message fails, and none of them is at fault:
they wait, however long it takes, and the lag shows it.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Final, Literal

from greenfield_kit.errors import UnavailableError

Verdict = Literal["rejected", "failed", "away"]


class RejectedError(Exception):
    """Raised by a handler: this message will never do, however often it is tried. It goes to the dead letters."""


class UndecodableError(RejectedError):
    """A body that is not what the handler takes, or of a version that it does not know."""


_ERRORS: Final = frozenset(
    {
        "sqlalchemy.exc.TimeoutError",  # no connection of the pool became free
        "pymongo.errors.ConnectionFailure",
        "pymongo.errors.ExecutionTimeout",
        "pymongo.errors.WTimeoutError",
        "redis.exceptions.ConnectionError",
        "redis.exceptions.TimeoutError",
        "httpx.TransportError",
        "builtins.ConnectionError",
        "builtins.TimeoutError",
    }
)
"""By name, so that no driver is imported to ask. What derives from one of these is one of these."""

_SYSTEM: Final = frozenset(
    {errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.EMFILE, errno.ENFILE, errno.ENOSPC}
)

_SQLSTATES: Final = ("08", "28", "40", "53", "57", "58", "25006", "55P03")
"""Connection, login, serialization and deadlock, resources, an operator's hand, the system; read-only, lock not had:
https://www.postgresql.org/docs/17/errcodes-appendix.html"""

_MYSQL: Final = frozenset(
    {1040, 1043, 1045, 1047, 1053, 1129, 1130, 1152, 1158, 1159, 1160, 1161, 1180, 1203, 1205, 1213, 1226, 1290, 1317}
    | {1792, 1836, 1927, 1969, 3024, 4031}
    | set(range(2000, 2100))
)
"""Connections, login, shutdown, locks and deadlocks, read-only, interrupted; from 2000 on what the client saw:
https://mariadb.com/kb/en/mariadb-error-code-reference/"""

_HTTP: Final = frozenset({408, 425, 429, 502, 503, 504})
_MONGODB: Final = frozenset({"TransientTransactionError", "RetryableWriteError"})


def verdict(error: BaseException) -> Verdict:
    """What it says, or what it was raised ``from`` says."""
    causes = list(_causes(error))
    if any(isinstance(each, RejectedError) for each in causes):
        return "rejected"
    return "away" if any(_away(each) for each in causes) else "failed"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__


def _away(error: BaseException) -> bool:
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    if names & _ERRORS or isinstance(error, (UnavailableError, socket.gaierror)):
        return True
    if "sqlalchemy.exc.DBAPIError" in names:
        return bool(getattr(error, "connection_invalidated", False)) or _database_away(getattr(error, "orig", None))
    if "httpx.HTTPStatusError" in names:
        return getattr(getattr(error, "response", None), "status_code", 0) in _HTTP
    if "pymongo.errors.PyMongoError" in names:
        return any(error.has_error_label(label) for label in _MONGODB)  # type: ignore[attr-defined]
    if "confluent_kafka.KafkaException" in names or "cimpl.KafkaException" in names:
        return any(getattr(each, "retriable", bool)() for each in error.args)
    return _database_away(error) or (isinstance(error, OSError) and error.errno in _SYSTEM)


def _database_away(error: BaseException | None) -> bool:
    """Drivers by the number or state that the server gave; without any, the server was not reached."""
    if error is None:
        return False
    names = {kind.__qualname__ for kind in type(error).__mro__ if kind.__module__.split(".")[0] in _DRIVERS}
    if not names & {"Error", "MySQLError"}:
        return False
    if "sqlstate" in dir(error):
        state = str(getattr(error, "sqlstate", None) or "")
        return state.startswith(_SQLSTATES) if state else "OperationalError" in names
    number = error.args[0] if error.args else None
    return number in _MYSQL or "InterfaceError" in names


_DRIVERS: Final = frozenset({"psycopg", "pymysql", "aiomysql", "asyncpg", "asyncmy"})
