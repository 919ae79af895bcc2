"""What Strimzi is told: pools, users with exactly the permissions of this machine, and who may connect."""

from __future__ import annotations

from typing import Any

import pytest

from components.on_kubernetes import Rendered, connections, rendered
from greenfield.components.kafka.roles import Permission, permissions
from greenfield.programs.brokers import login, scaler
from greenfield.targets.kubernetes.where import KubernetesWhere

USES = {"catalog": {"orders": "produce"}, "notifier": {"orders": "consume", "events": "consume,produce"}}
TOPICS = {"orders": {"partitions": 6, "retention": "1d"}, "events": {}}


def cluster(watched: bool = True, **settings: object) -> Rendered:
    """Brokers with two topics."""
    return rendered("kafka", {"topics": TOPICS, **settings}, USES, name="kafka", watched=watched)


def told(found: Rendered, user: str, principal: str) -> set[Permission]:
    """The permissions of a user's resource."""
    acls: list[dict[str, Any]] = found.spec(f"KafkaUser/{user}")["authorization"]["acls"]
    assert {(acl["type"], acl["host"], acl["resource"]["patternType"]) for acl in acls} == {("allow", "*", "literal")}
    return {
        Permission(f"User:{principal}", acl["resource"]["type"], acl["resource"]["name"], operation.upper())
        for acl in acls
        for operation in acl["operations"]
    }


def test_users_may_what_they_may_on_this_machine() -> None:
    """Both targets ask one table."""
    found = cluster()
    grants = [(edge.source, edge.target, edge.access) for edge in found.plan.edges_to("kafka")]
    wanted = permissions(grants)
    for service in USES:
        mine = {permission for permission in wanted if permission.principal == f"User:{service}"}
        assert told(found, f"kafka.{service}", service) == mine


def test_keda_sees_how_far_consumers_are_behind_and_nothing_else() -> None:
    """Describe only; and nobody is made where nobody consumes."""
    found = cluster()
    permitted = told(found, scaler("kafka"), scaler("kafka"))
    assert {permission.operation for permission in permitted} == {"DESCRIBE"}
    assert {(each.resource, each.name) for each in permitted} == {
        ("topic", "orders"), ("topic", "events"), ("group", "notifier"),
    }  # fmt: skip
    producing = rendered("kafka", {"topics": TOPICS}, {"catalog": USES["catalog"]}, name="kafka")
    assert producing.kinds()["KafkaUser"] == ["kafka.catalog"]


def test_how_far_groups_are_behind_is_told_where_somebody_reads_it() -> None:
    """By an exporter that enters as the operator's own parts do, and is read by Prometheus alone."""
    found = cluster()
    assert "kafkaExporter" in found.spec("Kafka/kafka")
    assert "kafka.exporter" in found.kinds()["PodMonitor"]
    assert "kafkaExporter" not in cluster(watched=False).spec("Kafka/kafka")
    assert "PodMonitor" not in cluster(watched=False).kinds()


@pytest.mark.parametrize(
    ("settings", "pools"),
    [
        ({}, {"kafka-dual": (1, ["broker", "controller"])}),
        ({"nodes": 3}, {"kafka-dual": (3, ["broker", "controller"])}),
        ({"nodes": 5}, {"kafka-dual": (3, ["broker", "controller"]), "kafka-broker": (2, ["broker"])}),
        (
            {"nodes": 5, "coordination": "zookeeper"},
            {"kafka-broker": (5, ["broker"]), "kafka-controller": (3, ["controller"])},
        ),
    ],
)
def test_members_become_pools_by_their_role(settings: dict[str, Any], pools: dict[str, Any]) -> None:
    """An ensemble of ZooKeeper becomes the controllers."""
    found = cluster(**settings)
    specs = {name: found.spec(f"KafkaNodePool/{name}") for name in found.kinds()["KafkaNodePool"]}
    assert {name: (spec["replicas"], spec["roles"]) for name, spec in specs.items()} == pools


def test_a_pods_name_fits_its_host() -> None:
    """63 characters hold cluster, pool and number."""
    name = "kafka-of-a-name-as-long-as-names-may-be0"
    found = rendered("kafka", {"nodes": 5, "topics": TOPICS}, {}, name=name)
    assert all(len(f"{name}-{pool}-999") <= 63 for pool in found.kinds()["KafkaNodePool"])


