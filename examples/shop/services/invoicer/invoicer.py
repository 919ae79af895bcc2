"""Writes one invoice for each order, however often the order comes, and tells the world and the customer of it."""

from __future__ import annotations

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from greenfield_kit.app import Service
from greenfield_kit.cloudevents import CloudEvent

service = Service("invoicer")
invoices = service.mysql("invoices")
events = service.outbox("events", invoices)
notifications = service.outbox("notifications", invoices)
app = service.app()

WRITE = text(
    "insert into invoice (order_id, customer, total, written_at) values (:id, :customer, :total, utc_timestamp(6))"
)


class Order(BaseModel):
    """As much of an order as an invoice needs; ``total`` in cents."""

    id: str
    customer: str
    total: int


class Notification(BaseModel):
    """What the customer shall hear."""

    order: str
    customer: str
    invoice: int
    total: int


@service.consume("orders", inbox=invoices)
async def invoice(order: Order, transaction: AsyncConnection) -> None:
    """One order: the invoice, and with it what the world and the customer are to hear."""
    number = (await transaction.execute(WRITE, order.model_dump())).lastrowid
    facts = {"invoice": number, "total": order.total}
    event = CloudEvent(source="invoicer", type="invoice.written", subject=order.id, data=facts)
    await events.add(transaction, order.id, event.encoded())
    told = Notification(order=order.id, customer=order.customer, **facts)
    await notifications.add(transaction, order.customer, told.model_dump_json().encode())
