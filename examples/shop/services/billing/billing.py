"""What a product costs: its list price, a fifth less while customers rate it poorly."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import BackgroundTasks, Query
from pydantic import BaseModel
from sqlalchemy import Row, bindparam, text

from greenfield_kit import deadline
from greenfield_kit.app import Service
from greenfield_kit.cloudevents import CloudEvent
from greenfield_kit.http import CalleeError

service = Service("billing")
ledger = service.mysql("prices")
reviews = service.http("reviews")
events = service.outbox("events", ledger)
app = service.app()

POOR = 3.5  # a rating below this makes a product cheaper
PATIENCE_S = 1.0  # with reviews, which prices can do without for a while
LISTED = text("select sku, list_price, price from price where sku in :skus").bindparams(
    bindparam("skus", expanding=True)
)
CHANGED = text("update price set price = :price where sku = :sku and price <> :price")


class Price(BaseModel):
    """What is asked for a product, in cents, and why."""

    sku: str
    price: int
    list_price: int
    rating: float | None


@app.get("/api/prices")
async def prices(sku: Annotated[list[str], Query(max_length=100)], afterwards: BackgroundTasks) -> list[Price]:
    """The price of each product at this moment. One that is not what it was is told to the world."""
    async with ledger.connect() as connection:
        rows = (await connection.execute(LISTED, {"skus": sku})).all()
    rated = await ratings(sku)
    quotes = [quote(row, rated) for row in rows]
    for row, now in zip(rows, quotes, strict=True):
        if now.price != row.price:
            afterwards.add_task(change, now)
    return quotes


def quote(row: Row[Any], rated: dict[str, float] | None) -> Price:
    """The rule. While nobody can say the ratings, the last price holds."""
    if rated is None:
        return Price(sku=row.sku, price=row.price, list_price=row.list_price, rating=None)
    rating = rated.get(row.sku)
    asked = row.list_price * 4 // 5 if rating is not None and rating < POOR else row.list_price
    return Price(sku=row.sku, price=asked, list_price=row.list_price, rating=rating)


async def ratings(skus: list[str]) -> dict[str, float] | None:
    """What customers think of each that they rated; None while reviews are away."""
    try:
        async with deadline.within(PATIENCE_S):
            answer = await reviews.get("/api/ratings", params={"sku": skus})
    except (CalleeError, deadline.DeadlineError):
        return None
    return {rating["sku"]: rating["stars"] for rating in answer.json()} if answer.status_code == 200 else None


async def change(now: Price) -> None:
    """Keeps a price and tells it, if nobody else did meanwhile."""
    async with ledger.begin() as connection:
        if (await connection.execute(CHANGED, {"sku": now.sku, "price": now.price})).rowcount:
            event = CloudEvent(source="billing", type="price.changed", subject=now.sku, data={"price": now.price})
            await events.add(connection, now.sku, event.encoded())
