"""What is pruned, and how the set is known: by kubectl's own convention."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from typing import Any

import pytest

from greenfield.programs.stores import HOLDS_DATA
from greenfield.targets.kubernetes.live.applyset import PARENT, PART_OF, ApplySet, Member, surplus
from greenfield.targets.kubernetes.live.deploy import Survey, Wishes, going
from greenfield.targets.kubernetes.live.kinds import Kind, Kinds
from greenfield.targets.kubernetes.object import Object
from support.control_plane import Cluster
from support.kubernetes_tools import KUBECTL, built

DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments", namespaced=True)
SERVICE = Kind("", "v1", "Service", "services", namespaced=True)
TOPIC = Kind("kafka.strimzi.io", "v1", "KafkaTopic", "kafkatopics", namespaced=True)


def member(kind: Kind, name: str, manager: str = "greenfield", **metadata: Any) -> Member:
    """One on the cluster."""
    record = [{"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {}}}]
    return Member(kind, {"metadata": {"name": name, "namespace": "shop", "managedFields": record, **metadata}})


def wanted(name: str) -> Object:
    """A Deployment."""
    metadata = {"name": name, "namespace": "shop"}
    return Object(name, 1, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata})


@pytest.mark.e2e
def test_the_id_is_the_one_that_kubectl_computes(cluster: Cluster) -> None:
    """For a parent of that name in that namespace."""
    name = f"set-{uuid.uuid4().hex[:8]}"
    cluster.apply(f"/api/v1/namespaces/{name}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    one = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}})
    done = subprocess.run(
        [
            built(KUBECTL)[KUBECTL.name].programs["kubectl"],
            *("apply", "--prune", f"--applyset=configmaps/{PARENT}", "--namespace", name, "--filename", "-"),
        ],
        input=one,
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "KUBECTL_APPLYSET": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    labels = [
        cluster.get(f"/api/v1/namespaces/{name}/configmaps/{each}")["metadata"]["labels"] for each in (PARENT, "one")
    ]
    cluster.client.delete(f"/api/v1/namespaces/{name}")
    assert labels[0] == {"applyset.kubernetes.io/id": ApplySet(name).id}
    assert labels[1] == {PART_OF: ApplySet(name).id}


def test_the_id_fits_a_label() -> None:
    """However long the platform's name."""
    assert len(ApplySet("s" * 63).id) <= 63


def test_a_member_carries_the_id() -> None:
    """Besides its own labels."""
    one = wanted("catalog")
    marked = ApplySet("shop").marked(one)
    assert marked.manifest["metadata"]["labels"] == {"applyset.kubernetes.io/part-of": ApplySet("shop").id}
    assert "labels" not in one.manifest["metadata"]


def test_only_what_we_made_and_nobody_owns_is_surplus() -> None:
    """What runs goes before what it needs."""
    found = [
        member(SERVICE, "stock"),
        member(DEPLOYMENT, "stock"),
        member(DEPLOYMENT, "catalog"),
        member(DEPLOYMENT, "theirs", manager="operator"),
        member(SERVICE, "made", ownerReferences=[{"kind": "Kafka"}]),
    ]
    assert [each.title for each in surplus(found, [wanted("catalog")])] == ["Deployment/stock", "Service/stock"]


def test_data_goes_only_when_that_was_said() -> None:
    """``--prune`` alone keeps it."""
    left = (member(DEPLOYMENT, "stock"), member(TOPIC, "orders", annotations=dict(HOLDS_DATA)))
    found = Survey((), Kinds({}, {}), ApplySet("shop"), (), left, frozenset())
    assert going(found, Wishes()) == ()
    assert [each.title for each in going(found, Wishes(prune=True))] == ["Deployment/stock"]
    assert going(found, Wishes(prune=True, data=True)) == left


def test_a_path_is_that_of_its_kind() -> None:
    """With group and namespace where there are any."""
    assert DEPLOYMENT.path("shop", "catalog") == "/apis/apps/v1/namespaces/shop/deployments/catalog"
    assert SERVICE.path("shop") == "/api/v1/namespaces/shop/services"
    assert Kind("", "v1", "Namespace", "namespaces", namespaced=False).path("", "shop") == "/api/v1/namespaces/shop"
