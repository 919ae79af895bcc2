"""What a running platform refused, and the lines that allow it: each is tried, told, added, and works."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import psycopg
import pymysql
import pytest
import redis
from confluent_kafka import KafkaError, Producer
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from support.platform import Platform, wait_for

pytestmark = pytest.mark.e2e


def leaf(wiring: Mapping[str, str], name: str) -> dict[str, str]:
    """The files by which a service shows itself, as the wiring of anything it uses names them."""
    return {part: wiring[f"{name}_TLS_{part.upper()}"] for part in ("ca", "cert", "key", "pem")}


# --- what nobody declared -------------------------------------------------------------------------------------------


def called(plain: Platform) -> str:
    """The post office asks the price list by its own certificate: its answer, or that it was refused."""
    shown = leaf(plain.wiring("post-office"), "NEW_ORDERS")
    context = ssl.create_default_context(cafile=shown["ca"])
    context.load_cert_chain(shown["cert"], shown["key"])
    context.check_hostname = False
    (address,) = {row["address"] for row in plain.status()["processes"] if row["name"] == "price-list-0-sidecar"}
    answer = httpx.get(f"https://{address}/price/fern?by=ada", verify=context, headers={"host": "price-list"})
    return answer.text if answer.status_code == 200 else "refused"


def entered(plain: Platform) -> str:
    """The post office enters the ledger."""
    place, shown = plain.wiring("back-room"), leaf(plain.wiring("post-office"), "NEW_ORDERS")
    try:
        with psycopg.connect(
            host=place["LEDGER_PAGES_HOST"],
            port=place["LEDGER_PAGES_PORT"],
            dbname=place["LEDGER_PAGES_DATABASE"],
            user="post-office",
            sslmode="verify-full",
            sslrootcert=shown["ca"],
            sslcert=shown["cert"],
            sslkey=shown["key"],
        ) as session:
            session.execute("SELECT 1")
    except psycopg.OperationalError:
        return "refused"
    return "allowed"


def produced(plain: Platform) -> str:
    """The front desk sends an order, as an idempotent producer, which is what the client is by default."""
    place, shown = plain.wiring("back-room"), leaf(plain.wiring("front-desk"), "QUICK_NOTES")
    answers: list[KafkaError | None] = []
    producer = Producer(
        {
            "bootstrap.servers": place["NEW_ORDERS_BOOTSTRAP_SERVERS"],
            "security.protocol": "ssl",
            "ssl.ca.location": shown["ca"],
            "ssl.certificate.location": shown["cert"],
            "ssl.key.location": shown["key"],
            "message.timeout.ms": 5000,
            "log_level": 0,
        }
    )
    producer.produce("new-orders", b"of-front-desk", on_delivery=lambda error, _: answers.append(error))
    wait_for("an answer", lambda: producer.poll(0.1) is not None and answers)
    return "refused" if answers[0] else "allowed"


def looked(plain: Platform) -> str:
    """The front desk reads a note of the back room's."""
    with redis.Redis.from_url(plain.wiring("front-desk")["QUICK_NOTES_URL"]) as notes:
        try:
            notes.get("back-room:fern")
        except redis.exceptions.NoPermissionError:
            return "refused"
    return "allowed"


def filed(plain: Platform) -> str:
    """The back room looks into a database beside its own."""
    with MongoClient[dict[str, Any]](plain.wiring("back-room")["PAPER_PAGES_URL"]) as client:
        try:
            client["paper-archive"]["page"].count_documents({})
        except OperationFailure:
            return "refused"
    return "allowed"


def billed(plain: Platform) -> str:
    """The back room enters a database beside its own."""
    place = plain.wiring("back-room")
    shown = leaf(place, "BILL_PAGES")
    try:
        pymysql.connect(
            host=place["BILL_PAGES_HOST"],
            port=int(place["BILL_PAGES_PORT"]),
            user="back-room",
            database="bill-archive",
            ssl_ca=shown["ca"],
            ssl_cert=shown["cert"],
            ssl_key=shown["key"],
        ).close()
    except pymysql.OperationalError:
        return "refused"
    return "allowed"


ATTEMPTS: Mapping[tuple[str, str], tuple[Callable[[Platform], str], str]] = {
    ("post-office", "price-list"): (called, "call"),
    ("post-office", "ledger-pages"): (entered, "read"),
    ("front-desk", "new-orders"): (produced, "produce"),
    ("front-desk", "quick-notes"): (looked, "read"),
    ("back-room", "paper-archive"): (filed, "read"),
    ("back-room", "bill-archive"): (billed, "read"),
}
HELD = {("front-desk", "quick-notes"): "[write, read]"}


def denials(plain: Platform) -> dict[tuple[str, str], dict[str, Any]]:
    """What `explain denied` says, by who asked and for what."""
    return {(each["source"], each["target"]): each for each in plain.json("explain", "denied")["denials"]}


