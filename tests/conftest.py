"""What holds for every test: who runs where, what an interrupt means, and how properties are tried."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from hypothesis import settings

from support.rooms import PLATFORMS, Rooms, room

pytest_plugins = ["support.cluster_fixtures"]

# Without a clock, and alike each time: neither a slow machine nor bad luck is a mistake.
settings.register_profile("greenfield", deadline=None, database=None, derandomize=True)
settings.load_profile("greenfield")

# A shell's background job ignores SIGINT, and so would every program that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Rooms:
    """Of workers, where there are several (``-n``)."""
    return Rooms(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest room first; all others stay in their order."""
    items.sort(key=lambda item: room(item.nodeid) != PLATFORMS)
