"""What is made of refusals: which edge is missing, what is declared by now, what stays refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from contracts.hand_made import catalogue_of, plan_of
from greenfield.assurance import attempts, denied
from greenfield.assurance.bench import STRANGER
from greenfield.components import kafka, postgres, redis
from greenfield.model.component import Catalogue
from greenfield.model.denial import Denial, Line, Log
from greenfield.model.local import Site
from greenfield.model.plan import Plan, Resource
from greenfield.targets.local.reading import last_lines

KINDS = catalogue_of(kafka.COMPONENT, postgres.COMPONENT, redis.COMPONENT)
PLAN = plan_of(
    KINDS,
    {"pages": ("postgres", {}), "log": ("kafka", {"topics": {"orders": {}}}), "notes": ("redis", {})},
    {"clerk": {"orders": "produce", "pages": "read"}, "desk": {}},
)
SITE = Site("/", "/", "/", "/", "/", "/", "/")


def judged(*denials: Denial, resource: str = "pages") -> list[denied.Refusal]:
    """What is made of them."""
    return denied.judged(PLAN, [denied.Found(PLAN.resource(resource), each) for each in denials])


def only(*denials: Denial, resource: str = "pages") -> denied.Refusal:
    """The one refusal that they come to."""
    (found,) = judged(*denials, resource=resource)
    return found


def test_a_missing_edge_is_named_with_the_line_for_each_access_that_would_do() -> None:
    """Weakest first, as the file has it."""
    found = only(Denial("desk", "pages", "a session", ("read", "write", "own")))
    assert found.verdict == "missing"
    assert list(found.add.values()) == [f"services.desk.uses.pages: {access}" for access in ("read", "write", "own")]


def test_an_access_to_a_topic_stands_beside_what_is_held_and_one_to_a_database_in_its_place() -> None:
    """Of a database each includes those before it."""
    topic = only(Denial("clerk", "orders", "READ of topic orders", ("consume",)), resource="log")
    assert topic.add == {"consume": "services.clerk.uses.orders: [produce, consume]"}
    database = only(Denial("clerk", "pages", "permission denied for table entry", ("write", "own")))
    assert database.add["write"] == "services.clerk.uses.pages: write"


def test_refusals_of_one_kind_are_counted_together() -> None:
    """With the latest wish first, and no wish twice."""
    wishes = [Denial("desk", "pages", words, ("read",), last=float(time)) for time, words in enumerate(("a", "b", "a"))]
    found = only(*wishes)
    assert (found.count, found.last, found.asked) == (3, 2.0, ("a", "b"))


def test_a_wider_wish_is_part_of_a_narrower_one() -> None:
    """Who enters, then writes, asks for one edge."""
    found = only(
        Denial("desk", "pages", "a session", ("read", "write", "own"), last=1.0),
        Denial("desk", "pages", "permission denied for table entry", ("write", "own"), last=2.0),
    )
    assert (list(found.add), found.count) == (["write", "own"], 2)


def test_two_wishes_that_no_one_access_grants_are_two() -> None:
    """Neither is hidden by the other."""
    found = judged(
        Denial("desk", "orders", "READ of topic orders", ("consume",)),
        Denial("desk", "orders", "WRITE of topic orders", ("produce",)),
        resource="log",
    )
    assert sorted(next(iter(each.add)) for each in found) == ["consume", "produce"]


def test_what_is_declared_by_now_is_told_from_what_is_missing() -> None:
    """A log is older than the file."""
    found = only(Denial("clerk", "pages", "a session", ("read", "write", "own")))
    assert (found.verdict, found.add) == ("declared", {})
    assert "`pages: read` is declared" in found.why


@pytest.mark.parametrize(
    ("source", "words"), [("ghost", "stranger"), ("pages", "a part of the platform itself"), ("", "nobody knows")]
)
def test_only_a_declared_service_is_offered_an_edge(source: str, words: str) -> None:
    """Whatever it asked for."""
    found = only(Denial(source, "pages", "a session", ("read",)))
    assert (found.verdict, found.add) == ("stays", {})
    assert words in found.why


def test_what_no_access_allows_stays_refused_for_the_reason_of_the_component() -> None:
    """And is told as it says."""
    found = only(Denial("clerk", "pages", "CREATE ROLE", why="no access gives it"))
    assert (found.verdict, found.why) == ("stays", "no access gives it")


# --- what verify asked for ------------------------------------------------------------------------------------------


class Scripted:
    """A component whose programs refused what a test says."""

    def __init__(self, *denials: Denial, away: bool = False) -> None:
        self.found, self.away = denials, away

    def denials(self) -> Scripted:
        """It is its own module."""
        return self

    def denied(self, resource: Resource, plan: Plan, site: Site, log: Log) -> Sequence[Denial]:
        """What the test says."""
        if self.away:
            raise RuntimeError("nobody answers")
        return self.found if resource.name == "pages" else ()


def reported(component: Scripted, spans: Sequence[attempts.Span] = ()) -> denied.Report:
    """The report of a platform of such components."""
    kinds = Catalogue({component_.kind: component for component_ in KINDS})  # type: ignore[misc]
    return denied.report(PLAN, kinds, SITE, lambda _: (), spans)


def test_what_verify_asked_for_is_left_out_and_counted() -> None:
    """Its stranger always, and all that was refused while it ran."""
    during, later = Denial("desk", "pages", "a", ("read",), last=5.0), Denial("desk", "pages", "b", ("read",), last=9.0)
    found = reported(Scripted(Denial(STRANGER, "pages", "c", ("read",), last=9.0), during, later), [(4.0, 6.0)])
    assert [refusal.asked for refusal in found.refusals] == [("b",)]
    assert found.by_verify == 2


def test_a_store_that_is_away_is_named_and_hides_nobody_else() -> None:
    """The others are read."""
    found = reported(Scripted(away=True))
    assert found.refusals == ()
    assert "pages: nobody answers" in found.unread


def test_a_run_of_verify_leaves_its_time_in_a_log(tmp_path: Path) -> None:
    """What happens inside is in it, also where it breaks."""
    with pytest.raises(ZeroDivisionError), attempts.noted(tmp_path):
        raise ZeroDivisionError
    lines = [Line(line.time, line.text) for line in last_lines(tmp_path, [attempts.NAME], None)]
    ((begin, end),) = attempts.spans(lines)
    assert begin < lines[0].time <= lines[1].time < end
    assert attempts.within(lines[0].time, [(begin, end)])
    assert not attempts.within(end + 0.1, [(begin, end)])


def test_a_run_that_was_killed_ends_some_day() -> None:
    """And takes nothing of the next one's time."""
    lines = [Line(10.0, "… attempts begin"), Line(5000.0, "… attempts begin"), Line(5003.0, "… attempts have ended")]
    spans = attempts.spans(lines)
    assert attempts.within(5001.0, spans)
    assert attempts.within(20.0, spans)
    assert not attempts.within(4000.0, spans)
