"""What of the facts must not be. Pure, and separate from all that it judges."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from benchmarks.faults.facts import Facts, Invoice, Notification, Place, Purchase, Told

WRITTEN, REVIEWED = "invoice.written", "review.written"
PRICES = ("price.changed", "product.offered")
Kind = Literal["lost", "doubled", "invented", "altered", "disordered"]
Row = TypeVar("Row")
Message = TypeVar("Message", Told, Notification)


@dataclass(frozen=True)
class Violation:
    """One promise broken: of which kind, and what exactly."""

    kind: Kind
    what: str


def judge(facts: Facts) -> list[Violation]:
    """Every violation. Repeats of a message are none: topics are at least once, effects are not."""
    return [*judge_orders(facts), *judge_invoices(facts), *judge_events(facts)]


def judge_orders(facts: Facts) -> Iterator[Violation]:
    """From the customer to the invoice."""
    acknowledged = {placed.order for placed in facts.placed if placed.order}
    purchases = {purchase.order for purchase in facts.purchases}
    told = {order.order for order in facts.orders}
    invoiced = {invoice.order for invoice in facts.invoices}
    yield from _each("lost", "an acknowledged order without its purchase", acknowledged - purchases)
    yield from _each("lost", "a purchase that was not published", purchases - told)
    yield from _each("lost", "a purchase without its invoice", purchases - invoiced)
    yield from _each("invented", "an order in the topic without a purchase", told - purchases)
    yield from _each("invented", "an invoice without a purchase", invoiced - purchases)
    bought = [(purchase.customer, purchase.item) for purchase in facts.purchases]
    yield from _each("doubled", "one order, several purchases", _several(bought))
    yield from _each("doubled", "one order, several invoices", _several(each.order for each in facts.invoices))
    yield from _altered(facts)
    yield from _order_of_topic(facts)
    yield from _order_of_invoices(facts)


def judge_invoices(facts: Facts) -> Iterator[Violation]:
    """From the invoice to those who are told of it."""
    invoiced = {invoice.order for invoice in facts.invoices}
    written = {event.id: event.subject for event in facts.events if event.type == WRITTEN}
    kept = [document.subject for document in facts.documents if document.type == WRITTEN]
    notified = {each.order for each in facts.notifications}
    yield from _each("lost", "an invoice without its event", invoiced - set(written.values()))
    yield from _each("lost", "an invoice without its notification", invoiced - notified)
    yield from _each("invented", "an event without an invoice", set(written.values()) - invoiced)
    yield from _each("invented", "a notification without an invoice", notified - invoiced)
    yield from _each("doubled", "one invoice, several events", _several(written.values()))
    yield from _each("doubled", "one invoice, several documents", _several(kept))
    said = {(each.order, each.invoice) for each in facts.notifications}
    yield from _each("doubled", "one order, several notifications", _several(order for order, _ in said))
    yield from _order_of_notifications(facts)


def judge_events(facts: Facts) -> Iterator[Violation]:
    """What is told of reviews and prices, and what is kept of any event."""
    told = {event.id: event for event in reversed(facts.events)}
    kept = {document.id for document in facts.documents}
    yield from _each("lost", "an event without its document", told.keys() - kept)
    yield from _each("invented", "a document without an event", kept - told.keys())
    once = [event for event in facts.events if told[event.id] is event]
    for customer, turns in _by(facts.reviewed, lambda each: each.customer).items():
        given = (each.data["stars"] for each in once if each.type == REVIEWED and each.data["customer"] == customer)
        if missing := [turn for turn in turns if turn.acknowledged and turn.stars not in given]:
            yield Violation("lost", f"{customer}: reviews that were not told in their turn, from {missing[0].turn} on")
    for what, prices in _by(once, lambda each: f"{each.type} {each.subject}" if each.type in PRICES else "").items():
        if what and any(one.data == other.data for one, other in itertools.pairwise(prices)):
            yield Violation("disordered", f"{what}: one price twice in a row, and only news is told")


def _altered(facts: Facts) -> Iterator[Violation]:
    """Whoever speaks of an order says the same of it."""
    said: dict[str, set[tuple[str, int]]] = defaultdict(set)
    rows: tuple[Purchase | Told | Invoice | Notification, ...]
    rows = (*facts.purchases, *facts.orders, *facts.invoices, *facts.notifications)
    for row in rows:
        said[row.order].add((row.customer, row.total))
    altered = (order for order, words in said.items() if len(words) > 1)
    yield from _each("altered", "one order, several customers or totals", altered)


def _order_of_topic(facts: Facts) -> Iterator[Violation]:
    """A customer's orders lie in one partition; what was acknowledged lies before whatever was asked for later."""
    places = _first(facts.orders, lambda told: told.order)
    for customer, turns in _by(facts.placed, lambda placed: placed.customer).items():
        known = [turn for turn in sorted(turns, key=lambda turn: turn.turn) if turn.order in places]
        if len({places[turn.order].partition for turn in known}) > 1:
            yield Violation("disordered", f"{customer}: orders in several partitions")
        yield from _falls(
            f"{customer}: orders in the topic", [(each.order, places[each.order].offset) for each in known]
        )


def _order_of_invoices(facts: Facts) -> Iterator[Violation]:
    """A customer's invoices are written in the order of the topic."""
    numbers = {invoice.order: invoice.number for invoice in facts.invoices}
    for customer, orders in _by(facts.orders, lambda told: told.customer).items():
        once = dict.fromkeys(told.order for told in orders)
        yield from _falls(f"{customer}: invoices", [(order, numbers[order]) for order in once if order in numbers])


def _order_of_notifications(facts: Facts) -> Iterator[Violation]:
    """A customer hears of invoices in the order in which they were written."""
    for customer, said in _by(facts.notifications, lambda each: each.customer).items():
        if len({each.at.partition for each in said}) > 1:
            yield Violation("disordered", f"{customer}: notifications in several partitions")
        once = dict.fromkeys((each.order, each.invoice) for each in said)
        yield from _falls(f"{customer}: notifications", list(once))


def _falls(what: str, ranked: Sequence[tuple[str, int]]) -> Iterator[Violation]:
    """Where a rank is below the one before it."""
    for (before, higher), (after, lower) in itertools.pairwise(ranked):
        if lower < higher:
            yield Violation("disordered", f"{what}: {after} stands before {before}")


def _each(kind: Kind, what: str, found: Iterable[object]) -> Iterator[Violation]:
    for each in sorted(map(str, found)):
        yield Violation(kind, f"{what}: {each}")


def _several(found: Iterable[Hashable]) -> list[Hashable]:
    return [each for each, count in Counter(found).items() if count > 1]


def _by(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[key(row)].append(row)
    return grouped


def _first(messages: Iterable[Message], key: Callable[[Message], str]) -> dict[str, Place]:
    """The first place of each: what comes again later changes nothing."""
    places: dict[str, Place] = {}
    for message in messages:
        places.setdefault(key(message), message.at)
    return places