@pytest.fixture(scope="module")
def refused(plain: Platform) -> dict[tuple[str, str], dict[str, Any]]:
    """What was told after `verify` tried everything that must be refused, and services six things without an edge."""
    plain.ok("verify")

    def told() -> dict[tuple[str, str], dict[str, Any]]:
        """All of it, or nothing: what comes within a second of `verify` is left out, so it is tried again."""
        found = denials(plain)
        for pair in ATTEMPTS.keys() - found.keys():
            assert ATTEMPTS[pair][0](plain) == "refused", pair
        return found if found.keys() >= ATTEMPTS.keys() else {}

    return wait_for("all of it to be told", told)


@pytest.mark.parametrize("pair", ATTEMPTS)
def test_the_edge_that_is_missing_is_named_with_its_line(
    refused: dict[tuple[str, str], dict[str, Any]], pair: tuple[str, str]
) -> None:
    """By every kind of program, for who asked."""
    told, access = refused[pair], ATTEMPTS[pair][1]
    assert told["verdict"] == "missing"
    assert told["add"][access] == f"services.{pair[0]}.uses.{pair[1]}: {HELD.get(pair, access)}"
    assert told["count"] >= 1


def test_what_verify_tried_is_not_told(plain: Platform, refused: dict[tuple[str, str], dict[str, Any]]) -> None:
    """It was refused a hundred times, as every service."""
    assert set(refused) == set(ATTEMPTS)
    assert plain.json("explain", "denied")["by_verify"] > 30


def test_a_query_stays_out_of_what_is_told(refused: dict[tuple[str, str], dict[str, Any]]) -> None:
    """The path is enough."""
    assert refused["post-office", "price-list"]["asked"] == ["GET /price/fern"]


def test_people_are_told_where_to_write_what(plain: Platform, refused: dict[tuple[str, str], dict[str, Any]]) -> None:
    """The line of the file, and what to add there."""
    told = plain.ok("explain", "denied")
    lines = plain.file.read_text().splitlines()
    number = next(index for index, line in enumerate(lines, 1) if line.startswith("  post-office:"))
    assert "post-office → price-list: refused" in told
    assert f"greenfield.yaml:{number + 3}" in told
    assert "    services.post-office.uses.price-list: call\n" in told
    assert "6 edges are missing" in told


def test_a_stranger_and_plaintext_are_offered_nothing(
    plain: Platform, refused: dict[tuple[str, str], dict[str, Any]]
) -> None:
    """They stay refused, and it is said why."""
    place = plain.wiring("back-room")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(
            host=place["LEDGER_PAGES_HOST"],
            port=place["LEDGER_PAGES_PORT"],
            dbname=place["LEDGER_PAGES_DATABASE"],
            user="back-room",
            sslmode="disable",
        )
    (address,) = {row["address"] for row in plain.status()["processes"] if row["name"] == "price-list-0-sidecar"}
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{address}/price/fern")
    pairs = {("back-room", "ledger-pages"), ("", "price-list")}
    wait_for("both to be told", lambda: denials(plain).keys() >= pairs)
    found = denials(plain)
    for pair in sorted(pairs):
        assert (found[pair]["verdict"], found[pair]["add"]) == ("stays", {})
        assert "without TLS" in found[pair]["why"]


def test_with_the_lines_all_of_it_works(plain: Platform, refused: dict[tuple[str, str], dict[str, Any]]) -> None:
    """As they were told; and nothing is missing any more."""
    text = plain.file.read_text()

    def add(data: dict[str, Any]) -> None:
        for (source, target), told in refused.items():
            _, _, value = told["add"][ATTEMPTS[source, target][1]].partition(": ")
            data["services"][source]["uses"][target] = value.strip("[]").split(", ")

    try:
        plain.edit(add)
        plain.ok("up", "-d")
        plain.wait_ready()
        assert {pair: attempt(plain) for pair, (attempt, _) in ATTEMPTS.items()} == {
            **dict.fromkeys(ATTEMPTS, "allowed"),
            ("post-office", "price-list"): "fern costs 4",
        }
        found = denials(plain)
        assert {pair: found[pair]["verdict"] for pair in ATTEMPTS} == dict.fromkeys(ATTEMPTS, "declared")
    finally:
        plain.file.write_text(text)
        plain.ok("up", "-d")


def test_traces_show_which_edges_were_used(plain: Platform) -> None:
    """Those of calls are seen by sidecars; of programs that tell nothing themselves no more can be said."""
    wait_for("telemetry to be built, once for this machine", plain.ready, 1500)
    with plain.client() as client:
        assert client.get("/price/fern").status_code == 200

    def seen() -> dict[str, Any]:
        report: dict[str, Any] = plain.json("verify", "--observed", "--since", "10m")
        used = {(c["source"], c["target"]) for c in report["checks"] if c["ok"]}
        return report if used >= {("front-desk", "back-room"), ("back-room", "price-list")} else {}

    report = wait_for("spans of the calls", seen)
    assert report["observed"]["traces"] >= 1
    assert report["observed"]["sample"] == 1.0
    assert set(report["observed"]["silent"]) == {"front-desk", "back-room", "price-list", "post-office"}
    unseen = {(c["source"], c["target"]) for c in report["checks"] if c["ok"] is None}
    assert ("post-office", "new-orders") in unseen
    assert plain.run("verify", "--observed", "--strict").returncode == 1
