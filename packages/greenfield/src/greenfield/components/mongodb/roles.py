"""Who is who at a real MongoDB, and what an access means there: a role of ours in each database for each access.

None of the built-in roles fits: ``dbOwner`` may make users and hand on what it may, ``dbAdmin`` may drop the database.
https://www.mongodb.com/docs/manual/reference/privilege-actions
"""

from __future__ import annotations

from collections.abc import Mapping

from greenfield.programs.databases import ACCESSES

_READ = ("changeStream", "collStats", "dbHash", "dbStats", "find", "killCursors", "listCollections", "listIndexes")
_WRITE = ("insert", "remove", "update")
_OWN = (
    "bypassDocumentValidation",
    "collMod",
    "convertToCapped",
    "createCollection",
    "createIndex",
    "dropCollection",
    "dropIndex",
    "renameCollectionSameDB",
    "validate",
)

ACTIONS: Mapping[str, tuple[str, ...]] = {"read": _READ, "write": _READ + _WRITE, "own": _READ + _WRITE + _OWN}
"""What each access allows on every collection of a database, including those before it."""


def role(access: str) -> str:
    """The role's name, in its database. With a hyphen, which no built-in role has."""
    return f"greenfield-{access}"


def roles(database: str) -> list[Mapping[str, object]]:
    """The roles of a database, weakest first."""
    return [
        {
            "role": role(access),
            "db": database,
            "privileges": [{"resource": {"db": database, "collection": ""}, "actions": list(ACTIONS[access])}],
            "roles": [],
        }
        for access in ACCESSES
    ]


def subject(platform: str, unit: str, name: str) -> str:
    """The subject of a leaf as Java and MongoDB write it."""
    return f"CN={name},OU={unit},O={platform}"
