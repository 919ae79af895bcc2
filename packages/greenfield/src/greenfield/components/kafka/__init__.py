"""Apache Kafka: brokers and their topics, coordinated by KRaft or by a ZooKeeper ensemble."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from greenfield.model.binding import Binding, Where
from greenfield.model.component import Component, Context
from greenfield.model.content import text
from greenfield.model.plan import Edge, Parity, Part, Plan, Resource, Sum
from greenfield.model.quantity import seconds
from greenfield.programs import zookeeper
from greenfield.programs.quantities import Duration, Size, TierName

CLIENT_PORT = "client"
"""The listener of services; ``internal`` and ``controller`` are the brokers' own."""

_PARITY = (
    "here it is Kafka 3.9, on Kubernetes 4.3, where the operator issues certificates that bear a common name alone, "
    "and no file of certificate and key in one"
)
_VOTERS = 3  # of a quorum, ZooKeeper's or KRaft's: the loss of one is survived; more only slow every commit


def _nodes(value: int) -> int:
    if value != 1 and not 3 <= value <= 9:
        raise ValueError(f"kafka runs on 1 node or on 3 to 9, not on {value}: two brokers cannot outvote a lost one")
    return value


class Topic(BaseModel):
    """One topic."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    partitions: int = Field(default=3, ge=1, le=1000)
    """How many consumers of one group can share the work. May grow later, never shrink."""
    retention: Duration = "7d"
    """How long messages are kept."""

    @property
    def retention_ms(self) -> int:
        """The retention in milliseconds, as Kafka counts."""
        return seconds(self.retention) * 1000


class Settings(BaseModel):
    """A Kafka cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    nodes: Annotated[int, AfterValidator(_nodes)] = 1
    """How many brokers: 1, or 3 to 9."""
    coordination: Literal["kraft", "zookeeper"] = "kraft"
    """Who keeps the cluster's metadata: the brokers themselves, or a ZooKeeper ensemble that is brought along."""
    size: TierName = "large"
    """The tier of each broker."""
    storage: Size = "10Gi"
    """The volume of each broker."""
    storage_class: str | None = Field(default=None, alias="class")
    """The storage class of the volumes; None: the cluster's default."""
    topics: Mapping[str, Topic] = Field(default_factory=dict)
    """The topics by name. One that is taken out keeps its messages, and nobody may read them any more."""


def parts(name: str, settings: Settings) -> Iterable[Part]:  # noqa: ARG001
    """Every topic can be produced to and consumed."""
    return tuple(Part(topic, "topic", ("consume", "produce")) for topic in settings.topics)


def plan(name: str, settings: Settings, context: Context) -> Iterable[Resource]:
    """The brokers, and with ``coordination: zookeeper`` the ensemble they need."""
    ensemble = f"{name}-{zookeeper.KIND}"
    brought = settings.coordination == "zookeeper"
    yield Resource(
        name=name,
        kind="kafka",
        members=context.members(name, settings.nodes, lambda index: _role(settings, index)),
        settings=settings,
        identity=context.platform_identity(name),
        parts=tuple(parts(name, settings)),
        needs=(ensemble,) if brought else (),
        parity=Parity("real", _PARITY),
    )
    if brought:
        yield Resource(
            name=ensemble,
            kind=zookeeper.KIND,
            members=context.members(ensemble, min(settings.nodes, _VOTERS)),
            settings=zookeeper.EnsembleSettings(storage_class=settings.storage_class),
            identity=context.platform_identity(ensemble),
            parity=Parity("real", "on Kubernetes the operator runs Kafka by KRaft, so there is no ensemble"),
            brought_by=name,
        )


def dead_letters(topic: str, consumer: str) -> str:
    """The topic of what a consumer of a topic could not handle: with dots, which no declared name holds.

    At most 94 characters; Kafka takes 249, and an object of Kubernetes 253.
    """
    return f"{topic}.{consumer}.dead-letters"


def _role(settings: Settings, index: int) -> str:
    return "broker,controller" if settings.coordination == "kraft" and index < _VOTERS else "broker"


def binding(resource: Resource, edge: Edge, where: Where) -> Binding:
    """``kafka://host:port,…/topic``, a form of our own, and the parts that every Kafka client asks for.

    ``GROUP``, for consumers, is the service's name: the only group that it may join. ``DEAD_LETTERS`` is a topic of
    theirs alone, for what they cannot handle.
    """
    host, port = where.address(resource, CLIENT_PORT)
    servers = ",".join(f"{host}:{port}" for host, port in where.addresses(resource, CLIENT_PORT))
    leaf = where.leaf(edge.source, resource)
    wiring = {
        "HOST": host,
        "PORT": str(port),
        "BOOTSTRAP_SERVERS": servers,
        "TOPIC": edge.target,
        "TLS_CA": leaf.ca,
        "TLS_CERT": leaf.certificate,
        "TLS_KEY": leaf.key,
        **({"TLS_PEM": leaf.pem} if leaf.pem else {}),
    }
    if edge.access == "consume":
        wiring |= {"GROUP": edge.source, "DEAD_LETTERS": dead_letters(edge.target, edge.source)}
    return Binding(
        url=text(f"kafka://{servers}/{edge.target}"),
        parts={suffix: text(value) for suffix, value in wiring.items()},
    )


def sums(resource: Resource, plan: Plan) -> Iterable[Sum]:
    """Whether a consumer has more replicas than its topic has partitions: the rest of them would stand idle."""
    settings: Settings = resource.settings  # type: ignore[assignment]
    for edge in plan.edges_to(resource.name):
        replicas, partitions = len(plan.resource(edge.source).members), settings.topics[edge.target].partitions
        if edge.access == "consume" and replicas > partitions:
            facts = f"{edge.source} has {replicas} replicas, and {edge.target} {partitions} partitions"
            yield Sum(True, f"{facts}: {replicas - partitions} of them stand idle.")


COMPONENT = Component(
    kind="kafka",
    package=__name__,
    settings=Settings,
    plan=plan,
    section="brokers",
    parts=parts,
    binding=binding,
    sums=sums,
    reserved=frozenset({"kafka", "admin", "anonymous"}),
)
