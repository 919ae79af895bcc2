"""Public scanners find nothing in the shop or in any case that ``docs/scanners.yaml`` does not argue."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from contracts.test_kubernetes import PLANS, RENDERED
from greenfield.model.plan import Plan
from greenfield.targets.kubernetes.objects import unsealed
from greenfield.targets.kubernetes.sealing import Sealed, is_secret, sealed_secret, wanted
from support.control_plane import Cluster
from support.hardening import checks, guidance, trivy
from support.platform import wait_for
from support.scanners import Finding, checkov, kube_score, kubesec, written
from support.shop_on_cluster import CATALOGUE, Shop

ARGUED = Path(__file__).parents[2] / "docs" / "scanners.yaml"
NAMESPACE = "/api/v1/namespaces/restricted"


def platforms() -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """The objects of the shop in production and of every case; sealed values are mere words."""
    plans: dict[str, Plan] = {"the-shop": Shop("").plan} | {case: PLANS[case] for case in RENDERED}
    for name, plan in plans.items():
        found = [each.manifest for each in unsealed(plan, CATALOGUE)]
        yield name, [sealed_secret(each, words(each)) if is_secret(each) else each for each in found]


def words(secret: Mapping[str, Any]) -> Sealed:
    """Something in the place of each sealed value."""
    return Sealed("shop", "strict", "", values={secret["metadata"]["name"]: dict.fromkeys(wanted(secret), "AgA")})


def careless() -> dict[str, Any]:
    """A pod that asks for everything."""
    container = {"name": "app", "image": "app:latest", "securityContext": {"privileged": True}}
    metadata = {"name": "careless", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> set[Finding]:
    """What they find, all platforms and a careless pod together; only a finding's object is told, not its platform."""
    folder, aside = tmp_path_factory.mktemp("scanned"), tmp_path_factory.mktemp("aside")
    scanned = {name: list(manifests) for name, manifests in platforms()} | {"careless": [careless()]}
    files = [written(folder / name, manifests) for name, manifests in scanned.items()]
    found = checkov(folder) | {each for one in files for each in kube_score(one)}
    flat = list({json.dumps(each): each for manifests in scanned.values() for each in manifests}.values())
    return found | set(kubesec(aside, flat)) | set(trivy(aside, flat))


@pytest.fixture(scope="module")
def findings(everything: set[Finding]) -> set[Finding]:
    """What they find in what we render."""
    return {each for each in everything if each.object != "Pod/careless"}


def meets(finding: Finding, line: Mapping[str, str]) -> bool:
    """Whether a line argues a finding."""
    same = (finding.tool, finding.check) == (line["tool"], line["check"])
    return same and fnmatchcase(finding.object, line["object"])


@pytest.mark.cluster
def test_every_finding_is_argued_and_every_argument_is_needed(findings: set[Finding]) -> None:
    """Each line has a reason."""
    lines = yaml.safe_load(ARGUED.read_text())
    assert all(line.keys() == {"tool", "check", "object", "reason"} and line["reason"] for line in lines)
    assert sorted(each for each in findings if not any(meets(each, line) for line in lines)) == []
    assert [line for line in lines if not any(meets(each, line) for each in findings)] == []


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("tool", "check"),
    [
        ("checkov", "CKV_K8S_16"),
        ("kube-score", "container-image-tag"),
        ("kubesec", "Privileged"),
        ("trivy", "KSV017"),
    ],
)
def test_the_scanners_find_what_is_careless(everything: set[Finding], tool: str, check: str) -> None:
    """So a tool that does nothing is not taken for content."""
    assert Finding(tool, check, "Pod/careless") in everything


@pytest.mark.cluster
def test_the_hardening_guidance_of_nsa_and_cisa_is_among_the_checks() -> None:
    """Every check that it names of manifests is run; those of a control plane's own flags are its owner's."""
    assert guidance() - {each.number for each in checks().values()} == set()
    assert len(guidance()) > 10


def test_the_servers_own_admission_lets_every_pod_in(cluster: Cluster) -> None:
    """Restricted, of its newest version; what operators make is theirs."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": "restricted", "labels": labels}
    cluster.apply(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    wait_for("an account", lambda: cluster.client.get(f"{NAMESPACE}/serviceaccounts/default").is_success, 60)
    refused = []
    for name, manifests in platforms():
        for each in (found for found in manifests if found["kind"] in ("Deployment", "StatefulSet", "Job")):
            answer = admitted(cluster, each["spec"])
            if answer.status_code != httpx.codes.CREATED:
                refused.append((name, each["kind"], each["metadata"]["name"], answer.json()["message"]))
    assert refused == []
    careless = {"metadata": {}, "spec": {"containers": [{"name": "app", "image": "example/app:1"}]}}
    assert admitted(cluster, {"template": careless}).status_code == httpx.codes.FORBIDDEN


def admitted(cluster: Cluster, workload: Mapping[str, Any]) -> httpx.Response:
    """What the server says of a pod of a workload's spec; it is not made."""
    template = workload["template"]
    claimed = [each["metadata"]["name"] for each in workload.get("volumeClaimTemplates", ())]
    claims = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claimed]
    volumes = [*template["spec"].get("volumes", ()), *claims]
    pod = {
        "metadata": {"name": "pod", "labels": template["metadata"].get("labels", {})},
        "spec": {**template["spec"], "volumes": volumes, "serviceAccountName": "default"},
    }
    return cluster.client.post(f"{NAMESPACE}/pods", json=pod, params={"dryRun": "All"})
