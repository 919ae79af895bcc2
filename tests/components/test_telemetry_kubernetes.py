"""Telemetry on Kubernetes, as data and before the real programs: who may send, who judges traces, what is told."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from contracts.hand_made import catalogue_of, plan_of
from greenfield.components.collector import COMPONENT as COLLECTOR
from greenfield.components.jaeger import COMPONENT as JAEGER
from greenfield.components.kafka import COMPONENT as KAFKA
from greenfield.components.platform import COMPONENT as PLATFORM
from greenfield.components.prometheus import COMPONENT as PROMETHEUS
from greenfield.components.redis import COMPONENT as REDIS
from greenfield.model.manifest import Allow, Chart, Cluster, Door, Manifest, Peer
from greenfield.model.plan import Plan
from greenfield.model.tool import Installation
from greenfield.programs import pods
from greenfield.programs.knock import document
from greenfield.programs.telemetry import OPENTELEMETRY, PROMETHEUS_PAGES, PROMETHEUS_SERVER
from greenfield.toolchain.chain import Toolchain, default_cache
from greenfield.toolchain.progress import Silent
from support.platform import wait_for

CATALOGUE = catalogue_of(COLLECTOR, JAEGER, PROMETHEUS, PLATFORM, REDIS, KAFKA)
TELEMETRY = ("collector", "jaeger", "prometheus")
SERVICES = ("catalog", "web-shop")
STORES = {
    "cache": ("redis", {}),
    "cache-two": ("redis", {"nodes": 3}),
    "kafka": ("kafka", {"nodes": 3, "topics": {"orders": {}}}),
}


def planned(stores: Mapping[str, Any] = STORES, **settings: Any) -> Plan:
    """Two services, telemetry and, unless said otherwise, stores in three zones."""
    declared = {"collector": ("collector", settings), "platform": ("platform", {"release": "watch"}), **stores}
    return plan_of(CATALOGUE, declared, {service: {} for service in SERVICES})


def side(kind: str) -> Any:
    """The module of a component."""
    found = CATALOGUE[kind].kubernetes()
    assert found is not None
    return found


def cluster_of(plan: Plan) -> Cluster:
    """Doors of telemetry as they are, and of services made up."""
    found = {name: side(name).door(plan.resource(name), plan) for name in TELEMETRY}
    doors = {name: door for name, door in found.items() if door is not None}
    for service in SERVICES:
        peer = Peer(pods.labels(plan, service), name=service)
        doors[service] = Door(service, {"http": 80}, peer, {"http": 8080})
    return Cluster({}, {}, doors, plan.resource("platform").settings)


def manifests(plan: Plan) -> dict[str, Manifest]:
    """All of telemetry by ``Kind/name``, each once."""
    cluster = cluster_of(plan)
    made = [each for name in TELEMETRY for each in side(name).manifests(plan.resource(name), plan, cluster)]
    named = {f"{each['kind']}/{each['metadata']['name']}": each for each in made}
    assert len(named) == len(made)
    return named


def allows(plan: Plan) -> list[Allow]:
    """All that telemetry needs of the network."""
    cluster = cluster_of(plan)
    return [each for name in TELEMETRY for each in side(name).allows(plan.resource(name), plan, cluster)]


def charts(plan: Plan) -> Iterator[Chart]:
    """What telemetry needs before."""
    return (chart for name in TELEMETRY for chart in side(name).charts(plan.resource(name), plan))


def configured(name: str, **settings: Any) -> Any:
    """The configuration of a program, read as it reads it."""
    return yaml.safe_load(manifests(planned(**settings))[f"ConfigMap/{name}"]["data"]["config.yaml"])


def pipelines(name: str, **settings: Any) -> dict[str, list[str]]:
    """By signal: its processors and exporters in order."""
    found = configured(name, **settings)["service"]["pipelines"]
    return {signal: [*pipe["processors"], *pipe["exporters"]] for signal, pipe in found.items()}


def test_one_collector_does_everything() -> None:
    """It judges traces, tells Jaeger, holds series; and is alone."""
    assert pipelines("collector", sample=0.1) == {
        "traces": ["memory_limiter", "tail_sampling", "batch", "otlp/jaeger"],
        "metrics": ["memory_limiter", "batch", "prometheus"],
    }
    made = manifests(planned(sample=0.1))
    assert made["Deployment/collector"]["spec"]["replicas"] == 1
    others = {"StatefulSet/collector-tail", "HorizontalPodAutoscaler/collector", "PodDisruptionBudget/collector"}
    assert others & set(made) == set()


def test_of_several_each_trace_and_each_series_has_one_place() -> None:
    """The front hands on by trace and by resource; the tail judges and holds. It does not scale: that moves places."""
    settings: Mapping[str, Any] = {"collectors": "2..5", "sample": 0.1}
    assert pipelines("collector", **settings) == {
        "traces": ["memory_limiter", "batch", "load_balancing/spans"],
        "metrics": ["memory_limiter", "batch", "load_balancing/series"],
    }
    assert pipelines("collector-tail", **settings) == {
        "traces": ["memory_limiter", "tail_sampling", "batch", "otlp/jaeger"],
        "metrics": ["memory_limiter", "batch", "prometheus"],
    }
    front = configured("collector", **settings)["exporters"]
    assert [front[f"load_balancing/{what}"]["routing_key"] for what in ("spans", "series")] == ["traceID", "resource"]
    made = manifests(planned(**settings))
    scaler = made["HorizontalPodAutoscaler/collector"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 5)
    assert "replicas" not in made["Deployment/collector"]["spec"]
    assert made["StatefulSet/collector-tail"]["spec"]["replicas"] == 2
    assert made["Service/collector-tail"]["spec"]["clusterIP"] == "None"


def test_nothing_is_judged_where_everything_is_kept() -> None:
    """The front tells Jaeger itself; series have one place all the same."""
    front = pipelines("collector", collectors=3)
    assert front["traces"] == ["memory_limiter", "batch", "otlp/jaeger"]
    assert front["metrics"][-1] == "load_balancing/series"
    assert "tail_sampling" not in configured("collector-tail", collectors=3)["processors"]


@pytest.mark.parametrize(("collectors", "tail"), [("1..5", 2), (2, 2), ("3..9", 3), (50, 3)])
def test_the_tail_is_small(collectors: Any, tail: int) -> None:
    """Two, so that one may be lost; three at most."""
    made = manifests(planned(collectors=collectors))
    assert made["StatefulSet/collector-tail"]["spec"]["replicas"] == tail
    assert {"PodDisruptionBudget/collector", "PodDisruptionBudget/collector-tail"} <= set(made)


def test_all_errors_all_slow_traces_and_a_share_of_the_rest_are_kept() -> None:
    """The share is the declared one."""
    policies = configured("collector", sample=0.07)["processors"]["tail_sampling"]["policies"]
    assert [policy["type"] for policy in policies] == ["status_code", "latency", "probabilistic"]
    assert policies[2]["probabilistic"] == {"sampling_percentage": 7}


@pytest.mark.parametrize("collectors", [1, "2..5"])
def test_every_link_has_its_protection(collectors: Any) -> None:
    """What services send is in the mesh; all other listeners but health and the own series ask for a certificate."""
    made = manifests(planned(collectors=collectors, sample=0.5))
    heard = configured("collector", collectors=collectors, sample=0.5)["receivers"]["otlp"]["protocols"]["grpc"]
    assert "tls" not in heard
    front = made["Deployment/collector"]["spec"]["template"]["metadata"]
    assert "sidecar.istio.io/inject" not in front["labels"]
    assert front["annotations"]["traffic.sidecar.istio.io/excludeOutboundPorts"] == "4317"
    last = "collector" if collectors == 1 else "collector-tail"
    doors = [configured(last, collectors=collectors)["exporters"]["prometheus"]]
    doors.append(configured("jaeger")["receivers"]["otlp"]["protocols"]["grpc"])
    if last == "collector-tail":
        doors.append(configured(last, collectors=collectors)["receivers"]["otlp"]["protocols"]["grpc"])
        pod = made["StatefulSet/collector-tail"]["spec"]["template"]["metadata"]
        assert pod["labels"]["sidecar.istio.io/inject"] == "false"
    for door in doors:
        assert door["tls"]["client_ca_file"]
        assert door["tls"]["min_version"] == "1.3"


def test_the_front_wants_the_name_of_the_tail() -> None:
    """It dials addresses; the certificate that it wants has a name, and the tail's has that."""
    settings: Mapping[str, Any] = {"collectors": "2..5", "sample": 0.1}
    for exporter in configured("collector", **settings)["exporters"].values():
        assert exporter["protocol"]["otlp"]["tls"]["server_name_override"] == "collector-tail"
        assert exporter["resolver"]["dns"]["hostname"] == "collector-tail"
    made = manifests(planned(**settings))
    leaf = made["Certificate/collector-tail-internal"]["spec"]
    assert leaf["dnsNames"] == ["collector-tail"]
    assert "dnsNames" not in made["Certificate/collector-internal"]["spec"]


