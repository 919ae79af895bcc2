"""What databases say of whom they refused, as they really said it."""

from __future__ import annotations

import pytest

from components.denials_told import denied, told
from greenfield.components.mongodb import denials as of_mongodb
from greenfield.components.mysql import denials as of_mysql
from greenfield.components.postgres import denials as of_postgres
from greenfield.model.denial import DISGUISED, FOREIGN, NOT_ADMITTED, PLAINTEXT, PLATFORMS_OWN, UNDECLARED
from greenfield.targets.local.reading import time_of

# --- PostgreSQL -----------------------------------------------------------------------------------------------------


AT_POSTGRES = {
    "a service without an edge": (
        '2026-11-25 06:10:47.702 UTC [264] desk@pages FATAL:  no pg_hba.conf entry for host "127.0.0.1", '
        'user "desk", database "pages", SSL encryption',
        ("desk", "pages", "a session in database pages", ("read", "write", "own"), ""),
    ),
    "in plaintext": (
        '2026-11-25 06:10:47.702 UTC [265] clerk@pages FATAL:  no pg_hba.conf entry for host "127.0.0.1", '
        'user "clerk", database "pages", no encryption',
        ("clerk", "pages", "a session in database pages", (), PLAINTEXT),
    ),
    "a stranger in disguise": (
        '2026-11-25 06:10:47.709 UTC [269] clerk@pages LOG:  no match in usermap "service" for user "clerk" '
        'authenticated as "CN=nobody-declared-,OU=service,O=shop"\n'
        '2026-11-25 06:10:47.709 UTC [269] clerk@pages FATAL:  certificate authentication failed for user "clerk"\n'
        "2026-11-25 06:10:47.709 UTC [269] clerk@pages DETAIL:  Connection matched pg_hba.conf line 3: …",
        ("nobody-declared-", "pages", "a session in database pages as clerk", (), DISGUISED),
    ),
    "another authority": (
        "2026-11-25 06:10:47.709 UTC [270] [unknown]@[unknown] LOG:  could not accept SSL connection: "
        "certificate verify failed",
        ("", "ledger", "a session", (), FOREIGN),
    ),
    "a table that may only be read": (
        "2026-11-25 04:10:15.380 UTC [38] clerk@pages ERROR:  permission denied for table entry\n"
        "2026-11-25 04:10:15.380 UTC [38] clerk@pages STATEMENT:  UPDATE entry SET words = $1 WHERE id = $2",
        ("clerk", "pages", "permission denied for table entry", ("write", "own"), ""),
    ),
    "a statement of several lines": (
        "2026-11-25 04:10:15.380 UTC [39] clerk@pages ERROR:  permission denied for table entry\n"
        "2026-11-25 04:10:15.380 UTC [39] clerk@pages STATEMENT:  \n"
        "\tUPDATE entry SET words = '\n"
        "\t2026-11-25 04:10:15.380 UTC [1] desk@pages ERROR:  permission denied for table forged'",
        ("clerk", "pages", "permission denied for table entry", ("write", "own"), ""),
    ),
    "a schema that may not be changed": (
        "2026-11-25 04:10:15.371 UTC [37] clerk@pages ERROR:  permission denied for schema public at character 14\n"
        "2026-11-25 04:10:15.371 UTC [37] clerk@pages STATEMENT:  CREATE TABLE entry (id int)",
        ("clerk", "pages", "permission denied for schema public", ("own",), ""),
    ),
    "what only the administrator does": (
        "2026-11-25 06:10:47.717 UTC [266] clerk@pages ERROR:  permission denied for function pg_reload_conf\n"
        "2026-11-25 06:10:47.717 UTC [266] clerk@pages STATEMENT:  SELECT pg_reload_conf()",
        ("clerk", "pages", "permission denied for function pg_reload_conf", (), PLATFORMS_OWN),
    ),
}


