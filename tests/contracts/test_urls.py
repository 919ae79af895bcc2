"""What every store promises a plain driver: exactly the URL, or the parts, that a service finds, and nothing beside.

A kind that is added to the catalogue fails here until it has its driver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from confluent_kafka import Producer
from pymongo import MongoClient
from redis import Redis
from redis.exceptions import NoPermissionError

from components.store_platform import Declared, Stores
from greenfield.cli.catalogue import catalogue

pytestmark = pytest.mark.e2e

CATALOGUE = catalogue()
STORES: Declared = {
    "postgres-store": ("postgres", {"size": "small"}),
    "mysql-store": ("mysql", {"size": "small"}),
    "mongodb-store": ("mongodb", {"size": "small"}),
    "redis-store": ("redis", {"size": "small"}),
    "kafka-store": ("kafka", {"size": "small", "topics": {"odd-news": {"partitions": 1}}}),
}
USES = {
    "odd-service": {
        **{f"{kind}-store": "own" for kind in ("postgres", "mysql", "mongodb")},
        "redis-store": "write",
        "odd-news": "produce",
    }
}


def by_psycopg(found: Mapping[str, str]) -> Any:
    """PostgreSQL: psycopg 3 reads the URL as it is."""
    with psycopg.connect(found["URL"]) as session:
        return session.execute("SELECT current_database(), session_user").fetchone()


def by_sqlalchemy(found: Mapping[str, str]) -> Any:
    """MySQL: SQLAlchemy reads the URL as it is, for PyMySQL."""
    engine = sqlalchemy.create_engine(found["URL"])
    try:
        with engine.connect() as session:
            database, user = session.execute(sqlalchemy.text("SELECT DATABASE(), CURRENT_USER()")).one()
    finally:
        engine.dispose()
    return database, user.removesuffix("@%")


def by_pymongo(found: Mapping[str, str]) -> Any:
    """MongoDB: pymongo reads the URL as it is; the database is the default one, and who one is the server knows."""
    with MongoClient[dict[str, Any]](found["URL"]) as client:
        database = client.get_default_database()
        database["page"].replace_one({"_id": 1}, {"user": "odd-service"}, upsert=True)
        page = database["page"].find_one({"_id": 1})
    return database.name, page and page["user"]


def by_redis(found: Mapping[str, str]) -> Any:
    """Redis: redis-py reads the URL as it is; only the keys of its own user may be written."""
    with Redis.from_url(found["URL"], decode_responses=True) as client:
        client.set("odd-service:page", "written")
        with pytest.raises(NoPermissionError):
            client.set("other-service:page", "written")
        return found["DATABASE"], "odd-service"


def by_confluent(found: Mapping[str, str]) -> Any:
    """Kafka: the parts, since no two clients agree on a URL. It tells a topic only to who may use it."""
    producer = Producer(
        {
            "bootstrap.servers": found["BOOTSTRAP_SERVERS"],
            "security.protocol": "ssl",
            "ssl.ca.location": found["TLS_CA"],
            "ssl.certificate.location": found["TLS_CERT"],
            "ssl.key.location": found["TLS_KEY"],
        }
    )
    told: list[Any] = []
    producer.produce(found["TOPIC"], b"written", on_delivery=lambda error, message: told.append((error, message)))
    producer.flush(10)
    ((error, message),) = told
    assert error is None, error
    return message.topic(), "odd-service"


DRIVERS: Mapping[str, tuple[str, Callable[[Mapping[str, str]], Any]]] = {
    "postgres": ("postgres-store", by_psycopg),
    "mysql": ("mysql-store", by_sqlalchemy),
    "mongodb": ("mongodb-store", by_pymongo),
    "redis": ("redis-store", by_redis),
    "kafka": ("odd-news", by_confluent),
}
DECLARED = sorted(each.kind for section in ("datastores", "brokers") for each in CATALOGUE.in_section(section))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """One store of each kind."""
    running = Stores(tmp_path_factory.mktemp("urls"), *(CATALOGUE[kind] for kind in DECLARED))
    try:
        running.up(STORES, USES)
        yield running
    finally:
        running.close()


@pytest.mark.parametrize("kind", DECLARED)
def test_a_plain_driver_connects_with_exactly_what_a_service_finds(stores: Stores, kind: str) -> None:
    """By that alone it is in the right place, as the right user."""
    name, connect = DRIVERS[kind]
    found = stores.wiring("odd-service", name)
    place = found.get("DATABASE", found.get("TOPIC"))
    assert connect(found) == (place, found.get("USERNAME", "odd-service"))


@pytest.mark.parametrize("kind", DECLARED)
def test_the_parts_say_what_the_url_says(stores: Stores, kind: str) -> None:
    """Host and port, at least; and every file that is named is there."""
    found = stores.wiring("odd-service", DRIVERS[kind][0])
    assert f"{found['HOST']}:{found['PORT']}" in found["URL"]
    files = [found[part] for part in found if part.startswith("TLS_") or part.endswith("_FILE")]
    assert files
    assert all(Path(file).read_bytes() for file in files)
