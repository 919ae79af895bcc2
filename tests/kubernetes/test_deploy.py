"""``deploy`` and ``diff`` before a real API server, whose operators are pretended to answer."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenfield.programs.stores import HOLDS_DATA
from greenfield.targets.kubernetes.live.applyset import PARENT
from kubernetes.deployed import Deployed, deployed
from support.control_plane import Cluster
from support.platform import GREENFIELD, Platform, wait_for
from support.terminal import at_terminal

pytestmark = pytest.mark.e2e
SHOP = Path(__file__).parents[2] / "examples" / "shop"


@pytest.fixture
def site(tmp_path: Path, answering_operators: Cluster) -> Iterator[Deployed]:
    """Declared, not yet deployed."""
    with deployed(tmp_path, answering_operators) as found:
        yield found


@pytest.fixture
def running(site: Deployed) -> Deployed:
    """Deployed."""
    site.platform.ok("deploy")
    return site


def without_stock(data: dict[str, Any]) -> None:
    """The file forgets a service."""
    del data["services"]["stock"]
    del data["services"]["front"]["uses"]


def image(name: str, tag: str) -> Any:
    """Another image for a service."""

    def change(data: dict[str, Any]) -> None:
        data["services"][name]["image"] = f"example.org/{name}:{tag}"

    return change


def test_the_first_deploy_makes_everything_and_waits_for_it(site: Deployed) -> None:
    """All that render shows is there, and what runs is ready."""
    rendered = site.platform.json("render")["items"]
    before = site.platform.json("diff")["changes"]
    done = site.platform.run("deploy", "--format", "json")
    *events, closing = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 0, done.stderr
    wanted = {f"{each['kind']}/{each['metadata']['name']}" for each in rendered}
    assert {each["object"] for each in before} == wanted
    assert {each["object"] for each in closing["objects"]} == wanted
    assert {each["change"] for each in closing["objects"]} == {"created"}
    assert wanted - set(site.objects) == set()
    ready = {event["name"] for event in events if event["state"] == "ready"}
    assert {"Deployment/front", "Deployment/stock"} <= ready
    assert site.objects["Deployment/stock"]["status"]["availableReplicas"] == 2


def test_the_reference_platform_is_deployed_whole_and_a_second_time_not_at_all(answering_operators: Cluster) -> None:
    """Every kind there is, sealed for the demonstration; strictly validated, ready, and then without a difference."""
    cluster, shop = answering_operators, Platform(SHOP, environment={"KUBECONFIG": str(answering_operators.kubeconfig)})
    monitoring = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}}
    cluster.apply("/api/v1/namespaces/monitoring", monitoring)
    try:
        first, second = (
            json.loads(shop.ok("deploy", "--env", "prod", "--format", "json", timeout=400).splitlines()[-1])
            for _ in range(2)
        )
        shown = shop.ok("diff", "--env", "prod")
    finally:
        cluster.client.delete("/api/v1/namespaces/shop")
    assert len(first["objects"]) > 150
    assert {each["change"] for each in first["objects"]} == {"created"}
    assert {each["change"] for each in second["objects"]} == {"unchanged"}
    assert shown == ""


def test_a_second_deploy_changes_nothing(running: Deployed) -> None:
    """No object gets another version, and the diff is empty."""
    before = running.versions
    closing = running.platform.run("deploy", "--format", "json").stdout.splitlines()[-1]
    assert {each["change"] for each in json.loads(closing)["objects"]} == {"unchanged"}
    assert running.versions == before
    shown = running.platform.run("diff", "--exit-code")
    assert (shown.returncode, shown.stdout) == (0, "")


def test_a_changed_file_changes_exactly_its_objects(running: Deployed) -> None:
    """``diff`` tells which field; the deploy touches that object alone."""
    before = running.versions
    running.platform.edit(image("stock", "2"))
    (change,) = running.platform.json("diff")["changes"]
    (field,) = change["fields"]
    assert (change["object"], change["change"]) == ("Deployment/stock", "changed")
    assert (field["before"], field["after"]) == ("example.org/stock:1", "example.org/stock:2")
    shown = running.platform.run("diff", "--exit-code")
    assert shown.returncode == 1
    assert re.search(r'^-\s+image: "?example.org/stock:1"?$', shown.stdout, re.MULTILINE)
    assert re.search(r'^\+\s+image: "?example.org/stock:2"?$', shown.stdout, re.MULTILINE)
    running.platform.ok("deploy")
    after = running.versions
    assert {title for title in before if before[title] != after[title]} == {"Deployment/stock"}


def test_a_removed_service_is_pruned_when_that_was_agreed(running: Deployed) -> None:
    """Shown and kept where nobody can be asked; gone with ``--yes``; found again although a deploy came between."""
    running.platform.edit(without_stock)
    kept = running.platform.run("deploy")
    assert "Deployment/stock" in kept.stderr
    assert "nothing is removed" in kept.stderr
    assert "Deployment/stock" in running.objects
    refused = running.platform.json("deploy", "--no-prune", "--dry-run", "server")
    assert f"{running.name}/Deployment/stock" in refused["surplus"]
    running.platform.ok("deploy", "--yes")
    left = {title for title in running.objects if title.endswith("/stock")}
    assert left == set()
    assert running.platform.json("diff")["changes"] == []


def test_at_a_terminal_it_asks_before_it_prunes(running: Deployed) -> None:
    """A table moves; ``n`` keeps what is left over, ``y`` removes it."""
    running.platform.edit(without_stock)
    command = [GREENFIELD, "deploy", "-f", str(running.platform.file)]
    for answer, left in (("n", True), ("y", False)):
        code, shown = at_terminal(command, running.platform.environment, {"[y/N]": answer})
        assert code == 0, shown
        assert f"remove  {running.name}/Deployment/stock" in shown
        assert "WAITING FOR" in shown
        assert ("Deployment/stock" in running.objects) == left


def test_nothing_is_pruned_that_we_did_not_make(running: Deployed) -> None:
    """Not even what carries the label of our set: an operator copies labels to what it makes."""
    labels = running.objects["Deployment/stock"]["metadata"]["labels"]
    path = running.path("configmaps", "theirs")
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "labels": labels}}
    running.cluster.apply(path, theirs)
    running.platform.edit(without_stock)
    running.platform.ok("deploy", "--yes")
    assert "Deployment/stock" not in running.objects
    assert running.cluster.get(path)["metadata"]["name"] == "theirs"


def test_a_field_that_another_manages_is_reported_with_its_owner(running: Deployed) -> None:
    """Before anything is changed; ``--force-conflicts`` takes it back."""
    running.cluster.kubectl("-n", running.name, "scale", "deployment/stock", "--replicas=4")
    running.platform.edit(image("front", "2"))
    before = running.versions
    refused = running.platform.run("deploy")
    assert refused.returncode == 1
    assert "Deployment/stock: .spec.replicas is managed by kubectl" in refused.stderr
    assert "--force-conflicts" in refused.stderr
    assert running.versions == before
    running.platform.ok("deploy", "--force-conflicts")
    assert running.objects["Deployment/stock"]["spec"]["replicas"] == 2


def test_an_interrupted_deploy_is_completed_by_the_next(site: Deployed) -> None:
    """Killed in the middle; what it made and the file no longer has is found and pruned all the same."""
    process = site.platform.start("deploy", stdin=subprocess.DEVNULL)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("ConfigMap/stock: created"):
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert "ConfigMap/stock" in site.objects
    site.platform.edit(without_stock)
    site.platform.ok("deploy", "--yes")
    assert "Deployment/front" in site.objects
    assert {title for title in site.objects if title.endswith("/stock")} == set()


def test_a_dry_run_leaves_no_trace(running: Deployed) -> None:
    """It tells what would change."""
    before = running.versions
    running.platform.edit(image("stock", "9"))
    told = running.platform.json("deploy", "--dry-run", "server")
    assert [each["object"] for each in told["objects"] if each["change"] == "changed"] == ["Deployment/stock"]
    assert running.versions == before


def test_what_never_becomes_ready_says_why(site: Deployed) -> None:
    """After the timeout, in the scheduler's words."""
    reason = {"for": "kubernetes", "target": "Deployment/stock", "path": "spec.template.spec.nodeSelector"}
    site.platform.edit(lambda data: data.update(patches=[{**reason, "set": {"nowhere": "true"}, "reason": "test"}]))
    done = site.platform.run("deploy", "--timeout", "6s")
    assert done.returncode == 1
    assert "Not ready within 6 s: Deployment/stock" in done.stderr
    assert "is not scheduled: 0/" in done.stderr
    assert "deploy again" in done.stderr


