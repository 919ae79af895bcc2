"""The control plane that other tests stand on is a real one, and leaves nothing behind."""

from __future__ import annotations

import copy
import datetime as dt
import os
import signal
import ssl
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.control_plane import ZONE, ZONES, Cluster, Processes, alive
from support.manifests import DEPLOYMENT, GOOD, WRONG, Object
from support.platform import kill, wait_for
from support.schemas import every_definition, validate


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.apply(f"/api/v1/namespaces/{name}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    cluster.client.delete(f"/api/v1/namespaces/{name}")


def deployment(replicas: int) -> Object:
    """One that spreads over the zones, whatever it costs."""
    manifest = copy.deepcopy(DEPLOYMENT)
    spread = {
        "maxSkew": 1,
        "topologyKey": ZONE,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": manifest["spec"]["selector"],
    }
    manifest["spec"]["replicas"] = replicas
    manifest["spec"]["template"]["spec"]["topologySpreadConstraints"] = [spread]
    return manifest


def zones_of_pods(cluster: Cluster, namespace: str) -> Counter[str]:
    """How many ready pods each zone has."""
    zone = {
        node["metadata"]["name"]: node["metadata"]["labels"][ZONE] for node in cluster.get("/api/v1/nodes")["items"]
    }
    pods = cluster.get(f"/api/v1/namespaces/{namespace}/pods", fieldSelector="status.phase=Running")["items"]
    return Counter(
        zone[pod["spec"]["nodeName"]]
        for pod in pods
        if pod["spec"]["nodeName"] in zone and "deletionTimestamp" not in pod["metadata"]
    )


def test_it_is_the_real_thing(cluster: Cluster) -> None:
    """It answers with the version that was built, to kubectl too."""
    assert cluster.get("/version")["gitVersion"] == "v1.37.2"
    assert "Server Version: v1.37.2" in cluster.kubectl("version")


def test_pods_spread_over_the_zones_and_survive_the_loss_of_one(cluster: Cluster, namespace: str) -> None:
    """Six replicas stand two in each zone; when a zone is lost, three in each of the others."""
    cluster.apply(f"/apis/apps/v1/namespaces/{namespace}/deployments/catalog", deployment(6))
    evenly = Counter(dict.fromkeys(ZONES, 2))
    wait_for("six pods in three zones", lambda: zones_of_pods(cluster, namespace) == evenly, 60)
    cluster.lose_zone(ZONES[0])
    try:
        left = Counter(dict.fromkeys(ZONES[1:], 3))
        wait_for("six pods in two zones", lambda: zones_of_pods(cluster, namespace) == left, 60)
    finally:
        cluster.bring_zone(ZONES[0])


def test_a_stateful_set_gets_its_claims_bound(cluster: Cluster, namespace: str) -> None:
    """Whatever the storage class is named."""
    template = copy.deepcopy(DEPLOYMENT["spec"]["template"])
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "store"},
        "spec": {
            "serviceName": "store",
            "replicas": 3,
            "selector": DEPLOYMENT["spec"]["selector"],
            "template": template,
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        },
    }
    assert validate(manifest, "1.37") == []
    path = f"/apis/apps/v1/namespaces/{namespace}/statefulsets/store"
    cluster.apply(path, manifest)
    wait_for("three replicas", lambda: cluster.get(path)["status"].get("readyReplicas") == 3, 60)
    claims = cluster.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims")["items"]
    assert [each["status"]["phase"] for each in claims] == ["Bound"] * 3


