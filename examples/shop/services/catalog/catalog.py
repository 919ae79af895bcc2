"""What there is to buy: PostgreSQL behind Redis, cache-aside."""

from __future__ import annotations

from fastapi import HTTPException
from pydantic import BaseModel
from sqlalchemy import text

from greenfield_kit.app import Service

service = Service("catalog")
products = service.postgres("products")
cache = service.cache("cache")
app = service.app()

KEPT_S = 30  # how old a price in the cache may be


class Product(BaseModel):
    """Something to buy; ``price`` in cents."""

    sku: str
    name: str
    price: int


@app.get("/api/catalog")
async def browse() -> list[Product]:
    """Everything, by name."""
    async with products.connect() as connection:
        rows = await connection.execute(text("select sku, name, price from product order by name limit 100"))
        return [Product.model_validate(row) for row in rows.mappings()]


@app.get("/api/catalog/{sku}")
async def product(sku: str) -> Product:
    """One product: from the cache, or from the database into the cache."""
    found = await cache.get(f"product:{sku}", Product, lambda: load(sku), ttl=KEPT_S)
    if found is None:
        raise HTTPException(404, f"There is no product {sku!r}.")
    return found


async def load(sku: str) -> Product | None:
    """A product as the database has it."""
    async with products.connect() as connection:
        rows = await connection.execute(text("select sku, name, price from product where sku = :sku"), {"sku": sku})
        row = rows.mappings().first()
    return Product.model_validate(row) if row else None
