"""Who may enter a MariaDB server, and what each access allows: as both its configuration and its grants say it."""

from __future__ import annotations

from collections.abc import Mapping

ADMINISTRATOR = "platform:admin"  # no service can have this name: it is no DNS label

PRIVILEGES: Mapping[str, tuple[str, ...]] = {
    "read": ("SELECT", "SHOW VIEW"),
    "write": ("SELECT", "SHOW VIEW", "INSERT", "UPDATE", "DELETE", "CREATE TEMPORARY TABLES", "LOCK TABLES", "EXECUTE"),
    "own": ("ALL PRIVILEGES",),
}
"""What is granted on a database, each access including those before it. None of them may be handed on."""


def subject(platform: str, unit: str, name: str) -> str:
    """The subject of a leaf as the server compares it: the platform, ``service`` or ``platform``, and the name."""
    return f"/O={platform}/OU={unit}/CN={name}"


def quoted(text: str) -> str:
    """A text as an SQL literal, in every SQL mode."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as an SQL identifier."""
    return "`" + name.replace("`", "``") + "`"


def account(name: str) -> str:
    """An account that may come from every address: which addresses there are, the server's listener decides."""
    return f"{quoted(name)}@'%'"
