"""A guest book. Who signs it stands in PostgreSQL, is read through Redis, and is welcomed by way of Kafka."""

from __future__ import annotations

import logging

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from greenfield_kit.app import Service

service = Service("hello")
guests = service.postgres("guests")
cache = service.cache("cache")
signed = service.outbox("signed", guests)
app = service.app()
log = logging.getLogger("hello")


class Guest(BaseModel):
    """What is told of a guest."""

    name: str


class Book(BaseModel):
    """Each guest, with the welcome that was given; None until somebody heard of the guest."""

    guests: dict[str, str | None]


@app.get("/")
async def read() -> Book:
    """The book: from the cache, or from the database and into the cache."""
    return await cache.get("book", Book, everybody, ttl=30)


@app.put("/guests/{name}", status_code=201)
async def sign(name: str) -> Guest:
    """Writes a guest into the book and a message into the outbox: both, or neither."""
    guest = Guest(name=name)
    async with guests.begin() as transaction:
        await transaction.execute(text("INSERT INTO guest VALUES (:name) ON CONFLICT DO NOTHING"), {"name": name})
        await signed.add(transaction, name, guest.model_dump_json().encode())
        cache.forget_after(transaction, "book")
    log.info("signed", extra={"guest": name})
    return guest


@service.consume("signed", inbox=guests)
async def welcome(guest: Guest, transaction: AsyncConnection) -> None:
    """Welcomes a guest: once for each message, however often that comes."""
    values = {"name": guest.name, "welcome": f"Welcome, {guest.name}!"}
    await transaction.execute(text("UPDATE guest SET welcome = :welcome WHERE name = :name"), values)
    cache.forget_after(transaction, "book")


async def everybody() -> Book:
    """The book as the database has it."""
    async with guests.connect() as connection:
        rows = await connection.execute(text("SELECT name, welcome FROM guest ORDER BY name"))
        return Book(guests={row.name: row.welcome for row in rows})