def test_a_message_survives_a_broker() -> None:
    """Three copies, two of them before a producer is answered, in the topics as in Kafka's own."""
    found = cluster(nodes=3)
    config = found.spec("Kafka/kafka")["kafka"]["config"]
    assert (config["default.replication.factor"], config["min.insync.replicas"]) == (3, 2)
    assert config["unclean.leader.election.enable"] is False
    topic = found.spec("KafkaTopic/orders")
    assert (topic["partitions"], topic["replicas"]) == (6, 3)
    assert topic["config"] == {"retention.ms": 86_400_000, "min.insync.replicas": 2}
    assert found.manifests["KafkaTopic/orders"]["metadata"]["annotations"] == {"greenfield/holds": "data"}


def test_each_consumer_has_dead_letters_that_hold_data() -> None:
    """One topic for each edge that consumes; a producer has none."""
    found = cluster(nodes=3)
    names = [name for name in found.kinds()["KafkaTopic"] if "." in name]
    assert names == ["events.notifier.dead-letters", "orders.notifier.dead-letters"]
    letters = found.spec("KafkaTopic/orders.notifier.dead-letters")
    assert (letters["partitions"], letters["replicas"]) == (1, 3)
    assert letters["config"]["cleanup.policy"] == "compact,delete"
    assert letters["config"]["min.insync.replicas"] == 2
    metadata = found.manifests["KafkaTopic/orders.notifier.dead-letters"]["metadata"]
    assert metadata["annotations"] == {"greenfield/holds": "data"}


def test_only_brokers_beyond_the_zones_ask_where_they_stand() -> None:
    """It costs them a right at the API server, and three brokers in three zones gain nothing by it."""
    assert "rack" not in cluster(nodes=3).spec("Kafka/kafka")["kafka"]
    assert cluster(nodes=5).spec("Kafka/kafka")["kafka"]["rack"]["topologyKey"] == "topology.kubernetes.io/zone"


def test_the_listener_lets_services_with_an_edge_in_and_nobody_else() -> None:
    """An empty list would open it to all."""
    (listener,) = cluster().spec("Kafka/kafka")["kafka"]["listeners"]
    assert listener["authentication"] == {"type": "tls"}
    names = [
        peer["podSelector"]["matchLabels"].get("app.kubernetes.io/name") for peer in listener["networkPolicyPeers"]
    ]
    assert names == ["catalog", "notifier", None]
    (alone,) = rendered("kafka", {"topics": TOPICS}, {}, name="kafka").spec("Kafka/kafka")["kafka"]["listeners"]
    assert len(alone["networkPolicyPeers"]) == 1


def test_the_network_opens_what_the_operator_needs() -> None:
    """Brokers fetch their certificates from the API server, so that each of them asks it."""
    assert connections(cluster().allows) == {
        ("kafka", "kafka", (9090, 9091)),
        ("strimzi/cluster-operator", "kafka", (9090, 9091, 8443)),
        ("kafka.entities", "kafka", (9091,)),
        ("kafka", "10.0.0.1/32", (443, 6443)),
        ("kafka.entities", "10.0.0.1/32", (443, 6443)),
        ("keda/keda-operator", "kafka", (9093,)),
        ("monitoring/prometheus", "kafka", (9404,)),
        ("kafka.exporter", "kafka", (9091,)),
        ("monitoring/prometheus", "kafka.exporter", (9404,)),
    }


def test_a_service_is_told_of_no_file_that_is_not_there() -> None:
    """Strimzi makes no PEM of certificate and key."""
    found = cluster()
    mounts = {("notifier", "kafka"): found.side.mount("notifier", found.resource, found.plan)}
    assert mounts["notifier", "kafka"] == login("kafka", "kafka.notifier")
    leaf = KubernetesWhere(found.cluster.doors, mounts).leaf("notifier", found.resource)
    assert (leaf.pem, leaf.key) == ("", "/etc/greenfield/kafka/tls.key")


def test_pods_are_restricted_and_out_of_the_mesh() -> None:
    """Brokers, controllers, and the operator of topics and users."""
    found = cluster(nodes=3)
    template = found.spec("KafkaNodePool/kafka-dual")["template"]
    entities = found.spec("Kafka/kafka")["entityOperator"]["template"]
    for pod in (template["pod"], entities["pod"]):
        assert pod["metadata"]["labels"] == {"sidecar.istio.io/inject": "false"}
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    containers = [template["kafkaContainer"], template["initContainer"]]
    containers += [entities["topicOperatorContainer"], entities["userOperatorContainer"]]
    assert all(each["securityContext"]["readOnlyRootFilesystem"] for each in containers)
    (chart,) = found.side.charts(found.resource, found.plan)
    assert chart.values["extraEnvs[0].value"] == "restricted"
