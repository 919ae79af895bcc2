"""Writes one invoice for each order, however often the order comes, then tells the world and the customer."""

from __future__ import annotations

from pydantic import BaseModel
from sqlalchemy import text

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
WRITTEN = text("select number from invoice where order_id = :id")


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
async def invoice(value: bytes, headers: dict[str, str]) -> None:  # noqa: ARG001
    """One order: the invoice, and with it what the world and the customer are to hear."""
    order = Order.model_validate_json(value)
    async with invoices.begin() as connection:
        if (await connection.execute(WRITTEN, {"id": order.id})).first():
            return
        number = (await connection.execute(WRITE, order.model_dump())).lastrowid
        event = CloudEvent(
            id=f"invoice-{number}",
            source="invoicer",
            type="invoice.written",
            subject=order.id,
            data={"invoice": number, "total": order.total},
        )
        await events.add(connection, order.id, event.encoded())
        told = Notification(order=order.id, customer=order.customer, invoice=number, total=order.total)
        await notifications.add(connection, order.customer, told.model_dump_json().encode())
