"""What the judge of the fault run lets pass, and what not: each promise, broken once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from benchmarks.faults.facts import (
    Document,
    Event,
    Facts,
    Invoice,
    Item,
    Notification,
    Place,
    Placed,
    Purchase,
    Reviewed,
    Told,
)
from benchmarks.faults.judge import PRICES, REVIEWED, WRITTEN, judge

CUSTOMERS = ("ada", "grace")
TURNS = 3


def name(customer: str, turn: int) -> str:
    """The id of an order."""
    return f"{customer}-{turn}"


def place(customer: str, turn: int) -> Place:
    """Where a message about it stands: each customer has a partition, in which the other's do not lie."""
    return Place(CUSTOMERS.index(customer), 10 * turn)


def number(customer: str, turn: int) -> int:
    """The number of its invoice: the customers take turns."""
    return 100 + 2 * turn + CUSTOMERS.index(customer)


def of_each(make: Callable[[str, int, str], Any]) -> tuple[Any, ...]:
    """One of each order."""
    return tuple(make(customer, turn, name(customer, turn)) for customer in CUSTOMERS for turn in range(TURNS))


GOOD = Facts(
    placed=of_each(lambda customer, turn, order: Placed(customer, turn, Item("fern", turn + 1), order)),
    purchases=of_each(lambda customer, turn, order: Purchase(order, customer, Item("fern", turn + 1), 1900)),
    orders=of_each(lambda customer, turn, order: Told(place(customer, turn), order, customer, 1900)),
    invoices=of_each(lambda customer, turn, order: Invoice(number(customer, turn), order, customer, 1900)),
    events=of_each(lambda customer, turn, order: Event(Place(0, number(customer, turn)), f"e-{order}", WRITTEN, order)),
    documents=of_each(lambda customer, turn, order: Document(f"e-{order}", WRITTEN, order)),
    notifications=of_each(
        lambda customer, turn, order: Notification(place(customer, turn), order, customer, number(customer, turn), 1900)
    ),
)
LAST = name("ada", TURNS - 1)


def without(field: str, order: str) -> Facts:
    """The good facts, but one row about an order."""
    kept = tuple(
        row for row in getattr(GOOD, field) if order not in (getattr(row, "order", ""), getattr(row, "subject", ""))
    )
    assert len(kept) == len(getattr(GOOD, field)) - 1
    return replace(GOOD, **{field: kept})


def also(field: str, row: object) -> Facts:
    """The good facts, and one row more."""
    return replace(GOOD, **{field: (*getattr(GOOD, field), row)})


def found(facts: Facts) -> set[tuple[str, str]]:
    """Kinds and words of the violations, without what they are about."""
    return {(violation.kind, violation.what.rsplit(": ", 1)[0]) for violation in judge(facts)}


def test_good_facts_break_no_promise() -> None:
    """Nor do no facts at all."""
    assert judge(GOOD) == []
    assert judge(Facts()) == []


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("purchases", "an acknowledged order without its purchase"),
        ("orders", "a purchase that was not published"),
        ("invoices", "a purchase without its invoice"),
        ("events", "an invoice without its event"),
        ("documents", "an event without its document"),
        ("notifications", "an invoice without its notification"),
    ],
)
def test_whatever_is_missing_is_lost(field: str, words: str) -> None:
    """Each step of an order's way."""
    assert ("lost", words) in found(without(field, LAST))


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("purchases", "an order in the topic without a purchase"),
        ("purchases", "an invoice without a purchase"),
        ("invoices", "an event without an invoice"),
        ("invoices", "a notification without an invoice"),
        ("events", "a document without an event"),
    ],
)
def test_whatever_has_no_cause_is_invented(field: str, words: str) -> None:
    """An effect of a transaction that was rolled back, say."""
    assert ("invented", words) in found(without(field, LAST))


@pytest.mark.parametrize(
    ("field", "row", "words"),
    [
        ("purchases", Purchase("again", "ada", Item("fern", 1), 1900), "one order, several purchases"),
        ("invoices", Invoice(999, LAST, "ada", 1900), "one order, several invoices"),
        ("events", Event(Place(0, 999), "again", WRITTEN, LAST), "one invoice, several events"),
        ("documents", Document("again", WRITTEN, LAST), "one invoice, several documents"),
        ("notifications", Notification(Place(0, 999), LAST, "ada", 999, 1900), "one order, several notifications"),
    ],
)
def test_an_effect_that_is_there_twice_is_doubled(field: str, row: object, words: str) -> None:
    """An effect, not a message."""
    assert ("doubled", words) in found(also(field, row))


def test_a_message_that_comes_again_breaks_nothing() -> None:
    """Topics are at least once: even where it comes after later ones."""
    again = replace(
        GOOD,
        orders=(*GOOD.orders, replace(GOOD.orders[0], at=Place(0, 999))),
        events=(*GOOD.events, replace(GOOD.events[0], at=Place(0, 999))),
        notifications=(*GOOD.notifications, replace(GOOD.notifications[0], at=Place(0, 999))),
    )
    assert judge(again) == []


