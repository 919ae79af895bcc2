"""How proofs are run and judged."""

from __future__ import annotations

import threading

from greenfield.assurance.verify import Check, prove, touching
from greenfield.model.plan import Edge
from greenfield.model.proof import Observation, Outcome, Proof


def proof(expected: Outcome, outcome: Outcome | None, name: str = "a reaches b") -> Proof:
    """A proof whose attempt meets a fixed outcome."""
    return Proof(name, "edge", "a", "b", expected, lambda: Observation(outcome, "seen"))


def only(checks: list[Check]) -> Check:
    """The one check."""
    assert len(checks) == 1
    return checks[0]


def test_what_was_expected_is_ok() -> None:
    """An allowed edge and a refused stranger both pass."""
    assert [check.ok for check in prove([proof("allowed", "allowed"), proof("refused", "refused")])] == [True, True]


def test_the_opposite_fails_in_both_directions() -> None:
    """A refused edge fails, and so does a stranger who is let in."""
    assert [check.ok for check in prove([proof("allowed", "refused"), proof("refused", "allowed")])] == [False, False]


def test_not_enforced_is_never_ok() -> None:
    """Where a target does not enforce something, the answer is neither yes nor no, and says so."""
    check = only(prove([proof("refused", None)]))
    assert check.ok is None
    assert check.observed == "not enforced here: seen"


def test_an_attempt_that_breaks_fails_and_says_with_what() -> None:
    """A broken attempt is no proof of a refusal."""

    def broken() -> Observation:
        raise OSError("no route")

    check = only(prove([Proof("n", "edge", "a", "b", "refused", broken)]))
    assert check.ok is False
    assert "OSError: no route" in check.observed


def test_attempts_run_side_by_side_and_answers_keep_their_order() -> None:
    """Two attempts that wait for each other both end."""
    meeting = threading.Barrier(2, timeout=5)

    def together() -> Observation:
        meeting.wait()
        return Observation("allowed", "met")

    proofs = [Proof(name, "edge", "a", "b", "allowed", together) for name in ("first", "second")]
    assert [check.name for check in prove(proofs)] == ["first", "second"]


def test_one_edge_can_be_picked() -> None:
    """What its source may do at its target, and that nobody else gets in there, or where that is kept."""
    edge = Edge("a", "b", "read", resource="store")

    def tried(source: str, target: str, expected: Outcome) -> Proof:
        name = f"{source} at {target} is {expected}"
        return Proof(name, "edge", source, target, expected, lambda: Observation(expected, "seen"))

    kept = [tried("a", "b", "allowed"), tried("a", "b", "refused"), tried("c", "b", "refused")]
    kept.append(tried("anyone", "store", "refused"))
    others = [tried("c", "b", "allowed"), tried("a", "c", "allowed"), tried("c", "a", "refused")]
    assert touching([*kept, *others], edge) == kept