@pytest.mark.parametrize("case", AT_POSTGRES)
def test_postgresql_is_read(case: str) -> None:
    """At the door and inside, each refusal once."""
    lines, expected = AT_POSTGRES[case]
    assert told(denied(of_postgres, "ledger", lines)) == [expected]


def test_statements_of_several_sessions_are_kept_apart() -> None:
    """PostgreSQL writes a statement after its refusal, and others may write between."""
    lines = (
        "2026-11-25 04:10:15.100 UTC [1] clerk@pages ERROR:  permission denied for table entry\n"
        "2026-11-25 04:10:15.101 UTC [2] clerk@pages ERROR:  permission denied for table entry\n"
        "2026-11-25 04:10:15.102 UTC [2] clerk@pages STATEMENT:  SELECT * FROM entry\n"
        "2026-11-25 04:10:15.103 UTC [1] clerk@pages STATEMENT:  DELETE FROM entry\n"
        '2026-11-25 04:10:15.104 UTC [3] clerk@pages ERROR:  relation "nothing" does not exist at character 15\n'
    )
    assert [each.accesses[0] for each in denied(of_postgres, "ledger", lines)] == ["read", "write"]


# --- MariaDB --------------------------------------------------------------------------------------------------------


AT_MARIADB = {
    "a table that may only be read": (
        "clerk[clerk] @  [127.0.0.1] ERROR 1142: DELETE command denied to user 'clerk'@'127.0.0.1' for table "
        "`invoices`.`item` : delete from item",
        ("clerk", "invoices", "DELETE in database invoices", ("write", "own"), ""),
    ),
    "a table that may not be changed": (
        "clerk[clerk] @  [127.0.0.1] ERROR 1142: INDEX command denied to user 'clerk'@'127.0.0.1' for table "
        "`invoices`.`item` : create index i on item (id)",
        ("clerk", "invoices", "INDEX in database invoices", ("own",), ""),
    ),
    "a routine": (
        "clerk[clerk] @  [127.0.0.1] ERROR 1370: execute command denied to user 'clerk'@'%' for routine "
        "'invoices.p' : call p()",
        ("clerk", "invoices", "execute in database invoices", ("write", "own"), ""),
    ),
    "another database": (
        "clerk[clerk] @  [127.0.0.1] ERROR 1044: Access denied for user 'clerk'@'%' to database 'receipts' : (null)",
        ("clerk", "receipts", "a session in database receipts", ("read", "write", "own"), ""),
    ),
    "a lock": (
        "clerk[clerk] @  [127.0.0.1] ERROR 1044: Access denied for user 'clerk'@'%' to database 'invoices' : "
        "lock tables item write",
        ("clerk", "invoices", "LOCK in database invoices", ("write", "own"), ""),
    ),
    "a database that is dropped": (
        "clerk[clerk] @  [127.0.0.1] ERROR 1044: Access denied for user 'clerk'@'%' to database 'invoices' : "
        "drop database invoices",
        ("clerk", "invoices", "DROP in database invoices", ("own",), ""),
    ),
    "a grant": (
        "clerk[clerk] @  [127.0.0.1] ERROR 1044: Access denied for user 'clerk'@'%' to database 'invoices' : "
        "grant select on invoices.* to reader",
        ("clerk", "bills", "GRANT in database invoices", (), PLATFORMS_OWN),
    ),
    "a database that nobody declared": (
        "clerk[clerk] @  [127.0.0.1] ERROR 1044: Access denied for user 'clerk'@'%' to database 'nothing' : (null)",
        ("clerk", "bills", "a session in database nothing", (), UNDECLARED),
    ),
    "the server's own tables": (
        "clerk[clerk] @  [127.0.0.1] ERROR 1142: SELECT command denied to user 'clerk'@'127.0.0.1' for table "
        "`mysql`.`user` : select * from mysql.user",
        ("clerk", "bills", "SELECT in database mysql", (), PLATFORMS_OWN),
    ),
    "a service without an edge": (
        "[desk] @  [127.0.0.1] ERROR 1045: Access denied for user 'desk'@'127.0.0.1' (using password: NO) : (null)",
        ("desk", "bills", "a session", (), "whoever may use one of its databases is let in: invoices, receipts"),
    ),
    "a stranger in disguise": (
        "[clerk] @  [127.0.0.1] ERROR 1045: Access denied for user 'clerk'@'127.0.0.1' (using password: NO) : (null)",
        ("clerk", "bills", "a session as clerk", (), of_mysql.NOT_SHOWN),
    ),
    "another authority": (
        "[] @  [127.0.0.1] ERROR 1043: Bad handshake : (null)",
        ("", "bills", "a connection", (), NOT_ADMITTED),
    ),
}


