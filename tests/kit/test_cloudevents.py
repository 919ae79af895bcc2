"""Events: the form that all producers share."""

from __future__ import annotations

import json

from greenfield_kit.cloudevents import CloudEvent


def test_an_event_has_all_that_the_standard_requires() -> None:
    """And a time with its zone."""
    event = json.loads(CloudEvent(source="reviews", type="review.written", subject="fern", data={"stars": 5}).encoded())
    assert event.keys() >= {"specversion", "id", "source", "type"}
    assert event["time"].endswith("Z")
    assert event["data"] == {"stars": 5}


def test_what_is_told_once_more_may_keep_its_id() -> None:
    """Others get one of their own."""
    facts = {"source": "invoicer", "type": "invoice.written", "subject": "7"}
    first, other = CloudEvent(**facts), CloudEvent(**facts)
    assert first.id != other.id
    assert CloudEvent.model_validate_json(first.encoded()) == first
    assert CloudEvent(id=first.id, **facts).id == first.id
