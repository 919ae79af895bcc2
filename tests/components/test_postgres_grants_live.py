"""The script of grants for Kubernetes, run by a real psql on a real server: what it opens, what it ends, twice over.

What the operator does there, the roles and databases, is done here as the manifests say.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from components.on_kubernetes import Rendered, rendered
from components.store_platform import Stores
from greenfield.components import postgres
from greenfield.components.postgres.local import POSTGRESQL
from greenfield.components.postgres.roles import ADMINISTRATOR
from greenfield.components.postgres.tasks import connect
from greenfield.model.binding import Leaf

pytestmark = pytest.mark.e2e

SETTINGS = {"size": "small", "databases": ("ledger", "archive")}
USES = {"keeper": {"ledger": "own", "archive": "read"}, "clerk": {"ledger": "write"}, "reader": {"ledger": "read"}}
Connection = psycopg.Connection[tuple[Any, ...]]


class Server:
    """A running server, to which manifests are applied as the operator would."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        (member,) = stores.plan.resource("store").members
        self.host, self.port = stores.site.ports[f"{member.name}/client"]

    def apply(self, wanted: Rendered) -> None:
        """Roles and databases, then the Jobs."""
        specs = [each["spec"] for each in wanted.manifests.values() if each["kind"] == "DatabaseRole"]
        with self.administrator("template1") as session:
            for spec in specs:
                self._role(session, spec)
            for each in wanted.manifests.values():
                if each["kind"] == "Database":
                    self._database(session, each["spec"])
        for each in wanted.manifests.values():
            if each["kind"] == "ConfigMap":
                job = wanted.manifests[f"Job/{each['metadata']['name']}"]
                self._psql(job, each["data"]["grants.sql"])

    def administrator(self, database: str) -> Connection:
        """The administrator's session."""
        leaf = self.stores.site.leaves["store-admin"]
        tls = {"ca": leaf.ca, "certificate": leaf.certificate, "key": leaf.key}
        return connect({"server": {"host": self.host, "port": self.port}, "tls": tls}, database)

    def entered(self, service: str, database: str) -> Connection:
        """A service's session, as its wiring says."""
        leaf: Leaf = self.stores.service_leaf(service)
        return psycopg.connect(
            host=self.host, port=self.port, dbname=database, user=service, autocommit=True,
            sslmode="verify-full", sslrootcert=leaf.ca, sslcert=leaf.certificate, sslkey=leaf.key,
        )  # fmt: skip

    def _role(self, session: Connection, spec: Mapping[str, Any]) -> None:
        name, held = spec["name"], spec.get("inRoles", [])
        present = session.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
        words = f"LOGIN {'SUPERUSER' if spec.get('superuser') else ''}" if spec["login"] else "NOLOGIN"
        verb = "ALTER" if present else "CREATE"
        session.execute(sql.SQL(f"{verb} ROLE {{}} {words}").format(sql.Identifier(name)))
        rows = session.execute(
            "SELECT held.rolname FROM pg_auth_members JOIN pg_roles held ON held.oid = roleid "
            "JOIN pg_roles member ON member.oid = member WHERE member.rolname = %s",
            (name,),
        ).fetchall()
        for verb, word, roles in (("GRANT", "TO", held), ("REVOKE", "FROM", {row[0] for row in rows} - {*held})):
            for role in roles:
                statement = sql.SQL(f"{verb} {{}} {word} {{}}").format(sql.Identifier(role), sql.Identifier(name))
                session.execute(statement)

    def _database(self, session: Connection, spec: Mapping[str, Any]) -> None:
        names = {row[0] for row in session.execute("SELECT datname FROM pg_database").fetchall()}
        if spec["name"] not in names:
            created = "CREATE DATABASE {} OWNER {} TEMPLATE template0"
            session.execute(sql.SQL(created).format(sql.Identifier(spec["name"]), sql.Identifier(spec["owner"])))

    def _psql(self, job: Mapping[str, Any], script: str) -> None:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        leaf, programs = self.stores.site.leaves["store-admin"], self.stores.site.tools[POSTGRESQL.name]
        login = {each["name"]: each["value"] for each in container["env"]}
        login |= {"PGHOST": self.host, "PGPORT": str(self.port)}
        login |= {"PGSSLROOTCERT": leaf.ca, "PGSSLCERT": leaf.certificate, "PGSSLKEY": leaf.key}
        file = Path(self.stores.site.scratch, "grants.sql")
        file.write_text(script)
        argv = [programs.programs["psql"], *container["command"][1:-1], f"--file={file}"]
        environment = {"PATH": os.environ["PATH"], **programs.environment, **login}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert "ERROR" not in done.stderr


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that knows nobody but its administrator, into whose databases services are let."""
    stores = Stores(tmp_path, postgres.COMPONENT)
    try:
        stores.up({"store": ("postgres", SETTINGS)}, {service: {} for service in USES})
        yield Server(stores)
    finally:
        stores.close()


def wanted(uses: Mapping[str, Mapping[str, str]]) -> Rendered:
    """The manifests of these edges."""
    return rendered("postgres", SETTINGS, uses)


def refused(session: Connection, statement: str) -> bool:
    """Whether the server says no."""
    try:
        session.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False


def test_each_access_opens_what_it_says(server: Server) -> None:
    """Owners make, writers change, readers read; what belongs to an owner belongs to all owners."""
    server.apply(wanted(USES))
    with server.entered("keeper", "ledger") as keeper:
        keeper.execute("CREATE TABLE entry (id serial PRIMARY KEY, amount int)")
        owner = keeper.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'entry'").fetchone()
        assert owner == ("ledger:own",)
        assert refused(keeper, "DROP DATABASE archive")
    with server.entered("clerk", "ledger") as clerk:
        clerk.execute("INSERT INTO entry (amount) VALUES (1)")
        assert refused(clerk, "DROP TABLE entry")
        assert refused(clerk, "CREATE TABLE other ()")
    with server.entered("reader", "ledger") as reader:
        assert reader.execute("SELECT count(*) FROM entry").fetchone() == (1,)
        assert refused(reader, "DELETE FROM entry")
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf"):
        server.entered("reader", "archive")


def test_running_it_again_changes_nothing(server: Server) -> None:
    """A Job that is repeated ends no session of those who may stay."""
    server.apply(wanted(USES))
    with server.entered("keeper", "ledger") as keeper, server.entered("reader", "ledger") as reader:
        server.apply(wanted(USES))
        assert keeper.execute("SELECT current_user").fetchone() == ("ledger:own",)
        assert reader.execute("SELECT 1").fetchone() == (1,)


def test_an_edge_that_is_gone_ends_its_sessions_and_one_that_is_weaker_acts_no_more(server: Server) -> None:
    """The stranger's session is over; the former owner's, too, and a new one only reads."""
    server.apply(wanted(USES))
    clerk, keeper, reader = (server.entered(name, "ledger") for name in ("clerk", "keeper", "reader"))
    with keeper:
        keeper.execute("CREATE TABLE entry ()")
        fewer = {"keeper": {"ledger": "read", "archive": "read"}, "reader": {"ledger": "read"}}
        server.apply(wanted(fewer))
        assert ended(clerk)
        assert ended(keeper)
    assert reader.execute("SELECT 1").fetchone() == (1,)
    reader.close()
    with server.entered("keeper", "ledger") as again:
        assert again.execute("SELECT current_user").fetchone() == ("keeper",)
        assert refused(again, "DROP TABLE entry")


def test_a_public_schema_that_its_owners_dropped_stays_away(server: Server) -> None:
    """The script asks before it speaks of it."""
    server.apply(wanted(USES))
    with server.entered("keeper", "ledger") as keeper:
        keeper.execute("DROP SCHEMA public")
    server.apply(wanted({**USES, "clerk": {"ledger": "read"}}))
    with server.administrator("ledger") as session:
        assert session.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'public'").fetchone() is None
        assert session.execute("SELECT current_user").fetchone() == (ADMINISTRATOR,)


def ended(session: Connection) -> bool:
    """Whether the server has closed it."""
    try:
        session.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False
