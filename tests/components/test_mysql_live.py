"""A real MariaDB: grants, refusals, changes and crashes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pymysql
import pytest
from sqlalchemy import text

from components.store_platform import Declared, Stores
from greenfield.assurance.verify import prove
from greenfield.components import mysql
from greenfield.components.mysql import denials
from greenfield.components.mysql.tasks import connect
from greenfield_kit import connections
from support import loops
from support.platform import kill, wait_for

pytestmark = pytest.mark.e2e

BILLS: Declared = {"bills": ("mysql", {"size": "small", "databases": ("invoices", "archive")})}
USES = {"keeper": {"invoices": "own"}, "clerk": {"invoices": "write"}, "reader": {"invoices": "read", "archive": "own"}}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """One server, with three services that may do different things."""
    running = Stores(tmp_path_factory.mktemp("mysql"), mysql.COMPONENT)
    try:
        running.up(BILLS, USES)
        yield running
    finally:
        running.close()


def entered(stores: Stores, service: str, database: str, user: str | None = None) -> pymysql.Connection:
    """A session by the wiring's URL alone, or under another's name."""
    url = urlsplit(stores.wiring(service, database)["URL"])
    assert url.scheme == "mysql+pymysql"
    tls: dict[str, Any] = dict(parse_qsl(url.query))
    tls["ssl_verify_cert"] = tls["ssl_verify_identity"] = tls.pop("ssl_check_hostname") == "true"
    return pymysql.connect(
        host=str(url.hostname),
        port=int(url.port or 0),
        user=user or url.username,
        database=url.path[1:],
        autocommit=True,
        connect_timeout=10,
        **tls,
    )


def ran(session: Any, statement: str) -> list[Any]:
    """The rows that a statement answers."""
    with session.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def test_every_proof_holds_and_leaves_no_trace(stores: Stores) -> None:
    """And each declared edge has one."""
    with entered(stores, "keeper", "invoices") as session:
        before = ran(session, "SHOW TABLES")
        checks = prove(stores.proofs())
        assert [check for check in checks if not check.ok] == []
        assert {(c.source, c.target) for c in checks if c.expected == "allowed"} >= {("keeper", "invoices")}
        assert ran(session, "SHOW TABLES") == before


def test_who_was_refused_what_is_read_from_the_log(stores: Stores) -> None:
    """At the door and inside, with the access that would do; and the log is nobody else's."""
    with entered(stores, "reader", "invoices") as session, pytest.raises(pymysql.OperationalError, match="denied"):
        ran(session, "INSERT INTO missing VALUES (1)")
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        entered(stores, "reader", "invoices", user="clerk")
    (bills,) = stores.plan.of_kind("mysql")
    found = list(denials.denied(bills, stores.plan, stores.site, stores.lines))
    told = {(each.source, each.target, each.asked, each.accesses) for each in found}
    assert ("reader", "invoices", "INSERT in database invoices", ("write", "own")) in told
    assert ("clerk", "bills", "a session as clerk", ()) in told
    assert (Path(stores.site.logs) / "bills-0-errors.log").stat().st_mode & 0o777 == 0o600


def test_a_privilege_that_no_edge_asks_for_is_found(stores: Stores) -> None:
    """Whatever it is, if the server alone tells of it; and no more once it is gone."""
    leaf = stores.site.leaves["bills-admin"]
    host, port = stores.site.ports["bills-0/client"]
    tls = {"ca": leaf.ca, "certificate": leaf.certificate, "key": leaf.key}
    with connect({"server": {"host": host, "port": port}, "tls": tls}) as session:
        for privilege, place in (("TRIGGER", "`invoices`.*"), ("PROCESS", "*.*")):
            ran(session, f"GRANT {privilege} ON {place} TO reader")
            failed = [check for check in prove(stores.proofs()) if not check.ok]
            ran(session, f"REVOKE {privilege} ON {place} FROM reader")
            assert {check.source for check in failed} == {"reader"}
            assert f"allowed: {privilege} on {place}" in {check.observed for check in failed}
    assert [check for check in prove(stores.proofs()) if not check.ok] == []


def test_the_kit_enters_by_the_wiring_alone(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its engine verifies the server and shows the service's certificate."""
    for part, value in stores.wiring("keeper", "invoices").items():
        monkeypatch.setenv(f"INVOICES_{part}", value)

    async def story() -> Any:
        engine = connections.mysql("invoices")
        async with engine.connect() as connection:
            found = (await connection.execute(text("SELECT CURRENT_USER()"))).one()
        await engine.dispose()
        return found[0]

    assert loops.run(story()) == "keeper@%"


def is_another(row: dict[str, Any], pid: int) -> bool:
    """Whether a process is ready that is not the one it was."""
    return bool(row["ready"]) and row["pid"] not in (None, pid)


def test_what_was_committed_survives_a_kill(stores: Stores) -> None:
    """The row written just before is there."""
    with entered(stores, "keeper", "invoices") as session:
        ran(session, "CREATE TABLE IF NOT EXISTS invoice (id INT PRIMARY KEY)")
        ran(session, "REPLACE INTO invoice VALUES (7)")
        pid = stores.rig.pid("bills-0")
        kill(pid)
    wait_for("another server", lambda: is_another(stores.rig.rows()["bills-0"], pid))
    with entered(stores, "reader", "invoices") as session:
        assert ran(session, "SELECT id FROM invoice") == [(7,)]


def test_an_access_is_narrowed_and_an_edge_removed_with_their_sessions(stores: Stores) -> None:
    """Nothing restarts; what is left still works."""
    pid = stores.rig.pid("bills-0")
    clerk, reader = entered(stores, "clerk", "invoices"), entered(stores, "reader", "archive")
    try:
        stores.up(BILLS, {**USES, "clerk": {"invoices": "read"}, "reader": {"invoices": "read"}})
        for session in (clerk, reader):
            with pytest.raises(pymysql.MySQLError):
                ran(session, "SELECT 1")
        with entered(stores, "clerk", "invoices") as session:
            ran(session, "SHOW TABLES")
            with pytest.raises(pymysql.MySQLError):
                ran(session, "INSERT INTO invoice VALUES (8)")
        assert [check for check in prove(stores.proofs()) if not check.ok] == []
        assert stores.rig.pid("bills-0") == pid
    finally:
        stores.up(BILLS, USES)


def test_a_database_comes_live_and_stays_when_it_is_taken_out(stores: Stores) -> None:
    """Its data is kept, and nobody may enter."""
    more: Declared = {"bills": ("mysql", {"size": "small", "databases": ("invoices", "archive", "drafts")})}
    stores.up(more, {**USES, "keeper": {"invoices": "own", "drafts": "own"}})
    with entered(stores, "keeper", "drafts") as session:
        ran(session, "CREATE TABLE draft (id INT PRIMARY KEY)")
    stores.up(BILLS, USES)
    stores.up(more, {**USES, "keeper": {"invoices": "own", "drafts": "read"}})
    with entered(stores, "keeper", "drafts") as session:
        assert ran(session, "SHOW TABLES") == [("draft",)]
    stores.up(BILLS, USES)
