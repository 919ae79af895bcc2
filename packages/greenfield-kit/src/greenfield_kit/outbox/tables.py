"""The two tables of an outbox, made by the service's own migration: what waits, and what is kept aside."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable, DropTable

_MYSQL = ("mysql", "mariadb")
_KEY = sa.Text().with_variant(mysql.TEXT(charset="utf8mb4", collation="utf8mb4_bin"), *_MYSQL)
_VALUE = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), *_MYSQL)
_TIME = sa.TIMESTAMP(timezone=True).with_variant(mysql.TIMESTAMP(fsp=6), *_MYSQL)


class Tables(NamedTuple):
    """``waiting`` holds what is to be published, in the order of ``id``; a row is deleted once Kafka has it.

    ``aside`` holds what Kafka refuses, each with its ``reason``, and what came later under the same key, without one.
    """

    waiting: sa.Table
    aside: sa.Table


class Migration(Protocol):
    """What Alembic's ``op`` can do, as much as is needed of it."""

    def execute(self, sqltext: Any) -> Any:
        """Runs a statement."""


def tables(name: str, metadata: sa.MetaData) -> Tables:
    """The tables of the outbox for a topic, as part of ``metadata``: Alembic's autogenerate finds them there."""
    prefix = f"{name.replace('-', '_')}_outbox"
    identity = sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True)
    waiting = sa.Table(prefix, metadata, identity, *_message())
    number = sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False)
    reason = sa.Column("reason", sa.Text)
    aside = sa.Table(f"{prefix}_aside", metadata, number, *_message(), reason)
    return Tables(waiting, aside)


def create(op: Migration, name: str) -> None:
    """Creates both tables where they are not there, in the migration of whoever writes the messages."""
    for table in tables(name, sa.MetaData()):
        op.execute(CreateTable(table, if_not_exists=True))


def drop(op: Migration, name: str) -> None:
    """Drops both tables, with whatever still waits in them."""
    for table in tables(name, sa.MetaData()):
        op.execute(DropTable(table, if_exists=True))


def _message() -> list[sa.Column[Any]]:
    return [
        sa.Column("message_key", _KEY, nullable=False),
        sa.Column("value", _VALUE, nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("written_at", _TIME, server_default=sa.text("CURRENT_TIMESTAMP(6)"), nullable=False),
    ]
