"""A service on Kubernetes: who may call it, what it finds in its pod, how many of it there are, its migration."""

from __future__ import annotations

from typing import Any

import pytest

from greenfield.components.service.sidecar import policies
from greenfield.model.content import Secret
from greenfield.model.plan import Plan
from greenfield.programs import calls, envoy
from support.rendered import planned, rendered

IMAGE = "image: registry.example/one:1"
STORES = """
datastores:
  store: {kind: postgres, databases: [ledger]}
  memory: {kind: redis}
"""
CALLS = f"""
telemetry: off
services:
  front: {{app: "a:app", {IMAGE}, uses: {{stock: call}}}}
  other: {{app: "a:app", {IMAGE}, uses: {{stock: call}}}}
  stock: {{app: "a:app", {IMAGE}, accepts: [GET /api/stock/*, PUT /api/stock]}}
gateway: {{host: shop.localhost, routes: {{/: stock}}}}
"""


def pod(found: dict[str, Any], title: str) -> Any:
    """The pod template's spec of an object."""
    return found[title]["spec"]["template"]["spec"]


def variables(found: dict[str, Any], title: str) -> dict[str, Any]:
    """What an environment says besides the ConfigMap, by name."""
    return {each["name"]: each for each in pod(found, title)["containers"][0]["env"]}


def test_callers_may_ask_what_is_accepted_and_the_gateway_anything() -> None:
    """As in the sidecar's own configuration on one machine."""
    rules = rendered(CALLS)["AuthorizationPolicy/stock"]["spec"]["rules"]
    assert [rule["from"][0]["source"]["principals"] for rule in rules] == [
        ["cluster.local/ns/shop/sa/gateway"],
        ["cluster.local/ns/shop/sa/front", "cluster.local/ns/shop/sa/other"],
    ]
    assert [rule["to"] for rule in rules] == [
        [{"operation": {"ports": ["8080"]}}],
        [
            {"operation": {"methods": ["GET"], "paths": ["/api/stock/*"], "ports": ["8080"]}},
            {"operation": {"methods": ["PUT"], "paths": ["/api/stock"], "ports": ["8080"]}},
        ],
    ]


@pytest.mark.parametrize("accepts", ["", "accepts: [GET /x/*, POST /y],"])
def test_both_targets_let_the_same_identities_ask_the_same(accepts: str) -> None:
    """The policies of the local sidecar, told in the words of the mesh."""
    text = CALLS.replace("accepts: [GET /api/stock/*, PUT /api/stock]", accepts.strip(",") or "env: {}")
    assert in_the_mesh(rendered(text)["AuthorizationPolicy/stock"]) == in_the_sidecar(planned(text), "stock")


def in_the_mesh(policy: Any) -> set[tuple[str, str, str]]:
    """Identity, method and path of what a policy of the mesh allows."""
    return {
        (f"spiffe://{principal}", *asked)
        for rule in policy["spec"]["rules"]
        for principal in rule["from"][0]["source"]["principals"]
        for each in rule["to"]
        for asked in zip(each["operation"].get("methods", [""]), each["operation"].get("paths", [""]), strict=True)
    }


def in_the_sidecar(plan: Plan, service: str) -> set[tuple[str, str, str]]:
    """The same of what the local sidecar allows."""
    identities = [envoy.policy([each.identity])["principals"][0] for each in plan.resources]
    of = {repr(found): each.identity for found, each in zip(identities, plan.resources, strict=True)}
    return {
        (of[repr(principal)], *_asked(permission))
        for policy in policies(plan.resource(service), plan).values()
        for principal in policy["principals"]
        for permission in policy["permissions"]
    }


def _asked(permission: Any) -> tuple[str, str]:
    if "and_rules" not in permission:
        return "", ""
    method, path = permission["and_rules"]["rules"]
    matcher = path["url_path"]["path"]
    asked = f"{matcher['prefix']}*" if "prefix" in matcher else matcher["exact"]
    return method["header"]["string_match"]["exact"], asked


def test_a_caller_waits_as_long_and_gives_up_on_a_replica_as_soon_as_locally() -> None:
    """By the constants of the local sidecar."""
    found = rendered(CALLS)
    assert found["VirtualService/stock"]["spec"]["http"][0]["timeout"] == calls.CALL_S
    policy = found["DestinationRule/stock"]["spec"]["trafficPolicy"]
    local = envoy.mesh_cluster("stock", "spiffe://x", "/folder")
    assert policy["outlierDetection"]["consecutive5xxErrors"] == local["outlier_detection"]["consecutive_5xx"]
    (limits,) = local["circuit_breakers"]["thresholds"]
    assert policy["connectionPool"]["tcp"]["maxConnections"] == limits["max_connections"]


