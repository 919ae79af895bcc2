"""The stand-in for MongoDB: grants, refusals, changes and crashes, by the drivers that services use."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from components.store_platform import Declared, Stores
from greenfield.assurance.verify import prove
from greenfield.components import mongodb
from greenfield.components.mongodb import denials
from greenfield.components.mongodb.stand_in import SOURCE, SOURCE_EDITION
from greenfield_kit import connections
from support.platform import kill, wait_for

pytestmark = pytest.mark.e2e

STORE: Declared = {"papers": ("mongodb", {"size": "small", "databases": ("reviews", "drafts")})}
USES = {"keeper": {"reviews": "own"}, "clerk": {"reviews": "write"}, "reader": {"reviews": "read", "drafts": "own"}}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """One server, with three services that may do different things."""
    running = Stores(tmp_path_factory.mktemp("mongodb"), mongodb.COMPONENT)
    try:
        running.up(STORE, USES)
        yield running
    finally:
        running.close()


def entered(stores: Stores, service: str, database: str) -> MongoClient[dict[str, Any]]:
    """A client by the wiring's URL alone."""
    return MongoClient(str(stores.wiring(service, database)["URL"]), serverSelectionTimeoutMS=10_000)


def test_a_changed_source_is_compiled_anew() -> None:
    """Its digest is part of the compiled classes' name."""
    assert hashlib.sha256(Path(SOURCE).read_bytes()).hexdigest().startswith(SOURCE_EDITION)


def test_every_proof_holds_and_leaves_no_trace(stores: Stores) -> None:
    """And each declared edge has one."""
    with entered(stores, "keeper", "reviews") as client:
        before = client["reviews"].list_collection_names()
        checks = prove(stores.proofs())
        assert [check for check in checks if not check.ok] == []
        assert {(c.source, c.target) for c in checks if c.expected == "allowed"} >= {("keeper", "reviews")}
        assert client["reviews"].list_collection_names() == before
    assert {check.observed for check in checks if check.category == "edge"} == {
        f"allowed: {command} at the stand-in for MongoDB" for command in ("count", "delete", "dropIndexes")
    }


def test_status_can_say_that_it_is_a_stand_in(stores: Stores) -> None:
    """With the name of what it is."""
    assert stores.rig.rows()["papers-0"]["note"] == "a stand-in for MongoDB: mongo-java-server 1.47.0"


def test_a_refused_command_is_read_from_the_log(stores: Stores) -> None:
    """Who, in which database, what."""
    with entered(stores, "reader", "reviews") as client, pytest.raises(OperationFailure, match="not authorized"):
        client["reviews"]["review"].delete_one({"_id": "nothing"})
    begin = time.time() - 60
    (papers,) = stores.plan.of_kind("mongodb")
    found = list(denials.denied(papers, stores.plan, stores.site, stores.lines))
    told = [each for each in found if each.asked == "delete in database reviews" and each.source == "reader"]
    assert told
    assert {(each.target, each.accesses) for each in told} == {("reviews", ("write", "own"))}
    assert all(begin < each.last <= time.time() for each in told)


def test_the_kit_enters_by_the_wiring_alone(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """And finds the database that the edge names."""
    for part, value in stores.wiring("keeper", "reviews").items():
        monkeypatch.setenv(f"REVIEWS_{part}", value)

    async def story() -> Any:
        client = connections.mongodb("reviews")
        database = client.get_default_database()
        await database["review"].replace_one({"_id": "fern"}, {"stars": 5}, upsert=True)
        found = await database["review"].find_one({"_id": "fern"})
        await client.close()
        return found

    assert asyncio.run(story()) == {"_id": "fern", "stars": 5}


def test_what_was_answered_survives_a_kill(stores: Stores) -> None:
    """The document written just before is there."""
    with entered(stores, "clerk", "reviews") as client:
        client["reviews"]["review"].replace_one({"_id": "moss"}, {"stars": 3}, upsert=True)
        pid = stores.rig.pid("papers-0")
        kill(pid)

    def is_another() -> bool:
        row = stores.rig.rows()["papers-0"]
        return bool(row["ready"]) and row["pid"] not in (None, pid)

    wait_for("another server", is_another)
    with entered(stores, "reader", "reviews") as client:
        assert client["reviews"]["review"].find_one({"_id": "moss"}) == {"_id": "moss", "stars": 3}


def test_an_access_is_narrowed_and_an_edge_removed_in_open_sessions(stores: Stores) -> None:
    """Nothing restarts; what is left still works."""
    pid = stores.rig.pid("papers-0")
    with entered(stores, "clerk", "reviews") as clerk, entered(stores, "reader", "drafts") as reader:
        clerk["reviews"]["review"].replace_one({"_id": "reed"}, {"stars": 1}, upsert=True)
        reader["drafts"]["draft"].count_documents({})
        stores.up(STORE, {**USES, "clerk": {"reviews": "read"}, "reader": {"reviews": "read"}})
        try:
            assert clerk["reviews"]["review"].find_one({"_id": "reed"})
            with pytest.raises(OperationFailure, match="not authorized"):
                clerk["reviews"]["review"].delete_one({"_id": "reed"})
            with pytest.raises(OperationFailure, match="not authorized"):
                reader["drafts"]["draft"].count_documents({})
            assert [check for check in prove(stores.proofs()) if not check.ok] == []
            assert stores.rig.pid("papers-0") == pid
        finally:
            stores.up(STORE, USES)


def test_nobody_reads_another_database_through_its_own(stores: Stores) -> None:
    """Neither by a pipeline's output, nor as the owner of one."""
    with entered(stores, "keeper", "reviews") as client:
        for stage in ({"$out": {"db": "drafts", "coll": "stolen"}}, {"$merge": {"into": "stolen"}}):
            with pytest.raises(OperationFailure, match="not authorized"):
                list(client["reviews"]["review"].aggregate([stage]))
        with pytest.raises(OperationFailure, match="not authorized"):
            client["drafts"]["draft"].find_one({})
