"""Denials: what a program of the platform refused somebody, as its log tells, or the program itself when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from greenfield.model.local import Site
from greenfield.model.plan import Plan, Resource


@dataclass(frozen=True)
class Line:
    """A line of a log, with its time in seconds of the epoch."""

    time: float
    text: str


Log = Callable[[str], Iterable[Line]]
"""All lines that a process wrote and that are still there, oldest first, by its name."""


@dataclass(frozen=True)
class Denial:
    """One that a program refused.

    ``source`` is who asked, as far as the program could tell: a service, a part of the platform, else whatever name was
    shown; empty where there was none. ``target`` is the part that was asked for, else the resource. ``asked`` is what
    for, in the program's own words. ``accesses``: each of them would have allowed it, weakest first; where it is empty
    no access would, and ``why`` says why it stays refused. ``last`` in seconds of the epoch, ``count`` how often until
    then.
    """

    source: str
    target: str
    asked: str
    accesses: tuple[str, ...] = ()
    why: str = ""
    last: float = 0.0
    count: int = 1


class Denials(Protocol):
    """The ``denials`` module of a component."""

    def denied(self, resource: Resource, plan: Plan, site: Site, log: Log) -> Iterable[Denial]:
        """What the programs of a resource refused, as far back as they remember."""
        ...


def told(log: Log, processes: Iterable[str], read: Callable[[str], Denial | None]) -> Iterator[Denial]:
    """What the logs of these processes hold, where each refusal is a line of its own."""
    for process in processes:
        for line in log(process):
            if (found := read(line.text)) is not None:
                yield replace(found, last=line.time)


FOREIGN = "its certificate is of no authority that is trusted here"
"""Why nobody with another authority's certificate gets in, whoever it says to be."""
DISGUISED = "its certificate is another's than the name it gave: everybody enters as itself"
"""Why nobody gets in under another's name."""
PLAINTEXT = "it came without TLS: nothing here is spoken in plaintext"
"""Why nobody gets in who shows no certificate at all."""
UNSHOWN = "it showed no certificate"
"""Why nobody gets in who speaks TLS and does not say who it is."""
NOT_ADMITTED = "no TLS handshake came about: it spoke plaintext, or its certificate is of no authority trusted here"
"""Why nobody gets in of whom a program says no more."""
UNDECLARED = "no service may enter a database that is not declared"
"""Why nobody gets into what the platform knows nothing of."""
PLATFORMS_OWN = "only the platform's own administrator may do that: no access gives it"
"""Why nobody is given what would change the program itself, or tell of others."""


_REASONS = {
    "wrong version number": PLAINTEXT,
    "http request": PLAINTEXT,
    "did not return a certificate": UNSHOWN,
    "certificate verify failed": FOREIGN,
}


def of_handshake(reason: str) -> str:
    """Why a handshake failed, from what OpenSSL or BoringSSL call it."""
    words = reason.lower().replace("_", " ")
    return next((why for part, why in _REASONS.items() if part in words), f"the handshake failed: {reason}")