def test_what_keeps_data_is_pruned_only_by_name(running: Deployed) -> None:
    """A topic of an earlier file: ``--yes`` keeps it and says so, ``--prune-data`` removes it."""
    path = running.path("configmaps", PARENT)
    parent = running.cluster.get(path)["metadata"]
    label = {"applyset.kubernetes.io/part-of": parent["labels"]["applyset.kubernetes.io/id"]}
    labels = {**label, "strimzi.io/cluster": "kafka"}
    metadata = {"name": "orders", "labels": labels, "annotations": dict(HOLDS_DATA)}
    topic = {"apiVersion": "kafka.strimzi.io/v1", "kind": "KafkaTopic", "metadata": metadata}
    place = f"/apis/kafka.strimzi.io/v1/namespaces/{running.name}/kafkatopics/orders"
    running.cluster.apply(place, {**topic, "spec": {"partitions": 1, "replicas": 1}}, manager="greenfield")
    kinds = parent["annotations"]["applyset.kubernetes.io/contains-group-kinds"] + ",KafkaTopic.kafka.strimzi.io"
    annotations = {**parent["annotations"], "applyset.kubernetes.io/contains-group-kinds": kinds}
    listing = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": PARENT, "labels": parent["labels"], "annotations": annotations},
    }
    running.cluster.apply(path, listing, manager="greenfield")
    kept = running.platform.run("deploy", "--yes")
    assert "KafkaTopic/orders  (it keeps data: --prune-data removes it)" in kept.stderr
    assert running.cluster.get(place)["metadata"]["name"] == "orders"
    gone = running.platform.run("deploy", "--yes", "--prune-data")
    assert "KafkaTopic/orders: pruned" in gone.stderr
    wait_for("the topic to go", lambda: running.cluster.client.get(place).status_code == 404)
