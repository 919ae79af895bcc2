"""Certificates of seconds, on the reference platform under load: each is renewed again and again, unnoticed."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from e2e.conftest import ROOT, copied
from greenfield.targets.local import client
from greenfield.targets.local.paths import StatePaths
from support.handshake import shown
from support.load import under_load
from support.platform import Platform, tagged, wait_for
from support.shop import order, wait_complete

pytestmark = pytest.mark.e2e

FIRST_S = 90
"""How long certificates hold at first: a platform that starts slowly must not outlive its own."""

SOON_S, SOONER_S, SOAK_S = 30, 20, 300
PATIENCE_S = 60
RATE = 25  # requests a second: seven services start anew meanwhile, on a small machine
STORES = {"postgres-0/client": "postgres", "invoices-0/client": "mysql"}
STARTING = '"message": "not ready"'
"""What a service says of what it waits for, before anybody is sent to it."""

STAYING = ("postgres-0", "invoices-0", "reviews-store-0", "cache-0", "kafka-0", "gateway-0")


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The shop without telemetry, whose programs look for new certificates once a minute."""
    platform = copied(ROOT / "examples" / "shop", tmp_path_factory.mktemp("checkout") / "shop")

    def untold(data: dict[str, Any]) -> None:
        data["telemetry"] = "off"
        data["environments"]["local"].pop("telemetry")

    platform.edit(untold)
    try:
        up(platform, FIRST_S)
        yield platform
    finally:
        tag = platform.run_tag
        platform.ok("down", "--volumes", "--yes")
        assert tagged(tag) == {}


def up(platform: Platform, life_s: int) -> None:
    """Brings it up, or has its certificates hold for so long from now on."""
    platform.environment = {"GREENFIELD_LEAF_LIFE": f"{life_s}s"}
    platform.ok("up", "-d", timeout=600)


def issues(platform: Platform) -> Mapping[str, str]:
    """Which issue of each leaf is there."""
    return {link.name: link.readlink().name for link in (platform.home / "pki").iterdir() if link.is_symlink()}


def ports(platform: Platform) -> Mapping[str, tuple[str, int]]:
    """Where somebody listens by TLS, whichever slot of a service it is."""
    supervisor = client.connect(StatePaths(platform.folder.resolve()))
    assert supervisor is not None
    listening = {row["address"] for row in supervisor.status()["processes"]}
    claimed = json.loads((platform.home / "state.json").read_text())["ports"]
    found = {
        name.removesuffix("/0").removesuffix("/1"): (host, port)
        for name, (host, port) in claimed.items()
        if f"{host}:{port}" in listening or name == "kafka-0/internal"
    }
    assert {name.partition("/")[0] for name in found} >= set(STAYING)
    return found


def serials(platform: Platform, names: Collection[str]) -> Mapping[str, int]:
    """The serial number of the certificate that each of these ports shows, which holds at this moment.

    One is left out while it is not to be reached, because its process is just being turned over.
    """
    found = {}
    for name, (host, port) in ports(platform).items():
        if name not in names:
            continue
        try:
            certificate = shown(host, port, STORES.get(name, ""))
        except OSError:
            continue
        assert certificate.not_valid_before_utc < dt.datetime.now(dt.UTC) < certificate.not_valid_after_utc, name
        found[name] = certificate.serial_number
    return found


def all_serials(platform: Platform, names: Collection[str]) -> Mapping[str, int]:
    """The same; nothing while one is not to be reached."""
    found = serials(platform, names)
    return found if found.keys() == set(names) else {}


def all_issued(platform: Platform, before: Mapping[str, str]) -> bool:
    """Whether every leaf is another than ``before``."""
    now = issues(platform)
    return all(now[name] != issue for name, issue in before.items())


def all_shown(platform: Platform, before: Mapping[str, int], left: set[str]) -> bool:
    """Whether none is ``left`` of the ports that have not shown another certificate than ``before``."""
    left -= {name for name, serial in serials(platform, left).items() if serial != before[name]}
    return not left


def renewed(platform: Platform) -> None:
    """Waits until every leaf is another, and every port has shown another."""
    leaves, names = issues(platform), ports(platform).keys()
    before = wait_for("all ports", partial(all_serials, platform, names))
    wait_for("other leaves", partial(all_issued, platform, leaves), PATIENCE_S)
    wait_for("other certificates everywhere", partial(all_shown, platform, before, set(names)), PATIENCE_S)


def complaints(platform: Platform) -> list[str]:
    """What services had to say of failures: a connection that they lost, a message that they could not read or send."""
    logs = (platform.home / "logs").glob("*-0.log")
    lines = [f"{log.stem}: {line}" for log in logs for line in log.read_text().splitlines()]
    said = [line for line in lines if ': {"time"' in line]
    assert said
    return [line for line in said if not any(word in line for word in ('"level": "info"', STARTING))]


def test_certificates_are_renewed_under_load_and_nobody_notices(brief: Platform) -> None:
    """Three times: not one request fails, no service loses a connection, an order goes its whole way after it."""
    pids = brief.pids()

    def act() -> None:
        up(brief, SOON_S)
        renewed(brief)
        renewed(brief)

    met = under_load(brief, "/api/catalog/fern", act, rate=RATE)
    assert set(met) == {"200"}, met
    assert met.total() > SOON_S * RATE / 2
    assert {name: brief.pids()[name] for name in STAYING} == {name: pids[name] for name in STAYING}
    wait_complete(brief, order(brief))
    assert complaints(brief) == []


@pytest.mark.soak
def test_certificates_are_renewed_for_minutes_and_nobody_notices(brief: Platform) -> None:
    """Hardly a moment without a turn; orders are placed and get their invoices all the time."""

    def act() -> None:
        up(brief, SOONER_S)
        ends = time.monotonic() + SOAK_S
        while time.monotonic() < ends:
            wait_complete(brief, order(brief))
            renewed(brief)

    met = under_load(brief, "/api/catalog/fern", act, rate=RATE)
    assert set(met) == {"200"}, met
    assert complaints(brief) == []