def test_a_job_completes(cluster: Cluster, namespace: str) -> None:
    """Though nothing has run."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "migrate", "image": "example/migrate:1"}]}
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "migrate"},
        "spec": {"template": {"spec": pod}},
    }
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs/migrate"
    cluster.apply(path, manifest)
    wait_for("the job", lambda: cluster.get(path)["status"].get("succeeded") == 1, 60)


def test_pod_security_is_enforced(cluster: Cluster, namespace: str) -> None:
    """A namespace labelled restricted refuses a pod that asks for nothing."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": namespace, "labels": labels}
    cluster.apply(f"/api/v1/namespaces/{namespace}", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    pod = {"metadata": {"name": "careless"}, "spec": {"containers": [{"name": "app", "image": "example/app:1"}]}}
    answer = cluster.client.post(f"/api/v1/namespaces/{namespace}/pods", json=pod)
    assert answer.status_code == httpx.codes.FORBIDDEN
    assert 'violates PodSecurity "restricted:latest"' in answer.json()["message"]


@pytest.mark.parametrize("mistake", [each for each in WRONG if each not in ("a null", "no name")])
def test_the_server_refuses_what_the_validator_refuses(cluster: Cluster, namespace: str, mistake: str) -> None:
    """So the schemas are no stricter than the server. A null it prunes; the name stands in the path as well."""
    manifest = copy.deepcopy(DEPLOYMENT)
    WRONG[mistake][0](manifest)
    with pytest.raises(AssertionError):
        cluster.apply(f"/apis/apps/v1/namespaces/{namespace}/deployments/catalog", manifest)


def test_a_user_may_only_what_rbac_says(cluster: Cluster) -> None:
    """Someone without a role may nothing; someone whose certificate has expired is nobody."""
    for user, valid, expected in (
        ("mallory", dt.timedelta(days=1), httpx.codes.FORBIDDEN),
        ("oblivion", dt.timedelta(minutes=-1), httpx.codes.UNAUTHORIZED),
    ):
        cluster.kubeconfig_of(user, "team:viewers", valid=valid)
        context = ssl.create_default_context(cafile=str(cluster.authority.bundle))
        context.load_cert_chain(cluster.folder / "pki" / f"{user}.crt", cluster.folder / "pki" / f"{user}.key")
        answer = httpx.get(f"{cluster.server}/api/v1/namespaces", verify=context)
        assert answer.status_code == expected, answer.text


def test_every_operators_definitions_are_served(custom_resources: Cluster) -> None:
    """Those from registries and those that we describe."""
    names = set(custom_resources.kubectl("get", "crd", "-o", "name").split())
    assert names >= {
        f"customresourcedefinition.apiextensions.k8s.io/{each['metadata']['name']}" for each in every_definition()
    }


@pytest.mark.parametrize("manifest", GOOD, ids=lambda each: each["kind"])
def test_the_server_accepts_a_custom_resource_that_the_validator_accepts(
    custom_resources: Cluster, namespace: str, manifest: Object
) -> None:
    """And refuses it with a field that nobody knows."""
    group, kind = manifest["apiVersion"].split("/")[0], manifest["kind"]
    plural = next(
        each["spec"]["names"]["plural"]
        for each in every_definition()
        if (each["spec"]["group"], each["spec"]["names"]["kind"]) == (group, kind)
    )
    path = f"/apis/{manifest['apiVersion']}/namespaces/{namespace}/{plural}/x"
    named = manifest | {"metadata": {"name": "x"}}
    custom_resources.apply(path, named)
    with pytest.raises(AssertionError, match="lantern"):
        custom_resources.apply(path, named | {"spec": {**manifest["spec"], "lantern": True}})


def test_a_bare_cluster_knows_no_operator(bare_cluster: Cluster) -> None:
    """And has no node."""
    assert bare_cluster.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")["items"] == []
    assert bare_cluster.get("/api/v1/nodes")["items"] == []


STARTER = """
import pathlib, sys, time
sys.path.insert(0, sys.argv[2])
from support.control_plane import Processes
processes = Processes(pathlib.Path(sys.argv[1]))
for name in ("one", "two"):
    processes.start(name, "sleep", "600")
print(processes._guard.pid, *processes.pids.values(), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("victim", ["the test run", "the guard"])
def test_whoever_is_killed_nothing_stays(tmp_path: Path, victim: str) -> None:
    """The test run that starts a control plane, or what guards its programs."""
    tests = str(Path(__file__).parent.parent)
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path), tests], stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        guard, *programs = map(int, run.stdout.readline().split())
        assert all(alive(pid) for pid in (guard, *programs))
        os.kill(run.pid if victim == "the test run" else guard, signal.SIGKILL)
        try:
            wait_for("everything to end", lambda: not any(alive(pid) for pid in programs), 30)
        finally:
            kill(run.pid)


def test_a_program_that_ends_early_tells_why(tmp_path: Path) -> None:
    """Its last words are in the failure."""
    processes = Processes(tmp_path)
    try:
        processes.start("broken", "ls", "/nowhere")
        wait_for("it to end", lambda: not alive(processes.pids["broken"]), 10)
        with pytest.raises(AssertionError, match=r"broken ended:\n.*/nowhere"):
            processes.check()
    finally:
        processes.close()
