"""PostgreSQL: one server, or a cluster of a primary and its standbys, with its databases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal
from urllib.parse import quote, urlencode

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from greenfield.model.binding import Binding, Where
from greenfield.model.component import Component, Context
from greenfield.model.content import text
from greenfield.model.plan import Edge, Parity, Part, Plan, Resource, Sum
from greenfield.programs import etcd
from greenfield.programs.databases import Databases, behind, database_parts, sessions
from greenfield.programs.quantities import Size, TierName

CLIENT_PORT = "client"
"""The only listener: TLS, for services and for the platform's own tasks."""


CONNECTIONS: Mapping[TierName, int] = {"small": 60, "medium": 100, "large": 200, "xlarge": 400}
"""How many sessions a server of a size takes at once."""
ADMINISTRATORS = 3
"""How many of them are the administrator's: the server's own default."""

RESERVED = frozenset({"postgres", "template0", "template1", "replication", "public", "none", "admin", "root"})
"""What the server keeps for itself: its first databases, words that stand for no role, and two that mislead."""


def _nodes(value: int) -> int:
    if value != 1 and not 3 <= value <= 7:
        raise ValueError(f"postgres runs on 1 node or on 3 to 7, not on {value}: two cannot outvote a lost one")
    return value


class Settings(BaseModel):
    """A PostgreSQL server or cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    kind: Literal["postgres"] = "postgres"
    """What it is."""
    nodes: Annotated[int, AfterValidator(_nodes)] = 1
    """How many servers: 1, or 3 to 7, of which one is the primary and the others follow it."""
    size: TierName = "large"
    """The tier of each server. Buffers and the number of connections follow from it."""
    storage: Size = "10Gi"
    """The volume of each server."""
    storage_class: str | None = Field(default=None, alias="class")
    """The storage class of the volumes; None: the cluster's default."""
    databases: Databases | None = None
    """The databases; without it, one of the store's own name. One that is taken out is kept, and nobody may enter."""
    backup: str | None = Field(default=None, pattern=r"^(s3|gs)://[^\s]+$")
    """Where base backups and the log go on Kubernetes, such as ``s3://bucket/path``; None: no backups."""


def parts(name: str, settings: Settings) -> Iterable[Part]:
    """Every database can be read, written and owned."""
    return database_parts(name, settings.databases)


def plan(name: str, settings: Settings, context: Context) -> Iterable[Resource]:
    """The servers, and for more than one the ensemble that elects their primary."""
    ensemble = f"{name}-{etcd.KIND}"
    clustered = settings.nodes > 1
    yield Resource(
        name=name,
        kind="postgres",
        members=context.members(name, settings.nodes, lambda index: "replica" if index else "primary"),
        settings=settings,
        identity=context.platform_identity(name),
        parts=tuple(parts(name, settings)),
        parity=Parity("real", "here it is PostgreSQL 15, on Kubernetes 18"),
        needs=(ensemble,) if clustered else (),
    )
    if clustered:
        yield Resource(
            name=ensemble,
            kind=etcd.KIND,
            members=context.members(ensemble, etcd.VOTERS),
            settings=etcd.EnsembleSettings(storage_class=settings.storage_class),
            identity=context.platform_identity(ensemble),
            brought_by=name,
        )


def database_name(part: str) -> str:
    """The name of the database behind a part."""
    return behind(part, RESERVED)


def binding(resource: Resource, edge: Edge, where: Where) -> Binding:
    """A URL as libpq and psycopg 3 read it: the service's certificate is its login, and the server's is verified."""
    host, port = where.address(resource, CLIENT_PORT)
    leaf = where.leaf(edge.source, resource)
    tls = {"sslmode": "verify-full", "sslrootcert": leaf.ca, "sslcert": leaf.certificate, "sslkey": leaf.key}
    wiring = {
        "HOST": host,
        "PORT": str(port),
        "DATABASE": database_name(edge.target),
        "USERNAME": edge.source,
        "TLS_CA": leaf.ca,
        "TLS_CERT": leaf.certificate,
        "TLS_KEY": leaf.key,
        "TLS_PEM": leaf.pem,
    }
    query = urlencode(tls, quote_via=quote)
    return Binding(
        url=text(f"postgresql://{edge.source}@{host}:{port}/{database_name(edge.target)}?{query}"),
        parts={suffix: text(value) for suffix, value in wiring.items()},
    )


def sums(resource: Resource, plan: Plan) -> Iterable[Sum]:
    """Whether the sessions of its users fit."""
    settings: Settings = resource.settings  # type: ignore[assignment]
    return sessions(resource, plan, CONNECTIONS[settings.size] - ADMINISTRATORS)


COMPONENT = Component(
    kind="postgres",
    package=__name__,
    settings=Settings,
    plan=plan,
    section="datastores",
    parts=parts,
    binding=binding,
    reserved=RESERVED,
    sums=sums,
)