def test_exactly_what_is_declared_may_send_and_only_telemetry() -> None:
    """By the identities of the mesh, at the port and at the two methods of OTLP."""
    plan = planned()
    (rule,) = manifests(plan)["AuthorizationPolicy/collector"]["spec"]["rules"]
    (source,) = rule["from"]
    assert source["source"]["principals"] == [f"cluster.local/ns/shop/sa/{name}" for name in SERVICES]
    (operation,) = rule["to"]
    assert operation["operation"]["ports"] == ["4317"]
    assert all(path.endswith("/Export") for path in operation["operation"]["paths"])


def test_jaeger_is_entered_by_collectors_grafana_and_prometheus() -> None:
    """Each at its own port."""
    entered = {
        (allow.source.name or allow.source.namespace, allow.ports[0].number)
        for allow in allows(planned(collectors="2..5", sample=0.1))
        if allow.target.name == "jaeger"
    }
    assert entered == {("collector-tail", 4317), ("monitoring", 16686), ("monitoring", 8888)}


def test_spans_outlive_jaeger_and_age_as_declared() -> None:
    """A claim of its own for the one pod, kept when the StatefulSet goes."""
    spec = manifests(planned(retention="48h"))["StatefulSet/jaeger"]["spec"]
    assert spec["replicas"] == 1
    assert spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"
    (claim,) = spec["volumeClaimTemplates"]
    (mounted,) = [each for each in spec["template"]["spec"]["containers"][0]["volumeMounts"] if each["name"] == "data"]
    store = configured("jaeger", retention="48h")["extensions"]["jaeger_storage"]["backends"]["spans"]["badger"]
    assert claim["metadata"]["name"] == "data"
    assert store["directories"]["keys"].startswith(mounted["mountPath"])
    assert store["ttl"] == {"spans": "172800s"}


