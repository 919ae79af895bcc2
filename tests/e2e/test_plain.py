"""Programs that know nothing of greenfield, in Python and in Node: they run, are proved and end as well as the shop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pymysql
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from e2e.conftest import copied
from support.load import under_load
from support.platform import Platform, kill, tagged, wait_for

pytestmark = pytest.mark.e2e

STORES = ("ledger-pages", "bill-pages", "paper-pages", "quick-notes")
SERVICES = {"front-desk", "back-room", "price-list", "post-office"}


def put(platform: Platform, store: str, key: str, value: str = "kept") -> httpx.Response:
    """Writes a page, through Node and Python, by the store's plain driver."""
    with platform.client() as client:
        return client.put(f"/page/{store}/{key}", content=value)


def got(platform: Platform, store: str, key: str) -> str:
    """A page; empty while it cannot be had."""
    with platform.client() as client:
        answer = client.get(f"/page/{store}/{key}")
    return answer.text if answer.status_code == 200 else ""


def delivered(platform: Platform, key: str) -> bool:
    """Whether the consumer took an order off the topic. Its driver says much while the broker is away."""
    return f"{key} is on its way" in platform.ok("logs", "post-office", "--tail", "5000")


def test_a_request_goes_through_node_python_and_a_bare_application(plain: Platform) -> None:
    """Each of them heard the next; the Node is the one that this test brought along."""
    with plain.client() as client:
        answer = client.get("/price/fern")
    assert answer.text == "back-room heard: fern costs 4"
    assert answer.headers["x-by"] == "node v22.20.0"


def test_node_enters_redis_by_its_certificate_and_its_password_file(plain: Platform) -> None:
    """Its own TLS, the parts of the wiring, and keys below its own prefix."""
    with plain.client() as client:
        first, second = (int(client.get("/visits").text) for _ in range(2))
    assert second == first + 1


@pytest.mark.parametrize("store", STORES)
def test_every_store_is_entered_by_its_wiring_alone(plain: Platform, store: str) -> None:
    """A plain driver writes a page and reads it back."""
    answer = put(plain, store, "fern", f"a page of {store}")
    assert answer.status_code == 200, answer.text
    assert got(plain, store, "fern") == f"a page of {store}"


def test_an_order_comes_out_of_the_consumer(plain: Platform) -> None:
    """Written by one plain program, read by another."""
    answer = put(plain, "new-orders", "order-of-ada")
    assert answer.status_code == 200, answer.text
    wait_for("the order", partial(delivered, plain, "order-of-ada"))


def test_a_service_finds_what_was_promised_and_nothing_else(plain: Platform) -> None:
    """The wiring of what it uses, what every SDK of OpenTelemetry reads, its port, and the caller's four variables."""
    with plain.client() as client:
        names = set(client.get("/environment").text.split())
    own = {name for name in names if not name.startswith(("OTEL_", "QUICK_NOTES_", "BACK_ROOM_"))}
    assert own - {"GREENFIELD_RUN"} <= {"PATH", "HOME", "LANG", "TZ", "PORT"}
    assert {"BACK_ROOM_URL", "QUICK_NOTES_PASSWORD_FILE", "OTEL_EXPORTER_OTLP_ENDPOINT"} <= names


def test_everything_is_proved(plain: Platform) -> None:
    """Every edge works, everything else is refused, and telemetry arrives: nothing is left out."""
    wait_for("telemetry to be built, once for this machine", plain.ready, 1500)
    report = plain.json("verify", "--strict")
    assert report["ok"]
    edges = {(edge["source"], edge["target"]) for edge in plain.json("plan")["edges"]}
    assert edges <= {(c["source"], c["target"]) for c in report["checks"] if c["expected"] == "allowed"}


def test_sidecars_tell_of_services_that_tell_nothing(plain: Platform) -> None:
    """Series of every service are in Prometheus, and spans of every service on the way in Jaeger."""
    with plain.client() as client:
        assert client.get("/price/moss").status_code == 200
    wait_for("series of every service", lambda: counted(plain) >= {*SERVICES, "gateway"})
    way = SERVICES - {"post-office"}
    wait_for("spans of every service on the way", lambda: traced(plain) >= {*way, "gateway"})


