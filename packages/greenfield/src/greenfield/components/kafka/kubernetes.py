"""Kafka on Kubernetes, by Strimzi: brokers and controllers in pools, topics, and a user for each service.

Strimzi issues the certificates: its operators speak for nobody else's. A user is known by its common name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from greenfield.components.kafka import CLIENT_PORT, Settings
from greenfield.components.kafka.configuration import durability, heap_mib
from greenfield.components.kafka.roles import Permission, permissions, watching
from greenfield.components.kafka.topics import consumed, topics
from greenfield.model.manifest import Allow, Chart, Cluster, Door, Manifest, Mount, Peer, Port
from greenfield.model.plan import Plan, Resource
from greenfield.programs import brokers, monitors, pods, zookeeper
from greenfield.programs.names import entry, short
from greenfield.programs.neighbours import KEDA, NAMESPACE, to_api_server
from greenfield.programs.stores import HOLDS_DATA, administrator

VERSION: Final = "4.3.1"
"""The newest that Strimzi 1.2.0 runs: its kafka-versions.yaml."""
METADATA: Final = "4.3-IV0"

STRIMZI = Chart(
    rank=60,
    name="strimzi-kafka-operator",
    version="1.2.0",
    source="oci://quay.io/strimzi-helm/strimzi-kafka-operator",
    namespace="strimzi",
    why="runs Kafka; without its own network policies, which would open the port of series to every pod",
    values={
        "watchAnyNamespace": "true",
        "generateNetworkPolicy": "false",
        "extraEnvs[0].name": "STRIMZI_POD_SECURITY_PROVIDER_CLASS",
        "extraEnvs[0].value": "restricted",
    },
    kinds=("Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser"),
)
OPERATOR = Peer({"strimzi.io/kind": "cluster-operator"}, "strimzi")

_API = "kafka.strimzi.io/v1"
_CONTROLLER, _REPLICATION, _AGENT, _METRICS = 9090, 9091, 8443, 9404
_SERIES = "tcp-prometheus"  # the name of the port, in every pod of the operator
_SCRATCH = "256Mi"
# Of what the operator makes: KafkaResources.java, KafkaExporterResources.java
_TAKEN = ("kafka", "kafka-bootstrap", "kafka-brokers", "entity-operator", "kafka-exporter")
_LONGEST_POD = 63 - len("--999")  # of cluster and pool together: a pod's name is its host's, too
_POOLS: Mapping[str, str] = {"broker,controller": "dual"}  # named by their role
_POD_SECURITY: Mapping[str, Any] = {
    "runAsNonRoot": True,
    "fsGroup": 1001,  # the user of Strimzi's images
    "seccompProfile": {"type": "RuntimeDefault"},
}
_CONTAINER: Mapping[str, Any] = {"securityContext": {**pods.CONTAINER_SECURITY, "runAsNonRoot": True}}


def door(resource: Resource, plan: Plan) -> Door | None:  # noqa: ARG001
    """The Service of all brokers, by which a client learns of each."""
    ports = {CLIENT_PORT: brokers.CLIENT_PORT}
    others = tuple(f"{resource.name}-{end}" for end in _TAKEN)
    return Door(brokers.bootstrap(resource.name), ports, _peer(resource), ports, others=others)


def mount(service: str, resource: Resource, plan: Plan) -> Mount:  # noqa: ARG001
    """The service's certificate, and the authority of the brokers'."""
    return brokers.login(resource.name, entry(resource.name, service))


def allows(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Allow]:
    """Brokers and controllers among themselves, the two operators, who asks for lag, and the API server.

    The brokers ask that for their certificates, as the operator of users and topics does for these.
    """
    own, entities = _peer(resource), _entities(resource)
    yield Allow(own, own, (Port(_CONTROLLER), Port(_REPLICATION)), "brokers and controllers agree and replicate")
    yield Allow(OPERATOR, own, (Port(_CONTROLLER), Port(_REPLICATION), Port(_AGENT)), "the operator rolls them in turn")
    yield Allow(entities, own, (Port(_REPLICATION),), "topics and users are made")
    yield to_api_server(own, cluster)
    yield to_api_server(entities, cluster)
    if consumed(resource, plan):
        yield Allow(KEDA, own, (Port(brokers.CLIENT_PORT),), "KEDA asks how far consumers are behind")
    yield from monitors.scrapes(plan, own, _METRICS)
    if monitors.watched(plan):
        yield Allow(_exporter(resource), own, (Port(_REPLICATION),), "lag of every group is counted")
        yield from monitors.scrapes(plan, _exporter(resource), _METRICS)


def charts(resource: Resource, plan: Plan) -> Iterable[Chart]:  # noqa: ARG001
    """The operator."""
    yield STRIMZI


def manifests(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Manifest]:
    """Pools, the cluster, topics, and users with their rules."""
    yield from _pools(resource, plan)
    yield _kafka(resource, plan, cluster)
    yield from _topics(resource, plan)
    yield from _users(resource, plan)
    yield from monitors.pod_monitor(resource.name, _peer(resource).labels, _SERIES, plan, cluster)
    exporter = _exporter(resource)
    yield from monitors.pod_monitor(exporter.name, exporter.labels, _SERIES, plan, cluster)


def _pools(resource: Resource, plan: Plan) -> Iterable[Manifest]:
    """One for each role that members have; an ensemble that is brought along becomes the controllers."""
    settings = _settings(resource)
    by_role: dict[str, int] = {}
    for member in resource.members:
        by_role[member.role] = by_role.get(member.role, 0) + 1
    for role, count in by_role.items():
        yield _pool(resource, plan, role, count, {"size": settings.size, "storage": settings.storage})
    for name in resource.needs:
        ensemble = plan.resource(name)
        assert isinstance(ensemble.settings, zookeeper.EnsembleSettings)
        sizes = {"size": ensemble.settings.size, "storage": ensemble.settings.storage}
        yield _pool(resource, plan, "controller", len(ensemble.members), sizes)


def _pool(resource: Resource, plan: Plan, role: str, count: int, sizes: Mapping[str, Any]) -> Manifest:
    settings = _settings(resource)
    chosen = {"class": settings.storage_class} if settings.storage_class else {}
    name = short(resource.name, _POOLS.get(role, role), limit=_LONGEST_POD - len(resource.name))
    heap = f"{heap_mib(sizes['size'])}m"
    selected = {"strimzi.io/cluster": resource.name, "strimzi.io/pool-name": name}
    return {
        "apiVersion": _API,
        "kind": "KafkaNodePool",
        "metadata": {
            "name": name,
            "labels": {"strimzi.io/cluster": resource.name},
            "annotations": dict(HOLDS_DATA),
        },
        "spec": {
            "replicas": count,
            "roles": sorted(role.split(",")),
            "storage": {
                "type": "jbod",
                "volumes": [
                    {
                        "id": 0,
                        "type": "persistent-claim",
                        "size": sizes["storage"],
                        **chosen,
                        "deleteClaim": False,
                        "kraftMetadata": "shared",
                    }
                ],
            },
            "resources": pods.resources(sizes["size"], _SCRATCH),
            "jvmOptions": {"-Xms": heap, "-Xmx": heap},
            "template": {
                "pod": {
                    "metadata": {"labels": dict(pods.NO_SIDECAR)},
                    "securityContext": dict(_POD_SECURITY),
                    "terminationGracePeriodSeconds": 120,
                    "enableServiceLinks": False,
                    **({"topologySpreadConstraints": pods.spread(plan, selected)} if count > 1 else {}),
                },
                "kafkaContainer": dict(_CONTAINER),
                "initContainer": dict(_CONTAINER),
            },
        },
    }


def _kafka(resource: Resource, plan: Plan, cluster: Cluster) -> Manifest:
    settings = _settings(resource)
    kafka: dict[str, Any] = {
        "version": VERSION,
        "metadataVersion": METADATA,
        "listeners": [
            {
                "name": "tls",
                "port": brokers.CLIENT_PORT,
                "type": "internal",
                "tls": True,
                "authentication": {"type": "tls"},
                "networkPolicyPeers": _callers(resource, plan, cluster),
            }
        ],
        "authorization": {"type": "simple", "superUsers": [f"CN={administrator(resource)}"]},
        "config": {**durability(settings), "log.cleaner.dedupe.buffer.size": (heap_mib(settings.size) << 20) // 8},
        "template": {"podDisruptionBudget": {"maxUnavailable": 1}},
    }
    if settings.nodes > 3 and len(plan.zones) > 1:
        # Three copies among more brokers than zones: none of the copies of a partition in the zone of another.
        kafka["rack"] = {"type": "topology-label", "topologyKey": pods.ZONE}
    if monitors.watched(plan):
        kafka["metricsConfig"] = {"type": "strimziMetricsReporter"}
    return {
        "apiVersion": _API,
        "kind": "Kafka",
        "metadata": {"name": resource.name, "annotations": dict(HOLDS_DATA)},
        "spec": {
            "kafka": kafka,
            "entityOperator": _entity_operator(),
            **({"kafkaExporter": _lag_exporter()} if monitors.watched(plan) else {}),
        },
    }


def _callers(resource: Resource, plan: Plan, cluster: Cluster) -> list[Mapping[str, Any]]:
    """For the operator's own policies, where those are on. Without any, they would let everybody in."""
    services = sorted({edge.source for edge in plan.edges_to(resource.name)})
    peers = [cluster.doors[service].peer for service in services] or [_peer(resource)]
    found: list[Mapping[str, Any]] = [{"podSelector": {"matchLabels": dict(peer.labels)}} for peer in peers]
    if consumed(resource, plan):
        found.append(
            {
                "namespaceSelector": {"matchLabels": {NAMESPACE: KEDA.namespace}},
                "podSelector": {"matchLabels": dict(KEDA.labels)},
            }
        )
    return found