def test_the_stack_selects_what_is_for_it_and_keeps_series_as_declared() -> None:
    """Monitors and rules carry the release; its chart is named so, and told the retention."""
    plan = planned(retention="48h", collectors="2..5")
    kinds = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
    found = [each for each in manifests(plan).values() if each["kind"] in kinds]
    assert len(found) == 5
    assert {each["metadata"]["labels"]["release"] for each in found} == {"watch"}
    values = [chart.values for chart in charts(plan) if chart.name == "watch"]
    told = {
        "prometheus.prometheusSpec.retention": "48h",
        "prometheus.prometheusSpec.enableFeatures[0]": "exemplar-storage",
    }
    assert told in values
    assert "metrics-server" in {chart.name for chart in charts(plan)}
    assert "metrics-server" not in {chart.name for chart in charts(planned())}


def test_grafana_finds_a_source_of_traces_in_its_own_namespace_and_the_dashboard_in_ours() -> None:
    """By their labels."""
    made = manifests(planned())
    source = made["ConfigMap/shop-jaeger"]
    assert source["metadata"]["namespace"] == "monitoring"
    assert source["metadata"]["labels"] == {"grafana_datasource": "1"}
    (declared,) = yaml.safe_load(source["data"]["shop-jaeger.yaml"])["datasources"]
    assert (declared["type"], declared["url"]) == ("jaeger", "http://jaeger.shop.svc:16686")
    dashboard = made["ConfigMap/prometheus-dashboard"]
    assert "namespace" not in dashboard["metadata"]
    drawn = json.loads(dashboard["data"]["shop.json"])
    assert [panel["title"] for panel in drawn["panels"] if panel["type"] == "row"] == [
        "Services",
        "Services, as they tell themselves",
        "Stores",
        "Messages",
        "Pods",
        "Telemetry",
    ]
    ends = {(panel["gridPos"]["x"] + panel["gridPos"]["w"]) for panel in drawn["panels"]}
    assert max(ends) == 24


def test_only_what_is_there_is_watched() -> None:
    """Without stores and topics nobody is told of them."""
    alerts = {rule["alert"] for rule in rules(planned())}
    bare = {rule["alert"] for rule in rules(planned({}))}
    assert alerts - bare == {"StoreDown", "VolumeFull", "ConsumerLag"}
    assert {"ErrorRate", "Latency", "ReplicaUnavailable", "CertificateExpires"} <= bare
    assert "Messages" not in manifests(planned({}))["ConfigMap/prometheus-dashboard"]["data"]["shop.json"]


def test_a_store_is_not_taken_for_one_whose_name_begins_like_its_own() -> None:
    """``cache`` and ``cache-two``: pods are told apart by their whole names."""
    wanted, unwanted = pods_watched("cache")
    assert re.fullmatch(wanted, "cache-0")
    assert re.fullmatch(unwanted, "cache-two-0")
    assert re.fullmatch(pods_watched("kafka")[0], "kafka-broker-0")