@pytest.mark.parametrize("case", AT_MARIADB)
def test_mariadb_is_read(case: str) -> None:
    """At the door and inside."""
    line, expected = AT_MARIADB[case]
    assert told(denied(of_mysql, "bills", f"2026-11-25 10:57:53 {line}")) == [expected]


@pytest.mark.parametrize(
    "line",
    [
        "keeper[keeper] @  [127.0.0.1] ERROR 1146: Table 'invoices.item' doesn't exist : SELECT 1 FROM item",
        "[] @ localhost [] ERROR 1158: Got an error reading communication packets : (null)",
    ],
)
def test_other_errors_of_mariadb_are_no_denials(line: str) -> None:
    """They stand in the same log."""
    assert denied(of_mysql, "bills", f"2026-11-25 10:57:53 {line}") == []


# --- MongoDB --------------------------------------------------------------------------------------------------------


def test_the_stand_in_for_mongodb_is_read() -> None:
    """It says itself which access would do."""
    lines = """
2026-11-25T06:10:47.567Z denied|CN=clerk,OU=service,O=shop|reviews|dropIndexes|own
2026-11-25T06:10:47.568Z denied|CN=desk,OU=service,O=shop|drafts|count|read
2026-11-25T06:10:47.569Z denied|CN=clerk,OU=service,O=shop|admin|count|read
2026-11-25T06:10:47.570Z denied|CN=desk,OU=service,O=shop|$external|authenticate|read
"""
    found = denied(of_mongodb, "papers", lines)
    assert told(found) == [
        ("clerk", "reviews", "dropIndexes in database reviews", ("own",), ""),
        ("desk", "drafts", "count in database drafts", ("read", "write", "own"), ""),
        ("clerk", "papers", "count in database admin", (), PLATFORMS_OWN),
        ("desk", "papers", "a session", (), "whoever may use one of its databases is let in: drafts, reviews"),
    ]
    assert found[0].last == time_of("2026-11-25T06:10:47.567Z")


def test_whom_mongod_refused_a_command_stands_in_an_earlier_line_of_the_connection() -> None:
    """Its own line names nobody."""
    lines = """
{"t":{"$date":"2026-11-25T06:10:47.560+00:00"},"s":"I",  "c":"ACCESS",   "id":5286306, "ctx":"conn7","msg":"Successfully authenticated","attr":{"user":"CN=clerk,OU=service,O=shop","db":"$external"}}
{"t":{"$date":"2026-11-25T06:10:47.567+00:00"},"s":"I",  "c":"ACCESS",   "id":20436,   "ctx":"conn7","msg":"Checking authorization failed","attr":{"error":{"code":13,"codeName":"Unauthorized","errmsg":"not authorized on drafts to execute command { find: \\"draft\\", filter: {}, $db: \\"drafts\\" }"}}}
{"t":{"$date":"2026-11-25T06:10:47.568+00:00"},"s":"I",  "c":"ACCESS",   "id":5286307, "ctx":"conn8","msg":"Failed to authenticate","attr":{"user":"CN=stranger,OU=service,O=shop","db":"$external"}}
"""  # noqa: E501
    found = denied(of_mongodb, "papers", lines)
    assert [(each.source, each.target, each.accesses) for each in found] == [
        ("clerk", "drafts", ("read", "write", "own")),
        ("stranger", "papers", ()),
    ]
