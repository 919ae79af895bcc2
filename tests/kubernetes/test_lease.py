"""Two deploys at once are kept apart, and one that was killed is no obstacle for long."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenfield.errors import ClusterError
from greenfield.targets.kubernetes.live.access import Access
from greenfield.targets.kubernetes.live.api import connected
from greenfield.targets.kubernetes.live.lease import NAME, held
from kubernetes.deployed import Deployed, deployed
from support.control_plane import Cluster

pytestmark = pytest.mark.e2e


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.apply(f"/api/v1/namespaces/{name}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    cluster.client.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def site(tmp_path: Path, answering_operators: Cluster) -> Iterator[Deployed]:
    """Declared, not yet deployed."""
    with deployed(tmp_path, answering_operators) as found:
        yield found


def holder(cluster: Cluster, namespace: str) -> str:
    """Who holds the Lease; empty where nobody does."""
    spec = cluster.get(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{NAME}")["spec"]
    return str(spec.get("holderIdentity", ""))


def test_a_second_deploy_is_told_who_deploys_and_takes_over_once_that_is_dead(site: Deployed) -> None:
    """The first waits for pods that nothing can run; then it is killed, and the file mended."""
    nowhere = {"for": "kubernetes", "target": "Deployment/stock", "path": "spec.template.spec.nodeSelector"}
    site.platform.edit(lambda data: data.update(patches=[{**nowhere, "set": {"nowhere": "true"}, "reason": "test"}]))
    first = site.platform.start("deploy", stdin=subprocess.DEVNULL)
    assert first.stderr is not None
    for line in first.stderr:
        if line.startswith("Deployment/stock: waiting"):
            break
    second = site.platform.run("deploy")
    assert second.returncode == 1
    assert f"{site.name} is being deployed by {holder(site.cluster, site.name)} since " in second.stderr
    assert f"process {first.pid}" in second.stderr
    first.send_signal(signal.SIGKILL)
    first.communicate()
    site.platform.edit(lambda data: data.pop("patches"))
    third = site.platform.ok("deploy")
    assert site.objects["Deployment/stock"]["status"]["availableReplicas"] == 2, third
    assert holder(site.cluster, site.name) == ""


def test_whoever_lost_the_right_to_another_stops(cluster: Cluster, namespace: str) -> None:
    """And leaves it to that one."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{NAME}"

    async def deploying() -> None:
        async with connected(Access(str(cluster.kubeconfig))) as api, held(api, namespace, str):
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": NAME}}
            now = api.now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            spec = {"holderIdentity": "another", "renewTime": now, "leaseDurationSeconds": 3600}
            await asyncio.to_thread(cluster.apply, path, {**lease, "spec": spec})
            await asyncio.Event().wait()

    with pytest.raises(ClusterError, match=f"{namespace} is being deployed by another"):
        asyncio.run(deploying())
    assert holder(cluster, namespace) == "another"


def test_it_is_let_go_of_whatever_happens(cluster: Cluster, namespace: str) -> None:
    """Also where what was done under it failed, so that the next need not wait."""

    async def deploying() -> None:
        async with connected(Access(str(cluster.kubeconfig))) as api, held(api, namespace, str):
            assert await asyncio.to_thread(holder, cluster, namespace)
            raise ClusterError("refused")

    with pytest.raises(ClusterError, match="refused"):
        asyncio.run(deploying())
    assert holder(cluster, namespace) == ""
