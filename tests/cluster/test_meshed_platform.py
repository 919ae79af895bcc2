"""Services, gateway and firewall as the real istiod takes them, in a namespace that refuses careless pods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from greenfield.targets.kubernetes.objects import unsealed
from support.control_plane import Cluster
from support.platform import wait_for
from support.rendered import CATALOGUE, planned

NAMESPACE = "shop"
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
GATEWAYS = f"/apis/gateway.networking.k8s.io/v1/namespaces/{NAMESPACE}"
PLATFORM = """
telemetry: off
gateway: {host: shop.example.com, waf: on, routes: {/: front, /api/stock: stock}}
services:
  front: {command: [x], image: "registry.example/front:1", replicas: 3, uses: {stock: call}}
  stock: {command: [x], image: "registry.example/stock:1", replicas: 2..4, accepts: [GET /api/stock/*]}
"""


@pytest.fixture(scope="module")
def shop(real_operators: Cluster) -> Iterator[Cluster]:
    """The platform, applied strictly and without a warning; what cert-manager would issue is there."""
    manifests = [dict(each.manifest) for each in unsealed(planned(PLATFORM), CATALOGUE)]
    leaf = real_operators.authority.leaf("gateway", addresses=["127.0.0.1"])
    files = {
        "tls.crt": leaf.certificate.read_text(),
        "tls.key": leaf.key.read_text(),
        "ca.crt": real_operators.authority.bundle.read_text(),
    }
    wanted = [each["spec"]["secretName"] for each in manifests if each["kind"] == "Certificate"]
    secrets = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "stringData": files,
        }
        for name in wanted
    ]
    flags = ("--server-side", "--field-manager=tests", "--validate=strict", "--warnings-as-errors")
    text = yaml.safe_dump_all([manifests[0], *secrets, *manifests[1:]], sort_keys=False)
    real_operators.kubectl("apply", *flags, "--filename=-", text=text)
    yield real_operators
    real_operators.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def ready(cluster: Cluster, deployment: str) -> int:
    """How many pods of a Deployment are ready."""
    answer = cluster.client.get(f"{APPS}/{deployment}")
    return int(answer.json()["status"].get("readyReplicas", 0)) if answer.is_success else 0


@pytest.mark.parametrize(("deployment", "replicas"), [("front", 3), ("waf", 1), ("gateway", 1)])
def test_its_pods_are_admitted_and_run(shop: Cluster, deployment: str, replicas: int) -> None:
    """Sidecars injected and all; what is scaled begins with one, since nothing here measures."""
    wait_for(f"{deployment} to be ready", lambda: ready(shop, deployment) >= replicas, 90)


def test_a_service_has_a_small_native_sidecar_and_the_firewall_none(shop: Cluster) -> None:
    """By the annotations and labels of their pods."""
    wait_for("front", lambda: ready(shop, "front") == 3, 90)
    pods = shop.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
    by_name: dict[str, Any] = {each["metadata"]["labels"].get("app.kubernetes.io/name"): each for each in pods}
    proxies = [each for each in by_name["front"]["spec"]["initContainers"] if each["name"] == "istio-proxy"]
    assert [each["restartPolicy"] for each in proxies] == ["Always"]
    assert proxies[0]["resources"]["limits"] == {"cpu": "500m", "memory": "512Mi"}
    assert "initContainers" not in by_name["waf"]["spec"]


def test_the_gateway_is_what_was_asked_for(shop: Cluster) -> None:
    """Under its own name: account, Service, autoscaler, budget; restricted, spread, with our resources."""

    def programmed() -> bool:
        conditions = shop.get(f"{GATEWAYS}/gateways/gateway")["status"].get("conditions", [])
        return ("Programmed", "True") in {(each["type"], each["status"]) for each in conditions}

    wait_for("the gateway to be programmed", programmed, 90)
    deployment = shop.get(f"{APPS}/gateway")["spec"]["template"]["spec"]
    assert deployment["serviceAccountName"] == "gateway"
    assert deployment["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"} in deployment["securityContext"]["sysctls"]
    assert len(deployment["topologySpreadConstraints"]) == 2
    (proxy,) = deployment["containers"]
    assert proxy["resources"]["limits"]["cpu"] == "1"
    assert proxy["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}
    service = shop.get(f"/api/v1/namespaces/{NAMESPACE}/services/gateway")["spec"]
    assert service["type"] == "ClusterIP"
    assert 443 in [port["port"] for port in service["ports"]]
    scaler = shop.get(f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers/gateway")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 10)
    budget = shop.get(f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets/gateway")["spec"]
    assert budget["maxUnavailable"] == 1


def test_what_istio_makes_is_not_taken_for_ours(shop: Cluster) -> None:
    """Or it would be pruned: it does not carry the label of what we manage."""
    wait_for("the gateway", lambda: ready(shop, "gateway") >= 1, 90)
    assert "app.kubernetes.io/managed-by" not in shop.get(f"{APPS}/gateway")["metadata"]["labels"]


def test_its_routes_are_accepted_with_all_that_they_lead_to(shop: Cluster) -> None:
    """By the listener that they name."""

    def accepted() -> bool:
        (parent,) = shop.get(f"{GATEWAYS}/httproutes/gateway").get("status", {}).get("parents", [{}])
        conditions = {(each["type"], each["status"]) for each in parent.get("conditions", ())}
        return {("Accepted", "True"), ("ResolvedRefs", "True")} <= conditions

    wait_for("the routes", accepted, 90)