def counted(platform: Platform) -> set[str]:
    """Whose requests Prometheus counts."""
    answer = asked(platform, "prometheus", "/api/v1/query", query="sum by (job) (envoy_http_downstream_rq_total)")
    return {series["metric"]["job"] for series in answer["data"]["result"]}


def traced(platform: Platform) -> set[str]:
    """Whose spans Jaeger has."""
    return set(asked(platform, "jaeger", "/api/services")["data"] or ())


def asked(platform: Platform, store: str, path: str, **parameters: Any) -> Any:
    """What a store of telemetry answers."""
    return httpx.get(platform.status()["urls"][store] + path, params=parameters).raise_for_status().json()


def test_a_restart_under_load_loses_no_request(plain: Platform) -> None:
    """Neither of Node, nor of plain Python, which does nothing about SIGTERM, nor of a bare application."""
    met = under_load(plain, "/price/fern", lambda: plain.ok("restart", "front-desk", "back-room", "price-list"))
    assert set(met) == {"200"}, met
    assert met.total() > 300


# --- edges come and go ----------------------------------------------------------------------------------------------


@pytest.fixture
def wider(plain: Platform) -> Iterator[Callable[[], set[str]]]:
    """The post office may read two more databases; called, it no longer may, and says which processes that changed."""
    text, before = plain.file.read_text(), plain.pids()
    more = {"bill-archive": "read", "paper-archive": "read"}
    plain.edit(lambda data: data["services"]["post-office"]["uses"].update(more))
    plain.ok("up", "-d")
    assert changed(before, plain) == {"post-office-0", "post-office-0-sidecar"}

    def narrowed() -> set[str]:
        between = plain.pids()
        plain.file.write_text(text)
        plain.ok("up", "-d")
        return changed(between, plain)

    yield narrowed
    narrowed()


def changed(before: dict[str, int], platform: Platform) -> set[str]:
    """The processes that are not what they were."""
    after = platform.pids()
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_an_edge_that_goes_ends_open_sessions_at_once(plain: Platform, wider: Callable[[], set[str]]) -> None:
    """MySQL and MongoDB: a session that worked is of no use any more, and nobody but its service got new processes."""
    wiring = plain.wiring("post-office")
    with closing(bill_archive(wiring)) as bills, MongoClient[dict[str, Any]](wiring["PAPER_ARCHIVE_URL"]) as papers:
        bills.cursor().execute("SELECT 1")
        archive = papers.get_default_database()["page"]
        archive.count_documents({})
        assert wider() == {"post-office-0", "post-office-0-sidecar"}
        with pytest.raises(pymysql.MySQLError):
            bills.cursor().execute("SELECT 1")
        with pytest.raises(OperationFailure, match="not authorized"):
            archive.count_documents({})
    with pytest.raises(pymysql.MySQLError):
        bill_archive(wiring)


def bill_archive(wiring: dict[str, str]) -> pymysql.Connection:
    """A session by the parts of the wiring."""
    return pymysql.connect(
        host=wiring["BILL_ARCHIVE_HOST"],
        port=int(wiring["BILL_ARCHIVE_PORT"]),
        user=wiring["BILL_ARCHIVE_USERNAME"],
        database=wiring["BILL_ARCHIVE_DATABASE"],
        ssl_ca=wiring["BILL_ARCHIVE_TLS_CA"],
        ssl_cert=wiring["BILL_ARCHIVE_TLS_CERT"],
        ssl_key=wiring["BILL_ARCHIVE_TLS_KEY"],
        ssl_verify_cert=True,
        ssl_verify_identity=True,
    )


# --- faults ---------------------------------------------------------------------------------------------------------


WAVES = ("the gateway and all sidecars", "all programs", "all stores, brokers and telemetry")


def wave_of(row: dict[str, Any]) -> str:
    """Which wave takes a process along."""
    if row["resource"] == "gateway" or row["name"].endswith("-sidecar"):
        return WAVES[0]
    return WAVES[1] if row["resource"] in SERVICES else WAVES[2]


