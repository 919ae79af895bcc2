"""Customers, each of whom places one order after the other, through the real gateway."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from benchmarks.faults.facts import Item, Placed, Reviewed
from benchmarks.running import Running

SKUS = ("aloe", "fern", "ficus", "monstera", "moss", "pothos")
RATED, RATERS, RATING_S = "pothos", 2, 0.5  # so few opinions that each swing of theirs changes its price
MOST = 100  # of one product in an order
ANSWER_S = 10.0
DISCOURAGED_S = 0.2  # after an order that was not taken
CREATED = 201


@dataclass(frozen=True)
class Manner:
    """How customers behave: so many at once, each with so many acknowledged orders before another comes in."""

    at_once: int = 16
    orders: int = 100
    pause_s: float = 0.0


@dataclass
class Till:
    """What was placed so far, and what became of the orders that were not taken."""

    placed: list[Placed] = field(default_factory=list)
    reviewed: list[Reviewed] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def acknowledged(self) -> int:
        """How many orders were taken."""
        return len(self.placed) - self.refused.total()


def gateway(platform: Running) -> httpx.AsyncClient:
    """A client that sees the shop as a browser does."""
    host, port = platform.gateway()
    return httpx.AsyncClient(
        base_url=f"https://127.0.0.1:{port}",
        headers={"host": f"{host}:{port}"},
        verify=ssl.create_default_context(cafile=f"{platform.paths.pki}/services-ca.crt"),
        timeout=ANSWER_S,
        trust_env=False,
    )


async def crowd(client: httpx.AsyncClient, name: str, manner: Manner, till: Till, done: Callable[[], bool]) -> None:
    """Customers called after ``name`` place orders until ``done``."""

    async def door(number: int) -> None:
        comer = 0
        while not done():
            await _customer(client, f"{name}-{number}-{comer}", manner, till, done)
            comer += 1

    async with asyncio.TaskGroup() as group:
        for number in range(manner.at_once):
            group.create_task(door(number))
        for number in range(RATERS):
            group.create_task(_rater(client, f"{name}-rater-{number}", till, done))


async def _customer(
    client: httpx.AsyncClient, customer: str, manner: Manner, till: Till, done: Callable[[], bool]
) -> None:
    """One of them: nothing is asked for twice, and what is not answered is not asked for again."""
    taken = 0
    for turn in range(len(SKUS) * MOST):
        if done() or taken == manner.orders:
            return
        item = Item(SKUS[turn % len(SKUS)], turn // len(SKUS) + 1)
        order = await _place(client, customer, item, till)
        till.placed.append(Placed(customer, turn, item, order))
        taken += bool(order)
        await asyncio.sleep(manner.pause_s if order else DISCOURAGED_S)


async def _rater(client: httpx.AsyncClient, customer: str, till: Till, done: Callable[[], bool]) -> None:
    """Thinks well of a product and poorly of it, in turn."""
    turn = 0
    while not done():
        stars = 1 + turn % 5
        asked = {"sku": RATED, "stars": stars, "customer": customer}
        try:
            taken = (await client.post("/api/reviews", json=asked)).status_code == CREATED
        except httpx.HTTPError:
            taken = False
        till.reviewed.append(Reviewed(customer, turn, stars, taken))
        turn += 1
        await asyncio.sleep(RATING_S)


async def _place(client: httpx.AsyncClient, customer: str, item: Item, till: Till) -> str:
    """The id of the order; empty where nobody says that it was taken."""
    asked = {"sku": item.sku, "quantity": item.quantity, "customer": customer}
    try:
        answer = await client.post("/api/orders", json=asked)
    except httpx.HTTPError as exc:
        till.refused[type(exc).__name__] += 1
        return ""
    if answer.status_code != CREATED:
        till.refused[str(answer.status_code)] += 1
        return ""
    return str(answer.json()["id"])
