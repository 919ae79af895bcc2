"""MongoDB: one server, or a replica set, with its databases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field

from greenfield.model.binding import Binding, Where
from greenfield.model.component import Component, Context
from greenfield.model.content import text
from greenfield.model.plan import Edge, Parity, Part, Resource
from greenfield.programs.databases import Databases, behind, database_parts
from greenfield.programs.quantities import Size, TierName

CLIENT_PORT = "client"
"""The listener of services: TLS with a client certificate."""

RESERVED = frozenset({"admin", "local", "config", "root", "test"})
"""What the server keeps for itself: its own databases, its first account, and where a client lands without a name."""


class Settings(BaseModel):
    """A MongoDB server or replica set."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    kind: Literal["mongodb"] = "mongodb"
    """What it is."""
    nodes: Literal[1, 3, 5, 7] = 1
    """How many servers: 1, 3, 5 or 7, because an even number outvotes no more losses than one less."""
    size: TierName = "large"
    """The tier of each server. The cache of the storage engine follows from it."""
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
    """The members of the replica set; the first is the primary until they vote otherwise."""
    yield Resource(
        name=name,
        kind="mongodb",
        members=context.members(name, settings.nodes, lambda index: "secondary" if index else "primary"),
        settings=settings,
        identity=context.platform_identity(name),
        parts=tuple(parts(name, settings)),
        parity=Parity(
            "stand-in",
            "here it is mongo-java-server, or one mongod where PATH has it: no transactions, no change streams, no "
            "replica set",
        ),
    )


def database_name(part: str) -> str:
    """The name of the database behind a part."""
    return behind(part, RESERVED)


def binding(resource: Resource, edge: Edge, where: Where) -> Binding:
    """A URL as pymongo reads it: the certificate is the login, and the server's is verified.

    One server is spoken to directly; of several, the driver finds the primary.
    """
    seeds = where.addresses(resource, CLIENT_PORT)
    host, port = where.address(resource, CLIENT_PORT)
    leaf, name = where.leaf(edge.source, resource), database_name(edge.target)
    options = {
        "tls": "true",
        "tlsCAFile": leaf.ca,
        "tlsCertificateKeyFile": leaf.pem,
        "authMechanism": "MONGODB-X509",
        "authSource": "$external",
    }
    options |= {"replicaSet": resource.name} if len(resource.members) > 1 else {"directConnection": "true"}
    wiring = {
        "HOST": host,
        "PORT": str(port),
        "DATABASE": name,
        "TLS_CA": leaf.ca,
        "TLS_CERT": leaf.certificate,
        "TLS_KEY": leaf.key,
        "TLS_PEM": leaf.pem,
    }
    listed = ",".join(f"{host}:{port}" for host, port in seeds)
    return Binding(
        url=text(f"mongodb://{listed}/{name}?{urlencode(options, quote_via=quote)}"),
        parts={suffix: text(value) for suffix, value in wiring.items()},
    )


COMPONENT = Component(
    kind="mongodb",
    package=__name__,
    settings=Settings,
    plan=plan,
    section="datastores",
    parts=parts,
    binding=binding,
    reserved=RESERVED,
)
