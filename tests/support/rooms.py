"""Which tests share a worker: those that run whole platforms stay together, first of all; any other file goes anywhere.

A user has 128 file watches by default and an Envoy takes five to nine, so two workers may not both run the shop.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

PLATFORMS = ("tests/e2e/", "tests/docs/test_quickstart.py")


class Rooms(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out what ``room`` says belongs together."""

    def _split_scope(self, nodeid: str) -> str:
        return room(nodeid)


def room(nodeid: str) -> str:
    """What a test shares a worker with goes by the same name."""
    file = nodeid.partition("::")[0]
    return "platforms" if file.startswith(PLATFORMS) else file
