"""What a statement of SQL asks for."""

from __future__ import annotations

import pytest

from greenfield.programs.databases import at_least, sql_access


@pytest.mark.parametrize(
    ("statement", "access"),
    [
        ("SELECT * FROM page", "read"),
        ("  explain (analyze, buffers) select 1", "read"),
        ("EXPLAIN DELETE FROM page", "write"),
        ("explain analyze verbose update page set words = ''", "write"),
        ("ANALYZE page", "own"),
        ("-- the oldest first\nDELETE FROM page", "write"),
        ("WITH old AS (SELECT 1) SELECT * FROM old", "read"),
        ("WITH gone AS (DELETE FROM page RETURNING *) SELECT * FROM gone", "write"),
        ("SELECT * FROM page FOR UPDATE SKIP LOCKED", "write"),
        ("select nextval('page_id_seq')", "write"),
        ("INSERT INTO page VALUES ('a')", "write"),
        ("COPY page TO STDOUT", "read"),
        ("COPY page FROM STDIN", "write"),
        ("/* a note */ UPDATE page SET words = ''", "write"),
        ("ALTER TABLE page ADD COLUMN more text", "own"),
        ("TRUNCATE page", "own"),
        ("", "read"),
    ],
)
def test_the_weakest_access_that_allows_a_statement(statement: str, access: str) -> None:
    """By its first word, and what it does on the way."""
    assert sql_access(statement) == access


def test_stronger_accesses_include_weaker_ones() -> None:
    """Weakest first."""
    assert at_least("write") == ("write", "own")
