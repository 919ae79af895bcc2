"""Operators that tests stand on, pretended and real, do what they are there for."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from greenfield.targets.kubernetes.sealing import Place
from greenfield.targets.kubernetes.unsealing import decrypting
from support.control_plane import Cluster
from support.kubernetes_tools import ISTIOCTL, KUBESEAL, KUSTOMIZE, built
from support.manifests import DEPLOYMENT, GOOD
from support.operators import scrape_configuration, sealing_certificate
from support.platform import wait_for
from support.pretended_operators import ANSWERS
from support.schemas import every_definition, validate

Object = dict[str, Any]


def path_of(manifest: Object, namespace: str) -> str:
    """Where a custom resource named ``x`` is."""
    group, kind = manifest["apiVersion"].split("/")[0], manifest["kind"]
    plural = next(
        each["spec"]["names"]["plural"]
        for each in every_definition()
        if (each["spec"]["group"], each["spec"]["names"]["kind"]) == (group, kind)
    )
    return f"/apis/{manifest['apiVersion']}/namespaces/{namespace}/{plural}/x"


@pytest.mark.parametrize(
    "manifest", [each for each in GOOD if (each["apiVersion"], each["kind"]) in ANSWERS], ids=lambda each: each["kind"]
)
def test_a_pretended_operator_says_that_all_is_well(answering_operators: Cluster, manifest: Object) -> None:
    """Each in its own words."""
    path = path_of(manifest, "default")
    answering_operators.apply(path, manifest | {"metadata": {"name": "x"}})
    try:
        status = wait_for("a status", lambda: answering_operators.get(path).get("status"), 30)
    finally:
        answering_operators.client.delete(path)
    assert "True" in json.dumps(status)


def test_a_pretended_cloud_gives_a_load_balancer_its_address(answering_operators: Cluster) -> None:
    """And other services none."""
    cluster = answering_operators
    for kind, expected in (("LoadBalancer", [{"ip": "10.66.0.1", "ipMode": "VIP"}]), ("ClusterIP", None)):
        path = f"/api/v1/namespaces/default/services/{kind.lower()}"
        spec = {"type": kind, "ports": [{"port": 443}], "selector": {"a": "b"}}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": kind.lower()}, "spec": spec}
        cluster.apply(path, service)
        wait_for(kind, lambda: cluster.get(path)["status"]["loadBalancer"].get("ingress") == expected, 30)  # noqa: B023
        cluster.client.delete(path)


def test_the_real_controller_opens_what_kubeseal_sealed(real_operators: Cluster, tmp_path: Path) -> None:
    """A Secret sealed for its certificate appears in the cluster."""
    certificate = tmp_path / "sealing.crt"
    certificate.write_text(sealing_certificate(real_operators))
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "sealed", "namespace": "default"},
        "stringData": {"password": "correct horse"},
    }
    program = built(KUBESEAL)[KUBESEAL.name].programs["kubeseal"]
    sealed = subprocess.run(
        [program, "--cert", str(certificate), "--format", "json"],
        input=json.dumps(secret), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "correct horse" not in sealed
    real_operators.apply("/apis/bitnami.com/v1alpha1/namespaces/default/sealedsecrets/sealed", json.loads(sealed))
    path = "/api/v1/namespaces/default/secrets/sealed"
    wait_for("the secret", lambda: real_operators.client.get(path).is_success, 60)
    assert real_operators.get(path)["data"] == {"password": "Y29ycmVjdCBob3JzZQ=="}


def test_we_open_what_kubeseal_sealed_with_the_keys_of_the_real_controller(
    real_operators: Cluster, tmp_path: Path
) -> None:
    """As the cluster lists them, and of each scope."""
    certificate = tmp_path / "sealing.crt"
    certificate.write_text(sealing_certificate(real_operators))
    program = built(KUBESEAL)[KUBESEAL.name].programs["kubeseal"]
    keys = real_operators.get("/api/v1/secrets", labelSelector="sealedsecrets.bitnami.com/sealed-secrets-key")
    open_ = decrypting([json.dumps(keys).encode()])
    for scope, kubeseals in (("strict", "strict"), ("namespace", "namespace-wide"), ("cluster", "cluster-wide")):
        sealed = subprocess.run(
            [program, "--cert", str(certificate), "--raw", f"--scope={kubeseals}", "--namespace=here", "--name=it"],
            input="correct horse", capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert open_(sealed, Place("it", "here", scope)) == "correct horse"  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def meshed(real_operators: Cluster) -> str:
    """A namespace in the mesh, as restricted as Pod Security has it."""
    labels = {"istio-injection": "enabled", "pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "meshed", "labels": labels}}
    real_operators.apply("/api/v1/namespaces/meshed", namespace)
    account = "/api/v1/namespaces/meshed/serviceaccounts/default"
    wait_for("its service account", lambda: real_operators.client.get(account).is_success, 30)
    return "meshed"


def test_the_real_istiod_injects_a_sidecar_that_restricted_allows(real_operators: Cluster, meshed: str) -> None:
    """A native one, without the container that would need rights of the network's administrator."""
    pod: Object = {
        "metadata": {"name": "app"},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "app",
                    "image": "example/app:1",
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
    answer = real_operators.client.post(f"/api/v1/namespaces/{meshed}/pods", json=pod)
    assert answer.is_success, answer.text
    spec = answer.json()["spec"]
    assert [each["name"] for each in spec["initContainers"]] == ["istio-validation", "istio-proxy"]
    assert [each["name"] for each in spec["containers"]] == ["app"]


def test_the_real_istiod_refuses_what_no_schema_can(real_operators: Cluster, meshed: str) -> None:
    """An address that is none."""
    rule = {"from": [{"source": {"ipBlocks": ["everywhere"]}}]}
    manifest = {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "wrong"},
        "spec": {"rules": [rule]},
    }
    with pytest.raises(AssertionError, match="everywhere"):
        real_operators.apply(f"/apis/security.istio.io/v1/namespaces/{meshed}/authorizationpolicies/wrong", manifest)


