"""MySQL, by MariaDB: one writer and its semi-synchronous replicas, with their databases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal
from urllib.parse import quote, urlencode

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from greenfield.model.binding import Binding, Where
from greenfield.model.component import Component, Context
from greenfield.model.content import text
from greenfield.model.plan import Edge, Parity, Part, Plan, Resource, Sum
from greenfield.programs.databases import Databases, behind, database_parts, sessions
from greenfield.programs.quantities import Size, TierName

CLIENT_PORT = "client"
"""The listener of services: TLS with a client certificate."""

CONNECTIONS: Mapping[TierName, int] = {"small": 60, "medium": 100, "large": 200, "xlarge": 400}
"""How many sessions a server of a size takes at once."""

RESERVED = frozenset(
    {"mysql", "mariadb", "sys", "information-schema", "performance-schema", "root", "admin", "public", "test"}
)
"""What the server keeps for itself: its own schemas, its accounts and roles."""


def _nodes(value: int) -> int:
    if value != 1 and not 3 <= value <= 9:
        raise ValueError(f"mysql runs on 1 node or on 3 to 9, not on {value}: two cannot outvote a lost one")
    return value


class Settings(BaseModel):
    """A MariaDB server, or a writer with its replicas."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    kind: Literal["mysql"] = "mysql"
    """What it is."""
    nodes: Annotated[int, AfterValidator(_nodes)] = 1
    """How many servers: 1, or 3 to 9, of which one takes all writes and the others follow it."""
    size: TierName = "large"
    """The tier of each server. Buffers and the number of connections follow from it."""
    storage: Size = "10Gi"
    """The volume of each server."""
    storage_class: str | None = Field(default=None, alias="class")
    """The storage class of the volumes; None: the cluster's default."""
    databases: Databases | None = None
    """The databases; without it, one of the store's own name. One that is taken out is kept, and nobody may enter."""


def parts(name: str, settings: Settings) -> Iterable[Part]:
    """Every database can be read, written and owned."""
    return database_parts(name, settings.databases)


def plan(name: str, settings: Settings, context: Context) -> Iterable[Resource]:
    """The writer and its replicas."""
    yield Resource(
        name=name,
        kind="mysql",
        members=context.members(name, settings.nodes, lambda index: "replica" if index else "primary"),
        settings=settings,
        identity=context.platform_identity(name),
        parts=tuple(parts(name, settings)),
        parity=Parity("real", "here it is MariaDB 10.11, on Kubernetes 11.8"),
    )


def database_name(part: str) -> str:
    """The name of the database behind a part."""
    return behind(part, RESERVED)


def binding(resource: Resource, edge: Edge, where: Where) -> Binding:
    """A URL as SQLAlchemy reads it for PyMySQL: the certificate is the login, and the server's is verified.

    No two MySQL drivers agree on TLS in a URL; for others there are the parts.
    """
    host, port = where.address(resource, CLIENT_PORT)
    leaf, name = where.leaf(edge.source, resource), database_name(edge.target)
    tls = {"ssl_ca": leaf.ca, "ssl_cert": leaf.certificate, "ssl_key": leaf.key, "ssl_check_hostname": "true"}
    wiring = {
        "HOST": host,
        "PORT": str(port),
        "DATABASE": name,
        "USERNAME": edge.source,
        "TLS_CA": leaf.ca,
        "TLS_CERT": leaf.certificate,
        "TLS_KEY": leaf.key,
        "TLS_PEM": leaf.pem,
    }
    query = urlencode(tls, quote_via=quote)
    return Binding(
        url=text(f"mysql+pymysql://{edge.source}@{host}:{port}/{name}?{query}"),
        parts={suffix: text(value) for suffix, value in wiring.items()},
    )


def sums(resource: Resource, plan: Plan) -> Iterable[Sum]:
    """Whether the sessions of its users fit."""
    settings: Settings = resource.settings  # type: ignore[assignment]
    return sessions(resource, plan, CONNECTIONS[settings.size])


COMPONENT = Component(
    kind="mysql",
    package=__name__,
    settings=Settings,
    plan=plan,
    section="datastores",
    parts=parts,
    binding=binding,
    reserved=RESERVED,
    sums=sums,
)
