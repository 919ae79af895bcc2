"""Turns events into what people look at: one document for each, however often it comes."""

from __future__ import annotations

from greenfield_kit.app import Service
from greenfield_kit.cloudevents import CloudEvent

service = Service("projector")
happenings = service.mongodb("activity")["happening"]
app = service.app()


@service.consume("events")
async def project(event: CloudEvent) -> None:
    """One event."""
    await happenings.replace_one({"_id": event.id}, event.model_dump(exclude={"id", "specversion"}), upsert=True)
