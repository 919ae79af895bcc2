"""Tells the customer that an order was taken. Here it is a line in the log."""

from __future__ import annotations

import logging

from pydantic import BaseModel

from greenfield_kit.app import Service

service = Service("notifier")
app = service.app()
log = logging.getLogger("notifier")


class Taken(BaseModel):
    """As much of an order as a customer wants to hear."""

    id: str
    customer: str
    total: int


@service.consume("orders")
async def notify(value: bytes, headers: dict[str, str]) -> None:  # noqa: ARG001
    """One order."""
    order = Taken.model_validate_json(value)
    log.info("notified", extra={"order": order.id, "customer": order.customer, "total": order.total})