@pytest.mark.parametrize("wave", WAVES)
def test_a_wave_of_kills_is_survived_and_nothing_acknowledged_is_lost(plain: Platform, wave: str) -> None:
    """SIGKILL of all of a sort at once while the rest lives on; what was written just before is there again."""
    victims = {row["name"]: row["pid"] for row in plain.status()["processes"] if wave_of(row) == wave}
    assert len(victims) > 3
    key = "before-" + wave.replace(" ", "-").replace(",", "")
    for store in (*STORES, "new-orders"):
        answer = put(plain, store, key, wave)
        assert answer.status_code == 200, answer.text
    for pid in victims.values():
        kill(pid)
    wait_for("other processes", lambda: all(plain.pids().get(name, pid) != pid for name, pid in victims.items()))
    plain.wait_ready()
    for store in STORES:
        wait_for(f"the page in {store}", partial(got, plain, store, key), 10)
    wait_for("the order", partial(delivered, plain, key))


def test_stores_of_telemetry_keep_what_they_were_told_through_a_kill(plain: Platform) -> None:
    """A trace that Jaeger showed and a series that Prometheus showed are there after SIGKILL of both."""
    with plain.client() as client:
        client.get("/price/reed")
    trace = wait_for("a trace", partial(latest_trace, plain))
    wait_for("a series", lambda: counted(plain) >= SERVICES)
    moment = time.time()
    victims = {name: plain.pids()[name] for name in ("jaeger-0", "prometheus-0")}
    for pid in victims.values():
        kill(pid)
    wait_for("other processes", lambda: all(plain.pids().get(name, pid) != pid for name, pid in victims.items()))
    plain.wait_ready()
    assert asked(plain, "jaeger", f"/api/traces/{trace}")["data"]
    then = asked(plain, "prometheus", "/api/v1/query", query='up{job="gateway"}', time=moment)
    assert then["data"]["result"]


def latest_trace(platform: Platform) -> str:
    """The id of a trace that began at the gateway; empty where there is none yet."""
    found = asked(platform, "jaeger", "/api/traces", service="gateway", limit=1)["data"]
    return str(found[0]["traceID"]) if found else ""


def test_two_platforms_with_every_kind_run_side_by_side(plain: Platform, tmp_path: Path) -> None:
    """Another checkout of the same name, without telemetry: each serves, is proved, and ends alone."""
    before = plain.pids()
    other = copied(plain.folder, tmp_path / "quiet")
    other.environment = plain.environment
    other.edit(lambda data: data["environments"].update(local=data["environments"].pop("quiet")))
    try:
        other.ok("up", "-d")
        assert not {"collector-0", "jaeger-0", "prometheus-0"} & other.pids().keys()
        with other.client() as client:
            names = client.get("/environment").text.split()
            assert client.get("/price/fern").status_code == 200
        assert [name for name in names if name.startswith("OTEL_")] == ["OTEL_SDK_DISABLED"]
        assert other.json("verify", "--strict")["ok"]
        assert got(other, "ledger-pages", "fern") == ""
    finally:
        tag = other.run_tag
        other.ok("down", "--volumes", "--yes")
        assert tagged(tag) == {}
    assert plain.pids() == before
    assert plain.ready()


def test_a_patch_that_breaks_the_collector_is_told_and_harms_nobody_else(plain: Platform) -> None:
    """Which process, its last words, and which patch for which reason; without the patch all is well again."""
    text, before = plain.file.read_text(), plain.pids()
    patch = {
        "for": "local",
        "target": "File/collector-0/collector.json",
        "path": "processors.batch.send_batch_size",
        "set": "many",
        "reason": "bigger is better",
    }
    try:
        plain.edit(lambda data: data.update({"patches": [patch]}))
        done = plain.run("up", "-d")
        assert done.returncode == 1, done.stderr
        for words in ("collector-0 does not become ready", "send_batch_size", "'processors'", "hint", ".yaml:"):
            assert words in done.stderr
        assert "File/collector-0/collector.json at processors.batch.send_batch_size" in done.stderr
        assert "bigger is better" in done.stderr
        assert plain.status()["state"] == "degraded"
        with plain.client() as client:
            assert client.get("/price/fern").status_code == 200
    finally:
        plain.file.write_text(text)
        plain.ok("up", "-d")
    assert changed(before, plain) == {"collector-0"}
    assert plain.ready()
