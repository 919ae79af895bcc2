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
async def notify(value: bytes, headers: dict[str, str]) -> None:  # noqa: ARG001
    """One notification."""
    log.info("notified", extra=Notification.model_validate_json(value).model_dump())