def _beside() -> dict[str, Any]:
    """The pods of what looks after the brokers: they keep nothing."""
    return {
        "metadata": {"labels": dict(pods.NO_SIDECAR)},
        "securityContext": {name: value for name, value in _POD_SECURITY.items() if name != "fsGroup"},
        "enableServiceLinks": False,
    }


def _lag_exporter() -> dict[str, Any]:
    """Tells how far behind each group is, which brokers do not."""
    return {
        "topicRegex": ".*",
        "groupRegex": ".*",
        "resources": pods.resources("small"),
        "template": {"pod": _beside(), "container": dict(_CONTAINER)},
    }


def _entity_operator() -> dict[str, Any]:
    each = {"resources": pods.resources("small"), "jvmOptions": {"-Xms": "64m", "-Xmx": "256m"}}
    return {
        "topicOperator": each,
        "userOperator": each,
        "template": {
            "pod": _beside(),
            "topicOperatorContainer": dict(_CONTAINER),
            "userOperatorContainer": dict(_CONTAINER),
        },
    }


def _topics(resource: Resource, plan: Plan) -> Iterable[Manifest]:
    shared = durability(_settings(resource))
    for name, topic in topics(resource, plan).items():
        yield {
            "apiVersion": _API,
            "kind": "KafkaTopic",
            "metadata": {
                "name": name,
                "labels": {"strimzi.io/cluster": resource.name},
                "annotations": dict(HOLDS_DATA),
            },
            "spec": {
                "partitions": topic.partitions,
                "replicas": shared["default.replication.factor"],
                "config": {**topic.config, "min.insync.replicas": shared["min.insync.replicas"]},
            },
        }


