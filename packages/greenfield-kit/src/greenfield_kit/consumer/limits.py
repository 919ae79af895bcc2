"""How much at once, how often, how long."""

from __future__ import annotations

from dataclasses import dataclass

from greenfield_kit.pauses import drawn


@dataclass(frozen=True)
class Limits:
    """The defaults suit handlers that take milliseconds and a store with the kit's pool of five connections."""

    at_once: int = 4
    """Handlers that run at the same time; each with an inbox holds a connection, and one is left for others."""
    tries: int = 10
    """Of a message that fails for reasons of its own: with the pauses below, 20 to 26 s. Then it is a dead letter."""
    first_pause_s: float = 0.2
    """After the first failure; doubled with each, and drawn between three quarters and the whole of it."""
    longest_pause_s: float = 5.0
    """So soon is a store noticed that is back."""
    attempt_s: float = 30.0
    """A handler that takes longer is cancelled, and its message tried again as if its store were away."""
    drain_s: float = 8.0
    """For what is under way when a partition goes to somebody else, or the service ends: then it is cancelled."""
    held: int = 1000
    """Unfinished messages of a partition in memory; with more, it is not read further."""
    held_bytes: int = 8 << 20
    """The same in bytes."""
    ahead: int = 50_000
    """How far others may go ahead of a message that is tried again and again: as many come again after a crash."""

    def pause_s(self, tries: int) -> float:
        """The pause after so many failures."""
        return drawn(self.first_pause_s, tries - 1, self.longest_pause_s)
