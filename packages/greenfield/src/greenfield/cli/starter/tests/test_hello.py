"""The guest book, with its real PostgreSQL, Redis and Kafka: the fixture `platform` runs them while tests do."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from httpx import Client

from greenfield_kit.testing.platform import Platform
from greenfield_kit.testing.serving import serving


@pytest.fixture(scope="module")
def client(platform: Platform) -> Iterator[Client]:
    """The service, in this process. It is imported once its wiring is in the environment."""
    from hello import app

    with serving(app) as client:
        yield client


def test_who_signs_stands_in_the_book(client: Client) -> None:
    """Also where the book was read, and so cached, before."""
    assert "Ada" not in client.get("/").json()["guests"]
    assert client.put("/guests/Ada").status_code == 201
    assert "Ada" in client.get("/").json()["guests"]


def test_who_signs_is_welcomed_by_and_by(client: Client) -> None:
    """By way of the topic."""
    client.put("/guests/Grace")
    deadline = time.monotonic() + 30
    while (welcome := client.get("/").json()["guests"]["Grace"]) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert welcome == "Welcome, Grace!"