def pods_watched(store: str) -> tuple[str, str]:
    """The pods that the alert of a store counts, and those that it leaves out, as regular expressions."""
    (expr,) = [rule["expr"] for rule in rules(planned()) if f"of {store} is ready" in rule["annotations"]["summary"]]
    found = re.search('pod=~"([^"]*)"(?:,pod!~"([^"]*)")?', expr)
    assert found is not None
    return found[1], found[2]


def rules(plan: Plan) -> list[Mapping[str, Any]]:
    """The alerts as Prometheus reads them."""
    (group,) = manifests(plan)["PrometheusRule/prometheus"]["spec"]["groups"]
    return list(group["rules"])


@pytest.fixture(scope="module")
def programs() -> Mapping[str, Installation]:
    """Jaeger, where the machine has it, and Prometheus."""
    tools = Toolchain(default_cache(os.environ), Silent())
    if not tools.find([OPENTELEMETRY])[OPENTELEMETRY.name].installation:
        pytest.skip("Jaeger is still to be built: `greenfield tools --fetch`")
    return tools.obtain([OPENTELEMETRY, PROMETHEUS_SERVER])


@pytest.mark.e2e
@pytest.mark.parametrize("collectors", [1, "2..5"])
@pytest.mark.parametrize("name", ["collector", "collector-tail", "jaeger"])
def test_the_real_program_takes_the_configuration(
    name: str, collectors: Any, tmp_path: Path, programs: Mapping[str, Installation]
) -> None:
    """But for what Jaeger's distribution of the collector lacks: balancing, and the old check of health."""
    made = manifests(planned(collectors=collectors, sample=0.1))
    if f"ConfigMap/{name}" not in made:
        assert (name, collectors) == ("collector-tail", 1)
        return
    config = yaml.safe_load(made[f"ConfigMap/{name}"]["data"]["config.yaml"])
    if name != "jaeger":
        config["extensions"], config["service"]["extensions"] = {}, []
        config = json.loads(re.sub(r"load_balancing/\w+", "nop", json.dumps(config)))
        config["exporters"] |= {"nop": {}} if "nop" in config["exporters"] else {}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    jaeger = programs[OPENTELEMETRY.name].programs["jaeger"]
    done = subprocess.run([jaeger, "validate", "--config", tmp_path / "config.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.e2e
def test_a_real_prometheus_reads_every_alert_and_every_panel(
    tmp_path: Path, programs: Mapping[str, Installation]
) -> None:
    """None is refused."""
    plan = planned()
    dashboard = json.loads(manifests(plan)["ConfigMap/prometheus-dashboard"]["data"]["shop.json"])
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    with prometheus(tmp_path, programs, manifests(plan)["PrometheusRule/prometheus"]["spec"]) as address:
        groups = document(address, "/api/v1/rules")["data"]["groups"]
        read = [rule["name"] for group in groups for rule in group["rules"]]
        answers = {query: document(address, f"/api/v1/query?query={quote(query)}")["status"] for query in queries}
    assert read == [rule["alert"] for rule in rules(plan)]
    assert len(answers) > 10
    assert set(answers.values()) == {"success"}


@contextmanager
def prometheus(folder: Path, programs: Mapping[str, Installation], spec: Any) -> Iterator[tuple[str, int]]:
    """One that has read these rules and scrapes nobody, at an address."""
    (folder / "rules.yml").write_text(json.dumps(spec))
    (folder / "prometheus.yml").write_text(json.dumps({"rule_files": ["rules.yml"]}))
    with socket.create_server(("127.0.0.1", 0)) as server:
        address: tuple[str, int] = server.getsockname()
    found = programs[PROMETHEUS_SERVER.name]
    options = {
        "config.file": folder / "prometheus.yml",
        "storage.tsdb.path": folder / "data",
        "web.listen-address": f"127.0.0.1:{address[1]}",
        "web.local-assets": f"{found.root}/{PROMETHEUS_PAGES}",
        "web.console.templates": folder,
        "web.console.libraries": folder,
    }
    with (folder / "log").open("w") as log, subprocess.Popen(
        [found.programs["prometheus"], *(f"--{name}={value}" for name, value in options.items())],
        stderr=log, cwd=folder, env={**os.environ, **found.environment},
    ) as process:  # fmt: skip
        try:
            wait_for("Prometheus", lambda: is_ready(address, process), 30)
            yield address
        finally:
            process.terminate()


def is_ready(address: tuple[str, int], process: subprocess.Popen[bytes]) -> bool:
    """Whether it answers; it must not have given up."""
    assert process.poll() is None
    try:
        return bool(document(address, "/api/v1/rules")["status"] == "success")
    except (OSError, ValueError):
        return False
