"""Tells the customer that the order was taken. Here it is a line in the log."""

from __future__ import annotations

import logging

from pydantic import BaseModel

from greenfield_kit.app import Service

service = Service("notifier")
app = service.app()
log = logging.getLogger("notifier")


class Notification(BaseModel):
    """What the customer shall hear; ``total`` in cents."""

    order: str
    customer: str
    invoice: int
    total: int


@service.consume("notifications")
async def notify(notification: Notification) -> None:
    """One notification."""
    log.info("notified", extra=notification.model_dump())
