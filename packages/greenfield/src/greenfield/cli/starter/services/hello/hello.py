"""A guest book. Who signs it stands in PostgreSQL, is read through Redis, and is welcomed by way of Kafka."""

from __future__ import annotations

import logging

from pydantic import BaseModel
from sqlalchemy import text

from greenfield_kit.app import Service

service = Service("hello")
guests = service.postgres("guests")
cache = service.cache("cache")
signed = service.topic("signed")
app = service.app()
log = logging.getLogger("hello")


class Book(BaseModel):
    """Each guest, with the welcome that was given; None until somebody heard of the guest."""

    guests: dict[str, str | None]


@app.get("/")
async def read() -> Book | None:
    """The book: from the cache, or from the database and into the cache."""
    return await cache.get("book", Book, everybody, ttl=30)


@app.put("/guests/{name}", status_code=201)
async def sign(name: str) -> dict[str, str]:
    """Writes a guest into the book."""
    async with guests.begin() as transaction:
        await transaction.execute(text("INSERT INTO guest VALUES (:name) ON CONFLICT DO NOTHING"), {"name": name})
    await cache.forget("book")
    await signed.publish(name, name.encode())
    log.info("signed", extra={"guest": name})
    return {"signed": name}


@service.consume("signed")
async def welcome(message: bytes, headers: dict[str, str]) -> None:
    """Welcomes a guest, as often as it may be told."""
    name = message.decode()
    async with guests.begin() as transaction:
        values = {"name": name, "welcome": f"Welcome, {name}!"}
        await transaction.execute(text("UPDATE guest SET welcome = :welcome WHERE name = :name"), values)
    await cache.forget("book")


async def everybody() -> Book:
    """The book as the database has it."""
    async with guests.connect() as connection:
        rows = await connection.execute(text("SELECT name, welcome FROM guest ORDER BY name"))
        return Book(guests={row.name: row.welcome for row in rows})
