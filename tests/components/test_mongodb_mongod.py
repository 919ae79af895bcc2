"""What is made for a mongod on PATH, run against a program that has mongod's options, commands and refusals.

MongoDB is in no package registry: a real one never ran in these tests.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from components import fake_mongod
from components.store_platform import Declared, Stores
from greenfield.assurance.verify import prove
from greenfield.components import mongodb
from greenfield.components.mongodb import denials
from support.platform import kill, wait_for

pytestmark = pytest.mark.e2e

STORE: Declared = {"papers": ("mongodb", {"size": "small", "databases": ("reviews", "drafts")})}
USES = {"keeper": {"reviews": "own"}, "clerk": {"reviews": "write"}, "reader": {"reviews": "read", "drafts": "own"}}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """A machine with a mongod on PATH, and three services that may do different things."""
    folder = tmp_path_factory.mktemp("mongod")
    program = folder / "bin" / "mongod"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {fake_mongod.__file__} "$@"\n')
    program.chmod(0o755)
    running = Stores(tmp_path_factory.mktemp("platform"), mongodb.COMPONENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        try:
            running.up(STORE, USES)
            yield running
        finally:
            running.close()


def entered(stores: Stores, service: str, database: str) -> MongoClient[dict[str, Any]]:
    """A client by the wiring's URL alone."""
    return MongoClient(str(stores.wiring(service, database)["URL"]), serverSelectionTimeoutMS=10_000)


def kept(stores: Stores) -> dict[str, Any]:
    """What the server keeps of accounts."""
    found: dict[str, Any] = json.loads(Path(stores.site.data, "papers-0-mongod", "fake.json").read_text())
    return found


def test_the_program_of_path_is_taken_and_told(stores: Stores) -> None:
    """And no Java is asked for."""
    assert stores.rig.rows()["papers-0"]["note"] == f"mongod {fake_mongod.VERSION} from PATH"
    assert set(stores.site.tools) == {"mongodb"}


def test_every_proof_holds(stores: Stores) -> None:
    """And names the program that answered."""
    checks = prove(stores.proofs())
    assert [check for check in checks if not check.ok] == []
    told = [check.observed for check in checks if check.category == "edge"]
    assert all(words.endswith(f"at mongod {fake_mongod.VERSION}") for words in told)
    assert len(told) == sum(map(len, USES.values()))


def test_users_hold_the_roles_of_their_accesses_and_no_more(stores: Stores) -> None:
    """The administrator reads nothing; each access is a role of ours."""
    users = {name: {(role["db"], role["role"]) for role in held} for name, held in kept(stores)["users"].items()}
    assert users == {
        "CN=papers-admin,OU=platform,O=shop": {("admin", "userAdminAnyDatabase"), ("admin", "hostManager")},
        "CN=keeper,OU=service,O=shop": {("reviews", "greenfield-own")},
        "CN=clerk,OU=service,O=shop": {("reviews", "greenfield-write")},
        "CN=reader,OU=service,O=shop": {("reviews", "greenfield-read"), ("drafts", "greenfield-own")},
    }


def test_what_was_written_outlives_a_kill(stores: Stores) -> None:
    """The server comes back with its users, and nobody makes a first one again."""
    with entered(stores, "clerk", "reviews") as client:
        client["reviews"]["review"].insert_one({"_id": "moss", "stars": 3})
        pid = stores.rig.pid("papers-0")
        kill(pid)

    def is_another() -> bool:
        row = stores.rig.rows()["papers-0"]
        return bool(row["ready"]) and row["pid"] not in (None, pid)

    wait_for("another server", is_another)
    with entered(stores, "reader", "reviews") as client:
        assert client["reviews"]["review"].find_one({"_id": "moss"}) == {"_id": "moss", "stars": 3}


def test_an_access_is_narrowed_and_an_edge_removed_in_open_sessions(stores: Stores) -> None:
    """Nothing restarts. Whoever lost something has its sessions ended; a database gone takes its roles along."""
    pid = stores.rig.pid("papers-0")
    fewer: Declared = {"papers": ("mongodb", {"size": "small", "databases": ("reviews",)})}
    with entered(stores, "clerk", "reviews") as clerk, entered(stores, "keeper", "reviews") as keeper:
        clerk["reviews"]["review"].insert_one({"_id": "reed"})
        keeper["reviews"]["review"].find_one({})
        stores.up(fewer, {"clerk": {"reviews": "read"}, "reader": {"reviews": "read"}})
        try:
            assert clerk["reviews"]["review"].find_one({"_id": "reed"})
            with pytest.raises(OperationFailure, match="not authorized"):
                clerk["reviews"]["review"].insert_one({"_id": "rush"})
            with pytest.raises(OperationFailure, match="not authorized"):
                keeper["reviews"]["review"].find_one({})
            ended = {f"CN={name},OU=service,O=shop" for name in ("clerk", "keeper", "reader")}
            assert set(kept(stores)["ended"]) == ended
            assert set(kept(stores)["roles"]) == {f"reviews.greenfield-{access}" for access in ("read", "write", "own")}
            assert [check for check in prove(stores.proofs()) if not check.ok] == []
            assert stores.rig.pid("papers-0") == pid
        finally:
            stores.up(STORE, USES)


def test_who_was_refused_is_read_from_the_log(stores: Stores) -> None:
    """Of a stranger the name is told; whom a command was refused, by who had entered on that connection."""
    prove(stores.proofs())
    (papers,) = stores.plan.of_kind("mongodb")
    found = list(denials.denied(papers, stores.plan, stores.site, stores.lines))
    assert ("stranger", "papers", "a session") in {(each.source, each.target, each.asked) for each in found}
    told = {(each.source, each.target, each.asked, each.accesses) for each in found}
    assert ("reader", "reviews", "delete in database reviews", ("write", "own")) in told
    assert ("clerk", "reviews", "dropIndexes in database reviews", ("own",)) in told
    assert ("keeper", "papers", "count in database admin", ()) in told
