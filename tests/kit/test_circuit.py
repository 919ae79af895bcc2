"""When something that fails is left alone, and when it is tried again."""

from __future__ import annotations

from dataclasses import dataclass

from greenfield_kit.cache.circuit import Circuit


@dataclass
class Clock:
    """Time that passes when it is told to."""

    now: float = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def opened(clock: Clock) -> Circuit:
    """One that has just opened."""
    circuit = Circuit(clock, failures=2, pause_s=1.0, longest_s=4.0)
    assert not circuit.fail()
    assert circuit.fail()
    return circuit


def test_it_opens_after_failures_in_a_row() -> None:
    """A success in between starts the count anew."""
    circuit = Circuit(Clock(), failures=2)
    for _ in range(5):
        assert not circuit.fail()
        assert circuit.state == "closed"
        assert not circuit.succeed()
    circuit.fail()
    assert circuit.fail()
    assert circuit.state == "open"


def test_one_alone_may_try_once_the_pause_is_over() -> None:
    """Not before, and nobody else meanwhile."""
    clock = Clock()
    circuit = opened(clock)
    assert not circuit.takes_trial()
    clock.now = 1.0
    assert circuit.takes_trial()
    assert circuit.state == "half-open"
    assert not circuit.takes_trial()


def test_a_trial_that_goes_well_closes_it() -> None:
    """And all is as if it had never been open."""
    clock = Clock()
    circuit = opened(clock)
    clock.now = 1.0
    assert circuit.takes_trial()
    assert circuit.succeed()
    assert circuit.state == "closed"
    assert not circuit.takes_trial()
    assert not circuit.fail()


def test_pauses_grow_with_each_trial_that_fails_up_to_the_longest() -> None:
    """Shortened by a quarter at most, by chance, so that processes do not try together."""
    clock = Clock()
    circuit = opened(clock)
    pauses = []
    for _ in range(6):
        begun = clock.now
        while not circuit.takes_trial():
            clock.now += 0.01
        pauses.append(clock.now - begun)
        assert not circuit.fail()
    for pause, longest in zip(pauses, (1, 2, 4, 4, 4, 4), strict=True):
        assert 0.75 * longest - 0.01 <= pause <= longest + 0.02


def test_stragglers_from_before_it_opened_do_not_lengthen_the_pause() -> None:
    """They tell nothing new."""
    clock = Clock()
    circuit = opened(clock)
    for _ in range(50):
        assert not circuit.fail()
    clock.now = 1.0
    assert circuit.takes_trial()