def _users(resource: Resource, plan: Plan) -> Iterable[Manifest]:
    edges = sorted(plan.edges_to(resource.name))
    found = permissions((edge.source, edge.target, edge.access) for edge in edges)
    for service in sorted({edge.source for edge in edges}):
        mine = [permission for permission in found if permission.principal == f"User:{service}"]
        yield _user(resource, entry(resource.name, service), mine)
    if watched := consumed(resource, plan):
        yield _user(resource, brokers.scaler(resource.name), watching(brokers.scaler(resource.name), watched))


def _user(resource: Resource, name: str, found: Iterable[Permission]) -> Manifest:
    operations: dict[tuple[str, str], list[str]] = {}
    for permission in sorted(found):
        operations.setdefault((permission.resource, permission.name), []).append(permission.operation.capitalize())
    acls = [
        {
            "type": "allow",
            "resource": {"type": kind, "name": of, "patternType": "literal"},
            "operations": done,
            "host": "*",
        }
        for (kind, of), done in sorted(operations.items())
    ]
    return {
        "apiVersion": _API,
        "kind": "KafkaUser",
        "metadata": {"name": name, "labels": {"strimzi.io/cluster": resource.name}},
        "spec": {"authentication": {"type": "tls"}, "authorization": {"type": "simple", "acls": acls}},
    }


def _peer(resource: Resource) -> Peer:
    labels = {"strimzi.io/cluster": resource.name, "strimzi.io/name": f"{resource.name}-kafka"}
    return Peer(labels, name=resource.name)


def _entities(resource: Resource) -> Peer:
    name = f"{resource.name}-entity-operator"
    return Peer({"strimzi.io/cluster": resource.name, "strimzi.io/name": name}, name=entry(resource.name, "entities"))


def _exporter(resource: Resource) -> Peer:
    name = f"{resource.name}-kafka-exporter"
    return Peer({"strimzi.io/cluster": resource.name, "strimzi.io/name": name}, name=entry(resource.name, "exporter"))


def _settings(resource: Resource) -> Settings:
    assert isinstance(resource.settings, Settings)
    return resource.settings