def test_nobody_is_let_in_where_nobody_calls() -> None:
    """Then the platform's refusal is all there is."""
    assert "AuthorizationPolicy/front" not in rendered(CALLS)


def test_a_pod_finds_the_files_of_each_store_and_its_proxy_leaves_those_links_alone() -> None:
    """In the folders that its environment names, readable by its group, as libpq wants a key."""
    text = f"services:\n  front: {{app: 'a:app', {IMAGE}, uses: {{ledger: own, memory: write}}}}{STORES}"
    found = rendered(text)
    spec, data = pod(found, "Deployment/front"), found["ConfigMap/front"]["data"]
    mounts = {each["name"]: each["mountPath"] for each in spec["containers"][0]["volumeMounts"]}
    files = {
        f"{mounts[volume['name']]}/{item['path']}"
        for volume in spec["volumes"]
        if "projected" in volume and volume["projected"]["defaultMode"] == 0o440
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }
    named = {value for name, value in data.items() if name.endswith(("_CA", "_CERT", "_KEY", "_PEM", "_FILE"))}
    assert named
    assert named <= files
    annotations = found["Deployment/front"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["traffic.sidecar.istio.io/excludeOutboundPorts"] == "5432,6379"


def test_a_variable_that_holds_a_secret_is_sealed_and_all_others_are_open() -> None:
    """Of Redis the URL alone."""
    found = rendered(f"services:\n  front: {{app: 'a:app', {IMAGE}, uses: {{memory: read}}}}{STORES}")
    (name, content), *others = found["Secret/front.environment"]["stringData"].items()
    assert (name, others) == ("MEMORY_URL", [])
    assert Secret("memory.front", "url") in content
    assert variables(found, "Deployment/front")["MEMORY_URL"]["valueFrom"]["secretKeyRef"] == {
        "name": "front.environment",
        "key": "MEMORY_URL",
    }
    assert "MEMORY_URL" not in found["ConfigMap/front"]["data"]


def test_a_changed_environment_makes_new_pods() -> None:
    """A ConfigMap alone would change under them."""
    digests = [
        rendered(f"services:\n  a: {{command: [x], {IMAGE}, env: {{COLOUR: {colour}}}}}")["Deployment/a"]["spec"][
            "template"
        ]["metadata"]["annotations"]["checksum/environment"]
        for colour in ("green", "green", "blue")
    ]
    assert digests[0] == digests[1] != digests[2]


def test_telemetry_goes_through_the_mesh_under_the_pods_own_name() -> None:
    """And nowhere where there is none."""
    text = f"services:\n  front: {{app: 'a:app', {IMAGE}}}\n"
    found = rendered(f"telemetry: {{sample: 0.1}}\n{text}")
    assert found["ConfigMap/front"]["data"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4317"
    assert found["ConfigMap/front"]["data"]["OTEL_TRACES_SAMPLER_ARG"] == "1"  # collectors judge whole traces
    attributes = variables(found, "Deployment/front")["OTEL_RESOURCE_ATTRIBUTES"]["value"]
    assert "service.instance.id=$(POD_NAME)" in attributes
    assert "./collector.shop.svc.cluster.local" in found["Sidecar/front"]["spec"]["egress"][0]["hosts"]
    off = rendered(f"telemetry: off\n{text}")
    assert off["ConfigMap/front"]["data"] == {"OTEL_SDK_DISABLED": "true", "PORT": "8080"}
    assert off["Sidecar/front"]["spec"]["egress"][0]["hosts"] == ["istio-system/*"]


@pytest.mark.parametrize(
    ("program", "ready", "alive"),
    [
        ("app: 'a:app'", "/health/ready", "/health/live"),
        ("app: 'a:app', health: /fit", "/fit", None),
        ("command: [x], health: /fit", "/fit", None),
        ("command: [x]", None, None),
    ],
)
def test_it_is_ready_by_its_own_word_and_alive_by_less(program: str, ready: str | None, alive: str | None) -> None:
    """A path where it has one; its port else."""
    container = pod(rendered(f"services:\n  a: {{{program}, {IMAGE}}}"), "Deployment/a")["containers"][0]
    assert container["readinessProbe"].get("httpGet", {}).get("path") == ready
    assert container["livenessProbe"].get("httpGet", {}).get("path") == alive
    assert container["startupProbe"].get("httpGet", {}).get("path") == alive


def test_a_range_is_scaled_by_the_programs_own_cpu() -> None:
    """What the proxy uses does not count, and the Deployment says no number."""
    found = rendered(f"services:\n  a: {{command: [x], {IMAGE}, replicas: 2..9}}")
    spec = found["HorizontalPodAutoscaler/a"]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 9)
    assert spec["metrics"][0]["containerResource"]["container"] == "app"
    assert "replicas" not in found["Deployment/a"]["spec"]


def test_a_consumer_is_scaled_by_its_lag_as_somebody_who_may_only_look() -> None:
    """One trigger for each topic; KEDA, in its own namespace, needs the brokers' whole name."""
    found = rendered(
        f"services:\n  a: {{command: [x], {IMAGE}, replicas: 2..6, uses: {{orders: consume, events: consume}}}}\n"
        "brokers:\n  kafka: {kind: kafka, topics: {orders: {}, events: {}}}"
    )
    spec = found["ScaledObject/a"]["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 6)
    assert [each["metadata"]["topic"] for each in spec["triggers"]] == ["orders", "events"]
    assert {each["metadata"]["consumerGroup"] for each in spec["triggers"]} == {"a"}
    (server,) = {each["metadata"]["bootstrapServers"] for each in spec["triggers"]}
    assert server == "kafka-kafka-bootstrap.shop.svc.cluster.local:9093"
    wanted = found["TriggerAuthentication/a.kafka"]["spec"]["secretTargetRef"]
    reader = found["KafkaUser/kafka-keda"]
    assert [each["name"] for each in wanted] == ["kafka-cluster-ca-cert", "kafka-keda", "kafka-keda"]
    operations = {op for acl in reader["spec"]["authorization"]["acls"] for op in acl["operations"]}
    assert operations == {"Describe"}
    assert "HorizontalPodAutoscaler/a" not in found


def test_a_consumer_that_is_called_is_scaled_by_cpu() -> None:
    """It answers requests, too."""
    found = rendered(
        f"services:\n  a: {{command: [x], {IMAGE}, replicas: 2..6, uses: {{orders: consume}}}}\n"
        f"  b: {{command: [x], {IMAGE}, uses: {{a: call}}}}\n"
        "brokers:\n  kafka: {kind: kafka, topics: {orders: {}}}"
    )
    assert "ScaledObject/a" not in found
    assert "HorizontalPodAutoscaler/a" in found


MIGRATED = f"""
services:
  a: {{command: [x], {IMAGE}, migrate: [tool, --at=$LEDGER_HOST, $NOBODY, $(x)], uses: {{ledger: own, memory: write}}}}
{STORES}"""


def test_a_migration_runs_outside_the_mesh_with_the_services_wiring() -> None:
    """The kubelet expands what is in its environment, and nothing else."""
    found = rendered(MIGRATED)
    (title,) = [each for each in found if each.startswith("Job/a-migrate-")]
    container = pod(found, title)["containers"][0]
    assert container["command"] == ["tool", "--at=$(LEDGER_HOST)", "$NOBODY", "$$(x)"]
    labels = found[title]["spec"]["template"]["metadata"]["labels"]
    assert labels["sidecar.istio.io/inject"] == "false"
    assert variables(found, title)["OTEL_SDK_DISABLED"]["value"] == "true"
    targets = [
        each["to"][0]["podSelector"]["matchLabels"] for each in found["NetworkPolicy/a.migrate"]["spec"]["egress"]
    ]
    assert targets == [{"cnpg.io/cluster": "store"}, {"app": "memory", "role": "replication"}]


@pytest.mark.parametrize(
    ("was", "becomes", "same"),
    [("one:1", "one:1", True), ("one:1", "one:2", False), ("--at", "--to", False), ("write", "read", True)],
)
def test_another_image_or_command_is_another_job(was: str, becomes: str, same: bool) -> None:
    """A Job cannot be changed; one that would do the same keeps its name."""
    names = [
        [each for each in rendered(text) if each.startswith("Job/a-migrate-")]
        for text in (MIGRATED, MIGRATED.replace(was, becomes))
    ]
    assert (names[0] == names[1]) == same
