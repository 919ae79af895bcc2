"""The reference platform, whole: what an operator sees."""

from __future__ import annotations

import json
import re
import shlex
import socket
from functools import partial
from typing import Any

import psycopg
import pytest
import redis

from greenfield.targets.local.paths import StatePaths
from support.load import under_load
from support.platform import Platform, kill, wait_for
from support.shop import order, placed, wait_complete

pytestmark = pytest.mark.e2e

SERVICES = {"storefront", "catalog", "billing", "reviews", "invoicer", "projector", "notifier"}
PROXIES = {"gateway", "waf"}
TELEMETRY = {"collector", "jaeger", "prometheus"}


def test_verify_proves_every_edge_and_refuses_everything_else(shop: Platform) -> None:
    """Not one check fails, and every declared edge has one."""
    report = json.loads(shop.run("verify", "--format", "json").stdout)
    assert [check for check in report["checks"] if check["ok"] is False] == []
    assert report["ok"]
    edges = {(edge["source"], edge["target"]) for edge in shop.json("plan")["edges"]}
    proved = {(check["source"], check["target"]) for check in report["checks"] if check["expected"] == "allowed"}
    assert edges <= proved


@pytest.mark.soak  # in short, the fault run among the tests kills the same
def test_killed_processes_come_back_and_keep_what_was_written(shop: Platform) -> None:
    """SIGKILL of each: ready again within 30 s, and the order written just before is there, and gets its invoice.

    Stores die alone; all services together, all proxies, all of telemetry.
    """
    for victims in together(shop):
        identity = order(shop, customer=victims[0])
        before = {name: shop.pids()[name] for name in victims}
        for pid in before.values():
            kill(pid)
        wait_for(f"{victims} to be other processes", partial(are_others, shop, before))
        shop.wait_ready()
        wait_for(f"the order before {victims} died", partial(placed, shop, identity), 10)
        wait_complete(shop, identity)


def together(shop: Platform) -> list[list[str]]:
    """The names of all processes, in the groups that are killed at once."""
    groups: dict[str, list[str]] = {}
    for row in shop.status()["processes"]:
        groups.setdefault(group(row["name"], row["resource"]), []).append(row["name"])
    stores = {"postgres", "invoices", "reviews-store", "cache", "kafka", "kafka-zookeeper"}
    assert groups.keys() == stores | {"services", "proxies", "telemetry"}
    return sorted(groups.values())


def group(name: str, resource: str) -> str:
    """Which group a process dies with; a store dies alone."""
    if name.endswith("-sidecar") or resource in PROXIES:
        return "proxies"
    if resource in SERVICES:
        return "services"
    return "telemetry" if resource in TELEMETRY else resource


def are_others(shop: Platform, before: dict[str, int]) -> bool:
    """Whether none of these processes is the one it was."""
    after = shop.pids()
    return all(after.get(name) not in (None, pid) for name, pid in before.items())


def test_all_processes_killed_at_once_come_back(shop: Platform) -> None:
    """Nothing but the supervisor survives; all of it returns within 30 s with its data."""
    identity = order(shop)
    before = shop.pids()
    for pid in before.values():
        kill(pid)
    wait_for("other processes", lambda: not set(before.values()) & set(shop.pids().values()))
    shop.wait_ready()
    wait_for("the order", lambda: placed(shop, identity), 10)
    wait_complete(shop, identity)
    order(shop)


def test_an_edge_comes_and_goes_while_everything_else_runs_on(shop: Platform) -> None:
    """Only the service at the edge's source gets new processes, both times; the removed edge is refused at once."""
    text = shop.file.read_text()
    before = shop.pids()
    shop.edit(lambda data: data["services"]["notifier"]["uses"].update({"purchases": "read"}))
    shop.ok("up", "-d")
    assert changed(before, shop) == {"notifier-0", "notifier-0-sidecar"}
    assert shop.json("verify", "--edge", "notifier:purchases")["ok"]
    between = shop.pids()
    with session(shop, "notifier", "purchases") as open_session:
        open_session.execute("select 1")
        shop.file.write_text(text)
        shop.ok("up", "-d")
        with pytest.raises(psycopg.OperationalError):
            open_session.execute("select 1")
    assert changed(between, shop) == {"notifier-0", "notifier-0-sidecar"}
    refused = [c for c in shop.json("verify")["checks"] if (c["source"], c["target"]) == ("notifier", "purchases")]
    assert refused
    assert all(check["ok"] and check["expected"] == "refused" for check in refused)


