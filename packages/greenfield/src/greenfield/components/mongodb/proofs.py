"""Proves MongoDB's grants by commands on a collection that is not there: nothing is written, and nothing is found."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from greenfield.components.mongodb import CLIENT_PORT, database_name
from greenfield.model.binding import Leaf
from greenfield.model.plan import Edge, Resource
from greenfield.model.proof import Bench, Observation, Proof
from greenfield.programs.databases import strongest

if TYPE_CHECKING:
    from pymongo import MongoClient

_TIMEOUT_MS = 10_000
_PATIENCE_MS = 2_000  # for who is expected to be hung up on: the driver tries again until then
_COLLECTION = "greenfield proof"
_DOES: Mapping[str, dict[str, Any]] = {
    "read": {"count": _COLLECTION},
    "write": {"delete": _COLLECTION, "deletes": [{"q": {"_id": "nothing"}, "limit": 1}]},
    "own": {"dropIndexes": _COLLECTION, "index": "nothing"},
}
_BEYOND = {"read": _DOES["write"], "write": _DOES["own"], "own": _DOES["read"]}
"""What an access does not allow; who owns a database may not even read the server's own, ``admin``."""

# Numbers of errors: https://www.mongodb.com/docs/manual/reference/error-codes
_REFUSED = frozenset({13, 18})
_NOT_THERE = frozenset({26, 27, 59})  # a namespace, an index, and with the stand-in a command of another's database

_HUNG_UP = re.compile(r"connection closed|EOF occurred|\[SSL: |reset by peer|Broken pipe")  # in the words of the driver


@dataclass(frozen=True)
class Door:
    """One attempt to enter: where, as whom, and with which certificate; without one, in plaintext."""

    host: str
    port: int
    part: str
    source: str
    leaf: Leaf | None
    patience_ms: int = _TIMEOUT_MS

    @contextmanager
    def opened(self) -> Iterator[MongoClient[dict[str, Any]]]:
        """A client; pymongo.errors.PyMongoError at its first command where it is refused."""
        from pymongo import MongoClient

        options: dict[str, Any] = {"directConnection": True, "retryWrites": False, "retryReads": False}
        options |= dict.fromkeys(("socketTimeoutMS", "connectTimeoutMS"), _TIMEOUT_MS)
        options |= {"serverSelectionTimeoutMS": self.patience_ms}
        if self.leaf is not None:
            options |= {"tls": True, "tlsCAFile": self.leaf.ca, "tlsCertificateKeyFile": self.leaf.pem}
            options |= {"authMechanism": "MONGODB-X509", "authSource": "$external"}
        with MongoClient(self.host, self.port, **options) as client:
            yield client


def grants(resource: Resource, edge: Edge, bench: Bench) -> list[Proof]:
    """That a service does in a database what its edge says, and cannot do the next stronger thing."""
    held = strongest(each.access for each in bench.plan.edges_from(edge.source) if each.target == edge.target)
    door = _door(resource, bench, edge.target, edge.source, bench.service_leaf(edge.source))
    may = partial(_attempt, door, _DOES[edge.access])
    name = f"{edge.source} may {edge.access} {edge.target}"
    works = Proof(name, "edge", edge.source, edge.target, "allowed", may)
    beyond = partial(_attempt, door, _BEYOND[held], "admin" if held == "own" else None)
    more = _refused(f"{edge.source} may only {held} {edge.target}", "undeclared", door, beyond)
    return [works, more] if edge.access == held else [works]


def refusals(resource: Resource, bench: Bench) -> list[Proof]:
    """That nobody is answered in plaintext, with another authority's certificate, or without an edge."""
    users = {(edge.source, edge.target) for edge in bench.plan.edges_to(resource.name)}
    services = [service.name for service in bench.plan.of_kind("service")]
    found: list[Proof] = []
    for part in (part.name for part in resource.parts):
        found += _at_the_door(_door(resource, bench, part, "anyone", None), bench)
        for service in (name for name in services if (name, part) not in users):
            own = _door(resource, bench, part, service, bench.service_leaf(service))
            read = partial(_attempt, own, _DOES["read"])
            found.append(_refused(f"{service} at {part}", "undeclared", own, read))
    return found


def _at_the_door(anyone: Door, bench: Bench) -> list[Proof]:
    def shown(door: Door, leaf: Callable[[], Leaf]) -> Observation:
        return _attempt(replace(door, leaf=leaf()), _DOES["read"])

    hasty, undeclared = replace(anyone, patience_ms=_PATIENCE_MS), replace(anyone, source="stranger")
    foreign, stranger = partial(shown, hasty, bench.foreign_leaf), partial(shown, undeclared, bench.stranger_leaf)
    return [
        _refused(f"plaintext at {anyone.part}", "plaintext", anyone, partial(_attempt, hasty, _DOES["read"])),
        _refused(f"another authority at {anyone.part}", "authority", anyone, foreign),
        _refused(f"an undeclared service at {anyone.part}", "identity", undeclared, stranger),
    ]


def _refused(name: str, category: str, door: Door, attempt: Callable[[], Observation]) -> Proof:
    return Proof(name, category, door.source, door.part, "refused", attempt)


def _door(resource: Resource, bench: Bench, part: str, source: str, leaf: Leaf | None) -> Door:
    host, port = bench.site.ports[f"{resource.members[0].name}/{CLIENT_PORT}"]
    return Door(host, port, part, source, leaf)


def _who(client: MongoClient[dict[str, Any]]) -> str:
    """Which program answers: mongod tells from which source it was built."""
    told = client.server_info()
    return f"mongod {told['version']}" if "gitVersion" in told else "the stand-in for MongoDB"


def _attempt(door: Door, command: Mapping[str, Any], database: str | None = None) -> Observation:
    from pymongo.errors import OperationFailure, PyMongoError

    said = next(iter(command))
    try:
        with door.opened() as client:
            said = f"{said} at {_who(client)}"
            client[database or database_name(door.part)].command(dict(command))
    except OperationFailure as exc:
        if exc.code in _NOT_THERE:
            return Observation("allowed", said)
        if exc.code in _REFUSED:
            return Observation("refused", f"{said}: {exc.details['errmsg'] if exc.details else exc}")
        raise
    except PyMongoError as exc:
        if not _HUNG_UP.search(str(exc)):  # nobody listens, or nobody answers: that is no refusal
            if door.patience_ms < _TIMEOUT_MS:  # on a busy machine a server may not have got round to hanging up
                return _attempt(replace(door, patience_ms=_TIMEOUT_MS), command, database)
            raise
        return Observation("refused", str(exc).split(",", 1)[0])
    return Observation("allowed", said)