def test_an_order_that_nobody_acknowledged_may_be_there_or_not() -> None:
    """Where it is there, all of it is."""
    placed = (*GOOD.placed, Placed("ada", TURNS, Item("fern", TURNS + 1)))
    assert judge(replace(GOOD, placed=placed)) == []
    purchases = (*GOOD.purchases, Purchase("unanswered", "ada", Item("fern", TURNS + 1), 1900))
    assert ("lost", "a purchase without its invoice") in found(replace(GOOD, placed=placed, purchases=purchases))


def swapped(field: str, attribute: str) -> Facts:
    """Two rows of one customer in each other's place, kept in the order of ``attribute``."""
    first, second, *rest = getattr(GOOD, field)
    mine, others = getattr(first, attribute), getattr(second, attribute)
    changed = (replace(second, **{attribute: mine}), replace(first, **{attribute: others}))
    return replace(GOOD, **{field: (*changed, *rest)})


def test_orders_in_another_order_than_they_were_placed_are_disordered() -> None:
    """Though the invoices follow the topic."""
    first, second, *rest = GOOD.invoices
    follow = (replace(second, number=first.number), replace(first, number=second.number), *rest)
    assert found(replace(swapped("orders", "at"), invoices=follow)) >= {("disordered", "ada: orders in the topic")}


@pytest.mark.parametrize(
    ("field", "attribute", "words"),
    [("invoices", "number", "ada: invoices"), ("notifications", "at", "ada: notifications")],
)
def test_effects_in_another_order_than_their_causes_are_disordered(field: str, attribute: str, words: str) -> None:
    """Per customer; between customers there is no order."""
    assert ("disordered", words) in found(swapped(field, attribute))


@pytest.mark.parametrize("field", ["orders", "notifications"])
def test_one_key_in_two_partitions_is_disordered(field: str) -> None:
    """Nobody promises an order between partitions."""
    *rest, last = getattr(GOOD, field)
    moved = replace(last, at=Place(7, last.at.offset))
    assert ("disordered", f"grace: {field} in several partitions") in {
        (violation.kind, violation.what) for violation in judge(replace(GOOD, **{field: (*rest, moved)}))
    }


@pytest.mark.parametrize("field", ["purchases", "orders", "invoices", "notifications"])
@pytest.mark.parametrize("change", [{"total": 1}, {"customer": "grace"}])
def test_who_says_something_else_of_an_order_altered_it(field: str, change: dict[str, Any]) -> None:
    """Customer and total go from hand to hand."""
    first, *rest = getattr(GOOD, field)
    altered = replace(GOOD, **{field: (replace(first, **change), *rest)})
    assert ("altered", "one order, several customers or totals") in found(altered)


STARS = (1, 2, 3)


def reviewing(*stars: int, acknowledged: bool = True) -> Facts:
    """The good facts, and one customer's reviews, all acknowledged but perhaps the second; told with these stars."""
    reviewed = tuple(Reviewed("joan", turn, given, acknowledged or turn != 1) for turn, given in enumerate(STARS))
    told = tuple(
        Event(Place(0, 1000 + turn), f"r-{turn}", REVIEWED, "fern", {"customer": "joan", "stars": given})
        for turn, given in enumerate(stars)
    )
    return heard(replace(GOOD, reviewed=reviewed), *told)


def heard(facts: Facts, *told: Event) -> Facts:
    """The facts, and events with their documents."""
    kept = {each.id: Document(each.id, each.type, each.subject) for each in told}
    return replace(facts, events=(*facts.events, *told), documents=(*facts.documents, *kept.values()))


def test_reviews_are_told_in_their_turn() -> None:
    """Those that were acknowledged, each; another may be told or not."""
    assert judge(reviewing(1, 2, 3)) == []
    assert judge(reviewing(1, 3, acknowledged=False)) == []
    assert judge(reviewing(1, 2, 3, acknowledged=False)) == []


@pytest.mark.parametrize("stars", [(1, 3), (1, 3, 2), (1, 2), ()])
def test_a_review_that_is_not_told_in_its_turn_is_lost(stars: tuple[int, ...]) -> None:
    """Or told too late, which is no better."""
    assert {kind for kind, _ in found(reviewing(*stars))} == {"lost"}


def price(number: int, cents: int, identity: str = "") -> Event:
    """What is told of a price."""
    return Event(Place(0, 2000 + number), identity or f"p-{number}", PRICES[0], "fern", {"price": cents})


def test_only_news_is_told_of_a_price() -> None:
    """One that comes again by a repeat of its message is no other one."""
    assert judge(heard(GOOD, price(0, 9), price(1, 8), price(2, 9))) == []
    assert judge(heard(GOOD, price(0, 9), price(1, 8), price(2, 8, "p-1"), price(3, 9))) == []
    assert found(heard(GOOD, price(0, 9), price(1, 9))) == {("disordered", f"{PRICES[0]} fern")}
