"""What brokers refused, from the lines of their authorizer, in the words of either coordination."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from greenfield.components.kafka.topics import topics
from greenfield.model.denial import NOT_ADMITTED, PLATFORMS_OWN, Denial, Line, Log
from greenfield.model.local import Site
from greenfield.model.plan import Plan, Resource

_DENIED = re.compile(r"Principal = User:(\S+) is Denied [Oo]peration = (\w+) .* on resource = (\w+):LITERAL:(\S+)")
_NO_HANDSHAKE = re.compile(r"Failed authentication with .*\(SSL handshake failed\)")
_TOPIC = {"DESCRIBE": ("consume", "produce"), "READ": ("consume",), "WRITE": ("produce",)}
"""Which access allows an operation on a topic. Every client describes a topic before it does anything else there."""
_ONLY_TO = {"GROUP": "consume", "CLUSTER IDEMPOTENTWRITE": "produce"}
"""What only those ask for who want that access."""


@dataclass(frozen=True)
class Asked:
    """A line of the authorizer's, taken apart; operation and kind in capitals and without underscores."""

    time: float
    source: str
    operation: str
    kind: str
    name: str

    @property
    def words(self) -> str:
        """What was asked for, in Kafka's words."""
        return f"{self.operation} of {self.kind.lower()} {self.name}"

    @property
    def hint(self) -> str:
        """The access that it shows to be wanted, of whichever topic; empty where it shows none."""
        return _ONLY_TO.get(self.kind) or _ONLY_TO.get(f"{self.kind} {self.operation}", "")


def denied(resource: Resource, plan: Plan, site: Site, log: Log) -> Iterable[Denial]:  # noqa: ARG001
    """Of every broker."""
    lines = [line for member in resource.members for line in log(member.name)]
    return denials(resource, plan, lines)


def denials(resource: Resource, plan: Plan, lines: Iterable[Line]) -> Iterator[Denial]:
    """What lines of brokers' logs tell: what a client asked for beside a topic shows which access it wants of that."""
    found = list(lines)
    refused = [asked for line in found if (asked := asked_for(line)) is not None]
    wanted: dict[str, set[str]] = {}
    for asked in refused:
        if asked.hint:
            wanted.setdefault(asked.source, set()).add(asked.hint)
    undescribed = {asked.source for asked in refused if asked.kind == "TOPIC"}
    for asked in refused:
        if asked.kind == "TOPIC":
            yield _of_topic(resource, plan, asked, wanted.get(asked.source, set()))
        elif not (asked.hint and _its_own(asked) and asked.source in undescribed):  # said by the topic already
            yield _of_others(resource, asked)
    for line in found:
        if _NO_HANDSHAKE.search(line.text):
            yield Denial("", resource.name, "a connection", why=NOT_ADMITTED, last=line.time)


def asked_for(line: Line) -> Asked | None:
    """A line of a broker's log as a refusal; None for any other line."""
    if not (match := _DENIED.search(line.text)):
        return None
    source, operation, kind, name = match.groups()
    return Asked(line.time, source, operation.upper().replace("_", ""), kind.upper(), name)


def _of_topic(resource: Resource, plan: Plan, asked: Asked, wanted: set[str]) -> Denial:
    denial = Denial(asked.source, asked.name, asked.words, last=asked.time)
    if asked.name not in {part.name for part in resource.parts}:
        letters = asked.name in topics(resource, plan)
        why = "dead letters are open to the consumer alone whose they are" if letters else _undeclared(resource, asked)
        return replace(denial, target=resource.name, why=why)
    accesses = _TOPIC.get(asked.operation, ())
    narrowed = tuple(access for access in accesses if access in wanted) or accesses
    return replace(denial, accesses=narrowed, why="" if accesses else PLATFORMS_OWN)


def _undeclared(resource: Resource, asked: Asked) -> str:
    return f"no topic has that name: `brokers.{resource.name}.topics.{asked.name}` would declare it"


def _of_others(resource: Resource, asked: Asked) -> Denial:
    denial = Denial(asked.source, resource.name, asked.words, last=asked.time)
    if asked.kind == "GROUP":
        if asked.name != asked.source:
            return replace(denial, why=f"a service joins the group of its own name alone, {asked.source}")
        return replace(denial, why="a service has a group as soon as it may `consume` a topic")
    if asked.hint:
        return replace(denial, why="a service may write as it likes as soon as it may `produce` to a topic")
    if asked.kind == "TRANSACTIONALID":
        return replace(denial, why="no access gives transactions: an outbox keeps a message with its row")
    return replace(denial, why=PLATFORMS_OWN)


def _its_own(asked: Asked) -> bool:
    return asked.kind != "GROUP" or asked.name == asked.source
