"""The judge of the fault run before relays and consumers that are broken on purpose: it has to catch each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from benchmarks.faults.facts import Facts, Invoice, Item, Placed, Purchase
from benchmarks.faults.judge import judge_orders
from benchmarks.faults.stores import Topic, told

from components.store_platform import Declared, Stores
from greenfield.components import kafka, postgres

pytestmark = pytest.mark.e2e

RIGHT = "right"
CASES = {
    "right": (RIGHT, RIGHT, set()),
    "marks-first": (
        "marks first",
        RIGHT,
        {("lost", "a purchase that was not published"), ("lost", "a purchase without its invoice")},
    ),
    "out-of-order": ("out of order", RIGHT, {("disordered", "ada: orders in the topic")}),
    "without-inbox": (RIGHT, "without inbox", {("doubled", "one order, several invoices")}),
}
DECLARED: Declared = {
    "postgres": ("postgres", {"size": "small", "databases": ("purchases",)}),
    "kafka": ("kafka", {"size": "small", "topics": {case: {"partitions": 2} for case in CASES}}),
}
USES = {"shop": {"purchases": "own", **dict.fromkeys(CASES, "produce,consume")}}
TABLES = """
drop table if exists purchase, outbox, inbox, invoice;
create table purchase (id text primary key, customer text, sku text, quantity int, total int);
create table outbox (number bigserial primary key, customer text, value text, published bool not null default false);
create table inbox (id text primary key);
create table invoice (number bigserial primary key, order_id text, customer text, total int);
"""
CUSTOMERS, TURNS, DIES_AT = ("ada", "grace", "joan"), 4, 3


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """PostgreSQL and Kafka, with one service that may everything."""
    running = Stores(tmp_path_factory.mktemp("relay"), postgres.COMPONENT, kafka.COMPONENT)
    try:
        running.up(DECLARED, USES)
        yield running
    finally:
        running.close()


@pytest.mark.parametrize("case", CASES)
def test_the_judge_catches_what_is_broken_and_only_that(stores: Stores, case: str) -> None:
    """Relay and consumer are killed at their most delicate moment, and started again; the right ones are let pass."""
    relay, consumer, expected = CASES[case]
    wires = wiring(stores, case)
    with psycopg.connect(wires["PURCHASES_URL"], autocommit=True) as session:
        session.execute(TABLES)
        placed = [place(session, customer, turn) for turn in range(TURNS) for customer in CUSTOMERS]
        die_and_live(wires, "relay", relay)
        die_and_live(wires, "consumer", consumer)
        facts = read(session, wires, placed)
    found = {(violation.kind, violation.what.rsplit(": ", 1)[0]) for violation in judge_orders(facts)}
    assert expected <= found
    assert {kind for kind, _ in found} == {kind for kind, _ in expected}


def wiring(stores: Stores, topic: str) -> dict[str, str]:
    """What the service is told of its database, and of one topic under the name of ``topic``."""
    wires = {"TOPIC": stores.wiring("shop", topic), "PURCHASES": stores.wiring("shop", "purchases")}
    return {f"{name}_{part}": value for name, parts in wires.items() for part, value in parts.items()}


def place(session: psycopg.Connection[Any], customer: str, turn: int) -> Placed:
    """A purchase and its message, in one transaction: what the outbox is for."""
    order = {"id": f"{customer}-{turn}", "customer": customer, "sku": "fern", "quantity": turn + 1, "total": 1900}
    with session.transaction():
        session.execute("insert into purchase values (%(id)s, %(customer)s, %(sku)s, %(quantity)s, %(total)s)", order)
        session.execute("insert into outbox (customer, value) values (%s, %s)", (customer, json.dumps(order)))
    return Placed(customer, turn, Item("fern", turn + 1), str(order["id"]))


def die_and_live(wires: dict[str, str], part: str, manner: str) -> None:
    """A life that SIGKILL ends, and another that comes to its end."""
    for dies_at, code in ((DIES_AT, -signal.SIGKILL), (0, 0)):
        program = [sys.executable, str(Path(__file__).with_name("pipeline.py")), part, manner, str(dies_at)]
        done = subprocess.run(program, env={**os.environ, **wires}, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done.stderr


def read(session: psycopg.Connection[Any], wires: dict[str, str], placed: list[Placed]) -> Facts:
    """All that there is."""
    with closing(Topic(wires, "topic")) as topic:
        orders = topic.messages()
    bought = session.execute("select id, customer, sku, quantity, total from purchase").fetchall()
    invoiced = session.execute("select number, order_id, customer, total from invoice order by number").fetchall()
    return Facts(
        placed=tuple(placed),
        purchases=tuple(Purchase(order, who, Item(sku, many), total) for order, who, sku, many, total in bought),
        orders=tuple(told(orders)),
        invoices=tuple(Invoice(*row) for row in invoiced),
    )
