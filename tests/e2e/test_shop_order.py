"""One order's way through everything: what becomes of it, and what its trace says."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from functools import partial
from typing import Any

import httpx
import pytest

from support.platform import Platform, wait_for
from support.shop import afresh, forgotten, happened, notified, order, product, progress, published, wait_complete

pytestmark = pytest.mark.e2e

SERVICES = {"gateway", "storefront", "catalog", "billing", "reviews", "invoicer", "projector", "notifier"}
STORES = {
    ("redis", "cache"),
    ("postgresql", "products"),
    ("postgresql", "purchases"),
    ("mariadb", "prices"),
    ("mariadb", "invoices"),
    ("mongodb", "ratings"),
    ("mongodb", "activity"),
}
TOPICS = {"orders", "events", "notifications"}
Span = dict[str, Any]


def test_an_order_becomes_an_invoice_an_event_and_a_notification(shop: Platform) -> None:
    """Each read where its owner keeps it, by whoever may."""
    identity = order(shop, customer="Zoë 🌿")
    found = wait_complete(shop, identity)
    assert [(each["type"], each["subject"]) for each in found["activity"]] == [("invoice.written", identity)]
    (told,) = wait_for("the notification", partial(notified, shop, identity), 60)
    assert (told["customer"], told["invoice"], told["total"]) == ("Zoë 🌿", found["invoice"], 2 * 1900)


def test_an_order_that_comes_twice_has_one_invoice_and_is_told_once(shop: Platform) -> None:
    """Kafka delivers at least once: by the id of the message the invoicer knows that it has had its effect."""
    identity = str(uuid.uuid4())
    message = json.dumps({"id": identity, "customer": "twice", "total": 3800})
    published(shop, "storefront", "orders", "twice", message, message_id=identity)
    before = wait_complete(shop, identity)
    published(shop, "storefront", "orders", "twice", message, message_id=identity)
    behind = order(shop, customer="twice")
    wait_for("what comes behind it", partial(notified, shop, behind), 60)
    assert progress(shop, identity) == before
    assert [line["invoice"] for line in notified(shop, identity)] == [before["invoice"]]


def test_what_customers_rate_poorly_becomes_cheaper(shop: Platform) -> None:
    """Once the cache has forgotten the old price; and everybody is told."""
    listed = product(shop, "aloe")
    assert listed["price"] == listed["list_price"]
    for customer in ("ada", "grace", "joan", "mary"):
        with shop.client() as client:
            given = client.post("/api/reviews", json={"sku": "aloe", "customer": customer, "stars": 1})
        assert given.status_code == 201, given.text
    assert afresh(shop, "aloe")["price"] == listed["list_price"] * 4 // 5
    told = {("review.written", "aloe"), ("price.changed", "aloe"), ("product.offered", "aloe")}
    wait_for("the events", lambda: told <= set(happened(shop)))


def test_a_review_counts_once_for_each_customer(shop: Platform) -> None:
    """Who rates again has another opinion, not another voice."""
    for stars in (1, 1, 1, 5):
        with shop.client() as client:
            client.post("/api/reviews", json={"sku": "moss", "customer": "ada", "stars": stars}).raise_for_status()
    assert afresh(shop, "moss")["rating"] == 5


def test_without_reviews_the_last_price_holds(shop: Platform) -> None:
    """A service that hangs costs a moment, not the order; when it is back, so are the ratings."""
    known = product(shop, "ficus")
    hanging = shop.pids()["reviews-0"]
    os.kill(hanging, signal.SIGSTOP)
    try:
        wait_for("the last price", lambda: afresh(shop, "ficus") == {**known, "rating": None})
        order(shop, sku="ficus")
    finally:
        os.kill(hanging, signal.SIGCONT)
    shop.wait_ready()
    wait_for("the price with its rating", lambda: afresh(shop, "ficus") == known)


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"sku": "rose"}, 409), ({"sku": "Fern"}, 422), ({"quantity": 0}, 422), ({"customer": ""}, 422)],
)
def test_what_cannot_be_sold_is_no_order(shop: Platform, changes: dict[str, Any], status: int) -> None:
    """A problem that says why."""
    with shop.client() as client:
        answer = client.post("/api/orders", json={"sku": "fern", "quantity": 1, "customer": "ada", **changes})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_one_trace_names_everything_on_the_way(shop: Platform) -> None:
    """Every service, the gateway, every store and every topic, in one tree without a gap or an error."""
    wait_telemetry(shop)
    forgotten(shop, "calathea")
    identity = order(shop, sku="calathea")
    (line,) = wait_for("the notification", partial(notified, shop, identity), 60)
    spans = wait_for("the whole trace", partial(whole, shop, line["trace_id"]), 40)
    ids = {span["spanID"] for span in spans}
    parents = [reference["spanID"] for span in spans for reference in span["references"]]
    assert set(parents) <= ids
    assert [span["service"] for span in spans if not span["references"]] == ["gateway"]
    assert [span for span in spans if "error.type" in tags(span)] == []


def wait_telemetry(shop: Platform) -> None:
    """Waits until all that is slow to make is there; once for this machine."""
    wait_for("telemetry to be built", lambda: all(row["ready"] for row in shop.status()["processes"]), 1500)


def asked(shop: Platform, path: str, **parameters: Any) -> list[list[Span]]:
    """Traces as Jaeger has them: the spans of each, with the name of their service."""
    answer = httpx.get(f"{shop.status()['urls']['jaeger']}/api/traces{path}", params=parameters)
    found = answer.json()["data"] or []
    for trace in found:
        for span in trace["spans"]:
            span["service"] = trace["processes"][span["processID"]]["serviceName"]
    return [trace["spans"] for trace in found]


def tags(span: Span) -> dict[str, Any]:
    """Attributes of a span."""
    return {tag["key"]: tag["value"] for tag in span["tags"]}


def whole(shop: Platform, trace: str) -> list[Span]:
    """The spans of a trace once it names all that there is; none before."""
    for spans in asked(shop, f"/{trace}"):
        named = [tags(span) for span in spans]
        stores = {(each["db.system.name"], each["db.namespace"]) for each in named if "db.namespace" in each}
        topics = {each["messaging.destination.name"] for each in named if "messaging.destination.name" in each}
        if ({span["service"] for span in spans}, stores, topics) == (SERVICES, STORES, TOPICS):
            return spans
    return []


def test_a_product_is_a_miss_then_a_hit(shop: Platform) -> None:
    """Cache-aside, as the traces tell it: the first request fills the cache, the second asks nobody else."""
    wait_telemetry(shop)
    forgotten(shop, "sansevieria")
    before = str(time.time_ns() // 1000)
    first, second = product(shop, "sansevieria"), product(shop, "sansevieria")
    assert first == second
    wanted = {"service": "catalog", "start": before, "tags": json.dumps({"url.path": "/api/catalog/sansevieria"})}
    wait_for("both traces", lambda: len(asked(shop, "", **wanted)) == 2, 40)
    missed, hit = sorted(asked(shop, "", **wanted), key=lambda spans: min(span["startTime"] for span in spans))
    assert looked_up(missed) == [False]
    assert {"SELECT products", "SET cache"} <= {span["operationName"] for span in missed}
    assert looked_up(hit) == [True]
    assert {"SELECT products", "SET cache"}.isdisjoint(span["operationName"] for span in hit)


def looked_up(spans: list[Span]) -> list[bool]:
    """What the cache answered, each time it was asked."""
    return [tags(span)["cache.hit"] for span in spans if "cache.hit" in tags(span)]
