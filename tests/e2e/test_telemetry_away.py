"""Telemetry is stopped, or dead: whoever is asked for something does not notice, and nothing piles up.

`make soak` does the same for minutes, each part alone and all of it.
"""

from __future__ import annotations

import os
import signal
import time
from functools import partial

import pytest

from support.load import under_load
from support.platform import Platform, wait_for

pytestmark = pytest.mark.e2e

AWAY_S = 5.0
GROWN_MIB = 64  # what a queue of spans may take, and what an allocator keeps of it


def victims(shop: Platform) -> dict[str, int]:
    """The pids of what telemetry is made of."""
    resources = {"jaeger", "prometheus", "collector"}
    return {row["name"]: row["pid"] for row in shop.status()["processes"] if row["resource"] in resources}


def away(shop: Platform, number: signal.Signals) -> None:
    """Signals all of telemetry again and again for a while; then lets it go on."""
    ends = time.monotonic() + AWAY_S

    def over() -> bool:
        for pid in victims(shop).values():
            if pid:
                signalled(pid, number)
        return time.monotonic() > ends

    try:
        wait_for("the absence to be over", over)
    finally:
        for pid in victims(shop).values():
            if pid:
                signalled(pid, signal.SIGCONT)


def signalled(pid: int, number: signal.Signals) -> None:
    """Where it is still there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def sizes(shop: Platform) -> dict[str, int]:
    """The resident memory of services, sidecars and the gateway."""
    rows = shop.status()["processes"]
    telling = {"catalog-0", "storefront-0", "catalog-0-sidecar", "storefront-0-sidecar", "gateway-0"}
    return {row["name"]: row["rss_bytes"] >> 20 for row in rows if row["name"] in telling}


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_no_request_notices_that_telemetry_is_away(shop: Platform, number: signal.Signals) -> None:
    """Every answer is 200, on kept and on new connections; nobody grows; afterwards all of it is ready again."""
    assert len(victims(shop)) == 3
    before = sizes(shop)
    met = under_load(shop, "/api/catalog/fern", partial(away, shop, number))
    assert set(met) == {"200"}, met
    grown = {name: size - before[name] for name, size in sizes(shop).items()}
    assert max(grown.values()) < GROWN_MIB, grown
    shop.wait_ready(60)
