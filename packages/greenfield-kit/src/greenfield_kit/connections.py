"""Typed connections from the wiring in the environment: ``<NAME>_URL`` and its parts, as the platform sets them.

Drivers are imported by the function that needs one, so that a service pays for what it uses.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from pymongo import AsyncMongoClient
    from pymongo.monitoring import CommandListener
    from redis.asyncio import Redis
    from sqlalchemy.ext.asyncio import AsyncEngine

POOL_SIZE = 5  # connections a process keeps to a database; the server's limit is shared by all replicas
CONNECT_S = 5.0
CACHE_ANSWER_S = 0.25  # a cache that answers later than this is no help


class WiringError(LookupError):
    """Something that the service uses is not wired: the declaration lacks the edge, or it was started by hand."""


@dataclass(frozen=True)
class Wiring:
    """The variables of one used name. Its values may be secrets and do not show in ``repr``."""

    name: str
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def __getitem__(self, part: str) -> str:
        """The value of ``<NAME>_<PART>``; WiringError where it is not set."""
        variable = f"{self.name.replace('-', '_').upper()}_{part}"
        try:
            return self.environment[variable]
        except KeyError:
            raise WiringError(
                f"{variable} is not set: {self.name!r} is not wired to this service. "
                f"Add it to the service's `uses` in greenfield.yaml, or start by `greenfield run`."
            ) from None

    def get(self, part: str, default: str = "") -> str:
        """The value of a part, or the default."""
        return self.environment.get(f"{self.name.replace('-', '_').upper()}_{part}", default)


def postgres(name: str, *, pool_size: int = POOL_SIZE) -> AsyncEngine:
    """An SQLAlchemy engine on psycopg 3. Connections are checked before use, so a restarted server costs no request."""
    from sqlalchemy.ext.asyncio import create_async_engine

    url = Wiring(name)["URL"].replace("postgresql://", "postgresql+psycopg://", 1)
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        pool_timeout=CONNECT_S,
        connect_args={"connect_timeout": int(CONNECT_S)},
        hide_parameters=True,
    )


def mysql(name: str, *, pool_size: int = POOL_SIZE) -> AsyncEngine:
    """An SQLAlchemy engine on aiomysql, with the same promises as ``postgres``."""
    import ssl

    from sqlalchemy import make_url
    from sqlalchemy.ext.asyncio import create_async_engine

    wiring = Wiring(name)
    tls = ssl.create_default_context(cafile=wiring["TLS_CA"])
    tls.load_cert_chain(wiring["TLS_CERT"], wiring["TLS_KEY"])
    return create_async_engine(
        make_url(wiring["URL"]).set(drivername="mysql+aiomysql", query={}),
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        pool_timeout=CONNECT_S,
        connect_args={"ssl": tls, "connect_timeout": CONNECT_S},
        hide_parameters=True,
    )


def mongodb(
    name: str, *, pool_size: int = POOL_SIZE, listeners: Sequence[CommandListener] = ()
) -> AsyncMongoClient[dict[str, Any]]:
    """A client of MongoDB; its ``get_default_database()`` is the one of that name. ``listeners`` hear each command."""
    from pymongo import AsyncMongoClient as Client

    patience = int(CONNECT_S * 1000)
    return Client(
        Wiring(name)["URL"],
        maxPoolSize=pool_size,
        serverSelectionTimeoutMS=patience,
        connectTimeoutMS=patience,
        waitQueueTimeoutMS=patience,
        tz_aware=True,
        event_listeners=listeners,
        retryWrites=False,  # the platform's own stand-in has no sessions, which they need
    )


def redis(name: str, *, answer_s: float = CACHE_ANSWER_S) -> Redis:
    """A redis client whose every answer comes within ``answer_s`` seconds, or a TimeoutError does.

    Few connections serve many requests, in turn: a burst opens no storm of them.
    """
    from redis.asyncio import Redis as Client

    from greenfield_kit.pool import TurnsPool

    pool = TurnsPool.from_url(
        Wiring(name)["URL"],
        max_connections=POOL_SIZE,
        socket_timeout=answer_s,
        socket_connect_timeout=1.0,
        health_check_interval=30,
    )
    return Client.from_pool(pool)


def kafka(name: str) -> dict[str, str | int]:
    """Settings of a Kafka client for a topic: addresses and certificates, as confluent-kafka reads them."""
    wiring = Wiring(name)
    return {
        "bootstrap.servers": wiring["BOOTSTRAP_SERVERS"],
        "security.protocol": "ssl",
        "ssl.ca.location": wiring["TLS_CA"],
        "ssl.certificate.location": wiring["TLS_CERT"],
        "ssl.key.location": wiring["TLS_KEY"],
        "reconnect.backoff.max.ms": 2000,
        "topic.metadata.refresh.fast.interval.ms": 200,
        "log_level": 3,
    }