def session(shop: Platform, service: str, database: str) -> psycopg.Connection[Any]:
    """A session of a service in a database, opened as the service itself would."""
    lines = shop.ok("env", service).splitlines()
    wiring = dict(line.removeprefix("export ").split("=", 1) for line in lines if "=" in line)
    return psycopg.connect(shlex.split(wiring[f"{database.upper()}_URL"])[0], autocommit=True)


def changed(before: dict[str, int], platform: Platform) -> set[str]:
    """The processes that are not what they were."""
    after = platform.pids()
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_a_topic_and_a_database_come_live(shop: Platform) -> None:
    """New parts of a store ask for no restart of it."""
    text = shop.file.read_text()
    before = shop.pids()

    def change(data: dict[str, Any]) -> None:
        data["brokers"]["kafka"]["topics"]["returns"] = {"partitions": 1}
        data["datastores"]["postgres"]["databases"].append("returns-archive")

    shop.edit(change)
    shop.ok("up", "-d")
    assert changed(before, shop) == set()
    shop.file.write_text(text)
    shop.ok("up", "-d")
    assert changed(before, shop) == set()


def test_a_restart_under_load_loses_no_request(shop: Platform) -> None:
    """A hundred requests a second, on kept and on new connections, none of them sent twice by anybody."""
    before = retries(shop)
    met = under_load(shop, "/api/catalog/fern", lambda: shop.ok("restart", "catalog"))
    assert set(met) == {"200"}, met
    assert met.total() > 200
    assert retries(shop) == before


def test_a_password_is_rotated_under_load_and_the_old_one_is_worth_nothing(shop: Platform) -> None:
    """Only its holder is replaced; nobody is refused meanwhile, neither by the gateway nor by Redis."""
    before, old = shop.pids(), shop.wiring("catalog")["CACHE_URL"]
    passed_by = shop.ok("logs", "catalog").count("cache is passed by")
    met = under_load(shop, "/api/catalog/fern", lambda: shop.ok("secrets rotate", "cache.catalog"))
    assert set(met) == {"200"}, met
    assert shop.ok("logs", "catalog").count("cache is passed by") == passed_by
    assert changed(before, shop) == {"catalog-0", "catalog-0-sidecar"}
    with redis.Redis.from_url(shop.wiring("catalog")["CACHE_URL"]) as new:
        assert new.ping()
    with redis.Redis.from_url(old) as stale, pytest.raises(redis.AuthenticationError):
        stale.ping()


def retries(shop: Platform) -> int:
    """How often the gateway has sent a request again."""
    with socket.socket(socket.AF_UNIX) as admin:
        admin.connect(str(next(StatePaths(shop.folder.resolve()).sockets.glob("gateway-0/admin.sock"))))
        admin.sendall(
            b"GET /stats?filter=cluster.catalog.upstream_rq_retry$ HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n"
        )
        answer = b"".join(iter(lambda: admin.recv(4096), b"")).decode()
    return int(re.findall(r"retry: (\d+)", answer)[0])


def test_a_second_up_changes_nothing(shop: Platform) -> None:
    """It says what already runs; every process keeps its pid."""
    before = shop.pids()
    shop.ok("up", "-d")
    assert shop.pids() == before


def test_status_has_every_field_that_others_rely_on(shop: Platform) -> None:
    """The contract of the status object."""
    status = shop.status()
    assert status["name"] == "shop"
    assert status["environment"] == "local"
    assert status["state"] == "ready"
    assert status["started_in_s"] > 0
    assert all(set(step) >= {"name", "seconds"} for step in status["critical_path"])
    fields = {"name", "resource", "member", "zone", "state", "ready", "pid", "address", "restarts", "rss_bytes"}
    assert all(fields <= set(row) for row in status["processes"])
    names = {row["name"] for row in status["processes"]}
    assert names >= {"kafka-0", "kafka-zookeeper-0", "postgres-0", "cache-0", "invoices-0", "reviews-store-0"}
    assert names >= {f"{service}-0{part}" for service in SERVICES for part in ("", "-sidecar")}


def test_no_secret_stands_in_arguments_state_or_logs(shop: Platform) -> None:
    """Every generated secret is looked for where none may be."""
    home = shop.folder / ".greenfield"
    secrets = [file.read_text().strip() for file in (home / "secrets").iterdir() if file.is_file()]
    assert secrets
    places = " ".join(shop.tagged().values()) + (home / "state.json").read_text()
    places += "".join(log.read_text(errors="replace") for log in (home / "logs").iterdir() if log.is_file())
    assert [secret[:4] for secret in secrets if secret in places] == []
