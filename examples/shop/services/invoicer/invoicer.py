"""Writes one invoice for each order, however often the order comes, then tells the world and the customer."""

from __future__ import annotations

from datetime import UTC

from pydantic import BaseModel
from sqlalchemy import text

from greenfield_kit.app import Service
from greenfield_kit.cloudevents import CloudEvent

service = Service("invoicer")
invoices = service.mysql("invoices")
events = service.topic("events")
notifications = service.topic("notifications")
app = service.app()

WRITE = text(
    "insert into invoice (order_id, customer, total, written_at) values (:id, :customer, :total, utc_timestamp(6)) "
    "on duplicate key update order_id = order_id"
)
WRITTEN = text("select number, written_at from invoice where order_id = :id")


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


@service.consume("orders")
async def invoice(order: Order) -> None:
    """One order."""
    async with invoices.begin() as connection:
        await connection.execute(WRITE, order.model_dump())
        written = (await connection.execute(WRITTEN, {"id": order.id})).one()
    event = CloudEvent(
        id=f"invoice-{written.number}",
        source="invoicer",
        type="invoice.written",
        subject=order.id,
        time=written.written_at.replace(tzinfo=UTC),
        data={"invoice": written.number, "total": order.total},
    )
    await events.publish(order.id, event.encoded())
    told = Notification(order=order.id, customer=order.customer, invoice=written.number, total=order.total)
    await notifications.publish(order.id, told.model_dump_json().encode())
