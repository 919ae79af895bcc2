"""Operators that tests stand on, pretended and real, do what they are there for."""

from __future__ import annotations

import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.control_plane import Cluster
from support.kubernetes_tools import ISTIOCTL, KUBESEAL, KUSTOMIZE, built
from support.manifests import DEPLOYMENT, GOOD
from support.operators import sealed_secrets
from support.platform import wait_for
from support.pretended_operators import ANSWERS
from support.schemas import every_definition

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


def test_the_real_controller_opens_what_kubeseal_sealed(custom_resources: Cluster, tmp_path: Path) -> None:
    """A Secret sealed for its certificate appears in the cluster."""
    certificate = tmp_path / "sealing.crt"
    certificate.write_text(sealed_secrets(custom_resources))
    name = f"secret-{uuid.uuid4().hex[:8]}"
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "default"},
        "stringData": {"password": "correct horse"},
    }
    program = built(KUBESEAL)[KUBESEAL.name].programs["kubeseal"]
    sealed = subprocess.run(
        [program, "--cert", str(certificate), "--format", "json"],
        input=json.dumps(secret), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "correct horse" not in sealed
    custom_resources.apply(f"/apis/bitnami.com/v1alpha1/namespaces/default/sealedsecrets/{name}", json.loads(sealed))
    path = f"/api/v1/namespaces/default/secrets/{name}"
    wait_for("the secret", lambda: custom_resources.client.get(path).is_success, 60)
    assert custom_resources.get(path)["data"] == {"password": "Y29ycmVjdCBob3JzZQ=="}


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
