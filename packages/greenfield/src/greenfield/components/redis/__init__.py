"""Redis: a cache, one master and its replicas. Each service has keys of its own; nothing lives only here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field

from greenfield.components.redis.users import prefix
from greenfield.model.binding import Binding, Where
from greenfield.model.component import Component, Context
from greenfield.model.content import text
from greenfield.model.plan import Edge, Part, Resource
from greenfield.programs.quantities import Size, TierName

CLIENT_PORT = "client"
"""The only listener: TLS, a client certificate and a password."""


class Settings(BaseModel):
    """A Redis cache."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    kind: Literal["redis"] = "redis"
    """What it is."""
    nodes: int = Field(default=1, ge=1, le=6)
    """How many servers: 1 to 6, the first the master and the others its replicas."""
    size: TierName = "large"
    """The tier of each server. The memory for keys follows from it; beyond that the least recently used keys go."""
    storage: Size = "1Gi"
    """The volume of each server, for the log from which it starts again."""
    storage_class: str | None = Field(default=None, alias="class")
    """The storage class of the volumes; None: the cluster's default."""


def parts(name: str, settings: Settings) -> Iterable[Part]:  # noqa: ARG001
    """The cache itself, which can be read and written."""
    return (Part(name, "cache", ("read", "write")),)


def plan(name: str, settings: Settings, context: Context) -> Iterable[Resource]:
    """A master and its replicas."""
    yield Resource(
        name=name,
        kind="redis",
        members=context.members(name, settings.nodes, lambda index: "replica" if index else "master"),
        settings=settings,
        identity=context.platform_identity(name),
        parts=tuple(parts(name, settings)),
    )


def binding(resource: Resource, edge: Edge, where: Where) -> Binding:
    """A URL as redis-py's ``from_url`` reads it, which verifies host and authority by its own defaults.

    ``PREFIX`` is what the names of the service's own keys and channels begin with.
    """
    host, port = where.address(resource, CLIENT_PORT)
    leaf, credential = where.leaf(edge.source, resource), where.credential(edge.source, resource)
    tls = {"ssl_ca_certs": leaf.ca, "ssl_certfile": leaf.certificate, "ssl_keyfile": leaf.key}
    password = credential.secret.as_form("url")
    wiring = {
        "HOST": host,
        "PORT": str(port),
        "DATABASE": "0",
        "PREFIX": prefix(edge.source),
        "USERNAME": edge.source,
        "PASSWORD_FILE": credential.file,
        "TLS_CA": leaf.ca,
        "TLS_CERT": leaf.certificate,
        "TLS_KEY": leaf.key,
        "TLS_PEM": leaf.pem,
    }
    place, query = f"@{host}:{port}/0", urlencode(tls, quote_via=quote)
    return Binding(
        url=text(f"rediss://{edge.source}:", password, f"{place}?{query}"),
        parts={suffix: text(value) for suffix, value in wiring.items()},
    )


COMPONENT = Component(
    kind="redis",
    package=__name__,
    settings=Settings,
    plan=plan,
    section="datastores",
    parts=parts,
    binding=binding,
    reserved=frozenset({"default", "admin", "replica", "sentinel"}),
)
