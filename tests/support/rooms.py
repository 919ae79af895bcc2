"""Which tests share a worker: those that run whole platforms stay together, first of all; any other file goes anywhere.

A user has 128 instances of inotify by default, an Envoy takes five to nine: two workers may not both run the shop.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

PLATFORMS = "platforms"
_RUN_THEM = ("tests/e2e/", "tests/docs/test_quickstart.py")


class Rooms(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out what ``room`` says belongs together, in the order in which it was collected."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False  # the most tests are not those that take longest
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return room(nodeid)


def room(nodeid: str) -> str:
    """What a test shares a worker with goes by the same name."""
    file = nodeid.partition("::")[0]
    return PLATFORMS if file.startswith(_RUN_THEM) else file
