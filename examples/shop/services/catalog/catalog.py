"""What there is to buy: products from PostgreSQL at the prices that billing asks, cache-aside in Redis."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException
from pydantic import BaseModel
from sqlalchemy import TextClause, text

from greenfield_kit.app import Service
from greenfield_kit.cloudevents import CloudEvent
from greenfield_kit.documented import answers

service = Service("catalog")
products = service.postgres("products")
cache = service.cache("cache")
billing = service.http("billing")
events = service.outbox("events", products)
app = service.app()

KEPT_S = 30  # how old a price in the cache may be
ALL = text("select sku, name, about from product order by name limit 100")
ONE = text("select sku, name, about from product where sku = :sku")
CHANGED = text("update product set offered = :price where sku = :sku and offered is distinct from :price")


class Product(BaseModel):
    """Something to buy; prices in cents, the rating from 1 to 5, or None where nobody rated it."""

    sku: str
    name: str
    about: str
    price: int
    list_price: int
    rating: float | None


@app.get("/api/catalog", responses=answers(502))
async def browse() -> list[Product]:
    """Everything, by name."""
    return await cache.get("products", list[Product], lambda: offered(ALL), ttl=KEPT_S)


@app.get("/api/catalog/{sku}", responses=answers(404, 502))
async def product(sku: str) -> Product:
    """One product."""
    found = await cache.get(f"product:{sku}", Product, lambda: offer(sku), ttl=KEPT_S)
    if found is None:
        raise HTTPException(404, f"There is no product {sku!r}.")
    return found


async def offer(sku: str) -> Product | None:
    """A product at its present price. One that is news is kept, and told to the world; then so is the list."""
    for found in await offered(ONE, sku=sku):
        event = CloudEvent(source="catalog", type="product.offered", subject=sku, data={"price": found.price})
        async with products.begin() as connection:
            if (await connection.execute(CHANGED, {"sku": sku, "price": found.price})).rowcount:
                await events.add(connection, sku, event.encoded())
                cache.forget_after(connection, "products")
        return found
    return None


async def offered(query: TextClause, **values: str) -> list[Product]:
    """Products as the database has them, those that have a price."""
    async with products.connect() as connection:
        rows = (await connection.execute(query, values)).mappings().all()
    prices = await priced([row["sku"] for row in rows]) if rows else {}
    return [Product(**row, **prices[row["sku"]]) for row in rows if row["sku"] in prices]


async def priced(skus: list[str]) -> dict[str, dict[str, Any]]:
    """What billing asks for each, and why."""
    answer = await billing.get("/api/prices", params={"sku": skus})
    if answer.status_code != 200:
        raise HTTPException(502, "Billing cannot say the price.")
    return {price.pop("sku"): price for price in answer.json()}
