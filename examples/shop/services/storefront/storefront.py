"""Takes orders: asks the catalog for the price, keeps the purchase and tells of it, shows what became of it."""

from __future__ import annotations

import uuid
from datetime import datetime

from fastapi import HTTPException, Response
from pydantic import BaseModel, Field
from sqlalchemy import text

from greenfield_kit.app import Service
from greenfield_kit.documented import answers
from page import CONTENT, HEADERS

service = Service("storefront")
purchases = service.postgres("purchases")
invoices = service.mysql("invoices", needed=False)
happenings = service.mongodb("activity", needed=False)["happening"]
cache = service.cache("cache")
catalog = service.http("catalog")
orders = service.outbox("orders", purchases)
app = service.app()

KEPT_S = 300  # a purchase never changes; the cache is only kept small
BUY = text("insert into purchase values (:id, :sku, :quantity, :customer, :total)")


class Order(BaseModel):
    """What a customer asks for."""

    sku: str = Field(min_length=1, max_length=64, pattern="^[a-z0-9-]+$")
    quantity: int = Field(ge=1, le=100)
    customer: str = Field(min_length=1, max_length=100)


class Purchase(Order):
    """What was bought; ``total`` in cents."""

    id: uuid.UUID
    total: int


class Happening(BaseModel):
    """Something that some service told."""

    type: str
    subject: str
    time: datetime


class Progress(BaseModel):
    """What became of a purchase so far: the number of its invoice, and what was told of it."""

    invoice: int | None
    activity: list[Happening]


@app.get("/", include_in_schema=False)
async def page() -> Response:
    """The shop for people."""
    return Response(CONTENT, media_type="text/html", headers=HEADERS)


@app.post("/api/orders", status_code=201, responses=answers(409, 502))
async def place(order: Order) -> Purchase:
    """Keeps the purchase, and with it the message that tells of it; a customer's orders stay in their order."""
    purchase = Purchase(id=uuid.uuid4(), total=order.quantity * await price(order.sku), **order.model_dump())
    async with purchases.begin() as connection:
        await connection.execute(BUY, purchase.model_dump())
        await orders.add(connection, purchase.customer, purchase.model_dump_json().encode())
    return purchase


@app.get("/api/orders/{identity}", responses=answers(404))
async def purchased(identity: uuid.UUID) -> Purchase:
    """One purchase."""
    found = await cache.get(f"purchase:{identity}", Purchase, lambda: load(identity), ttl=KEPT_S)
    if found is None:
        raise HTTPException(404, f"There is no order {identity}.")
    return found


@app.get("/api/orders/{identity}/progress")
async def progress(identity: uuid.UUID) -> Progress:
    """What became of it, as others have it: the invoice in MySQL, the activity in MongoDB."""
    async with invoices.connect() as connection:
        query = text("select number from invoice where order_id = :id")
        number = (await connection.execute(query, {"id": str(identity)})).scalar()
    return Progress(invoice=number, activity=await latest({"subject": str(identity)}))


@app.get("/api/activity")
async def activity() -> list[Happening]:
    """The latest of all that happened."""
    return await latest({})


async def latest(wanted: dict[str, str]) -> list[Happening]:
    """Happenings as the projector keeps them, the latest first."""
    return [Happening.model_validate(found) async for found in happenings.find(wanted).sort("time", -1).limit(12)]


async def load(identity: uuid.UUID) -> Purchase | None:
    """A purchase as the database has it."""
    async with purchases.connect() as connection:
        rows = await connection.execute(text("select * from purchase where id = :id"), {"id": identity})
        row = rows.mappings().first()
    return Purchase.model_validate(row) if row else None


async def price(sku: str) -> int:
    """What the catalog asks for one, in cents."""
    answer = await catalog.get(f"/api/catalog/{sku}")
    if answer.status_code == 404:
        raise HTTPException(409, f"There is no product {sku!r}.")
    if answer.status_code != 200:
        raise HTTPException(502, "The catalog cannot say the price.")
    return int(answer.json()["price"])