def test_the_real_istiod_runs_a_gateway(real_operators: Cluster, meshed: str) -> None:
    """Its Deployment, which restricted allows, and the status."""
    listener = {"name": "http", "port": 80, "protocol": "HTTP"}
    manifest = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "door", "annotations": {"networking.istio.io/service-type": "ClusterIP"}},
        "spec": {"gatewayClassName": "istio", "listeners": [listener]},
    }
    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{meshed}/gateways/door"
    real_operators.apply(path, manifest)

    def programmed() -> bool:
        conditions = real_operators.get(path)["status"]["conditions"]
        return ("Programmed", "True") in {(each["type"], each["status"]) for each in conditions}

    wait_for("the gateway", programmed, 60)
    deployment = f"/apis/apps/v1/namespaces/{meshed}/deployments/door-istio"
    wait_for("its pod", lambda: real_operators.get(deployment)["status"].get("readyReplicas") == 1, 60)


def test_the_real_prometheus_operator_makes_a_monitor_a_job(real_operators: Cluster) -> None:
    """A ServiceMonitor that a Prometheus selects becomes a job of its configuration."""
    place = "/apis/monitoring.coreos.com/v1/namespaces/default"
    version = {"apiVersion": "monitoring.coreos.com/v1"}
    monitor = {"selector": {"matchLabels": {"app": "catalog"}}, "endpoints": [{"port": "http"}]}
    real_operators.apply(
        f"{place}/servicemonitors/catalog",
        version | {"kind": "ServiceMonitor", "metadata": {"name": "catalog"}, "spec": monitor},
    )
    real_operators.apply(
        f"{place}/prometheuses/all",
        version | {"kind": "Prometheus", "metadata": {"name": "all"}, "spec": {"serviceMonitorSelector": {}}},
    )

    def jobs() -> set[str]:
        configuration = scrape_configuration(real_operators, "default", "all")
        return {each["job_name"] for each in configuration.get("scrape_configs", ())}

    wait_for("the job", lambda: "serviceMonitor/default/catalog/0" in jobs(), 60)


def test_the_real_mongodb_operator_makes_a_replica_set(real_mongodb_operator: Cluster) -> None:
    """A StatefulSet of as many members, and a password for its own agents."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "reviews"}, "stringData": {"password": "x"}}
    real_mongodb_operator.apply("/api/v1/namespaces/default/secrets/reviews", secret)
    user = {
        "name": "reviews",
        "db": "admin",
        "passwordSecretRef": {"name": "reviews"},
        "roles": [{"name": "readWrite", "db": "reviews"}],
        "scramCredentialsSecretName": "reviews",
    }
    manifest = {
        "apiVersion": "mongodbcommunity.mongodb.com/v1",
        "kind": "MongoDBCommunity",
        "metadata": {"name": "reviews-store"},
        "spec": {
            "members": 3,
            "type": "ReplicaSet",
            "version": "8.0.4",
            "security": {"authentication": {"modes": ["SCRAM"]}},
            "users": [user],
        },
    }
    assert validate(manifest, "1.37") == []
    place = "/apis/mongodbcommunity.mongodb.com/v1/namespaces/default/mongodbcommunity/reviews-store"
    real_mongodb_operator.apply(place, manifest)
    path = "/apis/apps/v1/namespaces/default/statefulsets/reviews-store"
    wait_for("the replica set", lambda: real_mongodb_operator.client.get(path).is_success, 60)
    assert real_mongodb_operator.get(path)["spec"]["replicas"] == 3


@pytest.mark.cluster
def test_kustomize_builds(tmp_path: Path) -> None:
    """What a kustomization lists."""
    (tmp_path / "deployment.yaml").write_text(yaml.safe_dump(DEPLOYMENT))
    (tmp_path / "kustomization.yaml").write_text("resources: [deployment.yaml]\nnamespace: shop\n")
    program = built(KUSTOMIZE)[KUSTOMIZE.name].programs["kustomize"]
    done = subprocess.run([program, "build", str(tmp_path)], capture_output=True, text=True, check=True)
    assert yaml.safe_load(done.stdout)["metadata"]["namespace"] == "shop"


@pytest.mark.cluster
def test_istioctl_analyzes(tmp_path: Path) -> None:
    """It finds a route to a gateway that is not there."""
    service = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "catalog", "namespace": "shop"},
        "spec": {
            "hosts": ["catalog"],
            "gateways": ["missing"],
            "http": [{"route": [{"destination": {"host": "nobody"}}]}],
        },
    }
    (tmp_path / "service.yaml").write_text(yaml.safe_dump(service))
    program = built(ISTIOCTL)[ISTIOCTL.name].programs["istioctl"]
    done = subprocess.run(
        [program, "analyze", "--use-kube=false", "-A", "-o", "json", str(tmp_path / "service.yaml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    codes = {each["code"] for each in json.loads(done.stdout)}
    assert "IST0101" in codes  # a referenced resource is not found
