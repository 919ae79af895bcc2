"""What every component promises on Kubernetes, for every platform of the cases: objects that a strict cluster takes.

Platforms under ``cases/clusters`` are for this alone; what they use does not all run here.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from greenfield.cli.catalogue import catalogue
from greenfield.model.content import Secret
from greenfield.model.declaration import Declared
from greenfield.model.manifest import Allow, Manifest
from greenfield.model.plan import Plan
from greenfield.plan.compile import compile_plan
from greenfield.spec.reader import Source, read
from greenfield.targets.kubernetes.network import allows
from greenfield.targets.kubernetes.objects import charts, unsealed
from greenfield.targets.kubernetes.where import cluster as cluster_of
from support.control_plane import Cluster
from support.schemas import VERSIONS, validate

CASES = Path(__file__).parents[1] / "cases"
CATALOGUE = catalogue()
BEING_BUILT = {"mysql"}
UNBUILT = {component.kind for component in CATALOGUE if component.kubernetes() is None}
DECLARED = {path.stem: path for folder in ("platforms", "clusters") for path in sorted((CASES / folder).glob("*.yaml"))}
TEMPLATES = {"Deployment", "StatefulSet", "DaemonSet", "Job"}
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def planned(case: str) -> Plan:
    """The plan of a case, with an image for each service that has none."""
    source = Source(DECLARED[case].read_text(), "greenfield.yaml", "/site", lambda _: True)
    declaration = read(source, CATALOGUE, None)
    whole = tuple(with_image(each) for each in declaration.declared)
    return compile_plan(dataclasses.replace(declaration, declared=whole), CATALOGUE)


def with_image(declared: Declared) -> Declared:
    """A service that Kubernetes can run; anything else as it is."""
    if declared.section != "services" or getattr(declared.settings, "image", "") is not None:
        return declared
    image = f"registry.example/{declared.name}:1"
    return dataclasses.replace(declared, settings=declared.settings.model_copy(update={"image": image}))


PLANS = {name: planned(name) for name in DECLARED}
RENDERED = sorted(name for name, plan in PLANS.items() if not UNBUILT & {each.kind for each in plan.resources})
every_case = pytest.mark.parametrize("case", RENDERED)


def made(case: str) -> list[Manifest]:
    """All objects of a case, in order."""
    return [each.manifest for each in unsealed(PLANS[case], CATALOGUE)]


def named(manifest: Manifest) -> str:
    """``Kind/name``."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def pods(case: str) -> Iterator[tuple[str, Manifest, dict[str, Any]]]:
    """Every pod template that we write ourselves, with the object that it is of."""
    for manifest in made(case):
        if manifest["kind"] in TEMPLATES:
            yield named(manifest), manifest, manifest["spec"]["template"]


def containers(case: str) -> Iterator[tuple[str, Manifest, dict[str, Any]]]:
    """Every container of those, those that run before the others included."""
    for title, manifest, template in pods(case):
        for container in (*template["spec"].get("initContainers", ()), *template["spec"]["containers"]):
            yield f"{title}: {container['name']}", manifest, container


def leaves(tree: Any) -> Iterator[Any]:
    """All that is neither a mapping nor a list."""
    if isinstance(tree, Mapping):
        for value in tree.values():
            yield from leaves(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from leaves(value)
    else:
        yield tree


def test_every_kind_but_those_that_are_being_built_runs_on_kubernetes() -> None:
    """So that no case is left out here unseen."""
    assert UNBUILT <= BEING_BUILT
    used = {resource.kind for name in RENDERED for resource in PLANS[name].resources}
    assert used | UNBUILT | {"etcd"} >= {component.kind for component in CATALOGUE}  # etcd comes with Patroni


@every_case
def test_the_same_plan_makes_the_same_objects(case: str) -> None:
    """No clock, no chance, no order of a set."""
    assert made(case) == [each.manifest for each in unsealed(planned(case), CATALOGUE)]


@every_case
def test_every_name_and_label_is_one_that_kubernetes_takes(case: str) -> None:
    """However long the names are that they are made of."""
    for manifest in made(case):
        metadata = manifest["metadata"]
        assert SUBDOMAIN.fullmatch(metadata["name"]), named(manifest)
        assert len(metadata["name"]) <= (63 if manifest["kind"] in {"Service", "Job", "Namespace"} else 253)
        assert all(LABEL_VALUE.fullmatch(value) for value in metadata["labels"].values()), named(manifest)
    for title, _, template in pods(case):
        values = template["metadata"]["labels"].values()
        assert all(LABEL_VALUE.fullmatch(value) for value in values), title


@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[-1]])
@every_case
def test_every_object_is_right_by_the_schema_of_its_kind(case: str, version: str) -> None:
    """Of the oldest Kubernetes that is supported, of the newest, and of each operator."""
    faults = {named(each): validate(in_clear(each), version) for each in made(case)}
    assert {title: told for title, told in faults.items() if told} == {}


def in_clear(manifest: Manifest) -> dict[str, Any]:
    """A Secret as if its contents were texts."""
    if manifest["kind"] != "Secret":
        return dict(manifest)
    return {**manifest, "stringData": dict.fromkeys(manifest["stringData"], "invented")}


@every_case
def test_no_secret_stands_in_any_object(case: str) -> None:
    """A Secret holds references, each of them at least one; nothing else holds any."""
    for manifest in made(case):
        if manifest["kind"] == "Secret":
            assert "data" not in manifest, named(manifest)
            assert all(any(isinstance(p, Secret) for p in content) for content in manifest["stringData"].values())
        else:
            assert all(isinstance(leaf, str | int | float | bool) for leaf in leaves(manifest)), named(manifest)


@every_case
def test_every_secret_that_is_mounted_or_read_is_made_by_somebody(case: str) -> None:
    """By us, by cert-manager for a certificate, or by an operator under the name that it documents."""
    given = {each["metadata"]["name"] for each in made(case) if each["kind"] in {"Secret", "KafkaUser"}}
    given |= {each["spec"]["secretName"] for each in made(case) if each["kind"] == "Certificate"}
    given |= {f"{each['metadata']['name']}-cluster-ca-cert" for each in made(case) if each["kind"] == "Kafka"}
    used: set[str] = set()
    for _, _, template in pods(case):
        for volume in template["spec"].get("volumes", ()):
            used |= {volume["secret"]["secretName"]} if "secret" in volume else set()
            sources = volume.get("projected", {}).get("sources", ())
            used |= {source["secret"]["name"] for source in sources if "secret" in source}
    for _, _, container in containers(case):
        read = [each["valueFrom"] for each in container.get("env", ()) if "valueFrom" in each]
        used |= {each["secretKeyRef"]["name"] for each in read if "secretKeyRef" in each}
    assert used <= given


@every_case
def test_every_pod_is_restricted(case: str) -> None:
    """By the Pod Security standard of that name, and without a way to the API server that it did not ask for."""
    for title, _, template in pods(case):
        spec, security = template["spec"], template["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True, title
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, title
        assert spec["automountServiceAccountToken"] is False, title
        assert spec["enableServiceLinks"] is False, title
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), title
        allowed = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
        assert all(volume.keys() - {"name"} <= allowed for volume in spec.get("volumes", ())), title
    for title, _, container in containers(case):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False, title
        assert security["readOnlyRootFilesystem"] is True, title
        assert security["capabilities"] == {"drop": ["ALL"]}, title


@every_case
def test_a_service_keeps_nothing(case: str) -> None:
    """Its replicas are alike and have no volume that outlives them: what is to stay is in what it uses."""
    services = {f"Deployment/{resource.name}" for resource in PLANS[case].of_kind("service")}
    found = {title: template["spec"] for title, _, template in pods(case) if title in services}
    assert found.keys() == services
    for title, spec in found.items():
        kinds = {kind for volume in spec.get("volumes", ()) for kind in volume.keys() - {"name"}}
        assert "persistentVolumeClaim" not in kinds, title


@every_case
def test_every_container_says_what_it_needs_and_whether_it_is_well(case: str) -> None:
    """Requests and limits of all three kinds; probes and a graceful end, but for those that end by themselves."""
    for title, manifest, container in containers(case):
        for bound in ("requests", "limits"):
            assert set(container["resources"][bound]) == {"cpu", "memory", "ephemeral-storage"}, title
        assert ":" in container["image"].rpartition("/")[2], f"{title} has no tag"
        assert not container["image"].endswith(":latest"), title
        if manifest["kind"] != "Job":
            assert {"startupProbe", "readinessProbe", "livenessProbe", "lifecycle"} <= container.keys(), title
            grace = manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
            assert grace > container["lifecycle"]["preStop"]["sleep"]["seconds"], title


@every_case
def test_an_emptied_folder_has_a_limit_that_its_container_may_fill(case: str) -> None:
    """Or the pod is evicted for what it was given."""
    for title, _, template in pods(case):
        for volume in (each for each in template["spec"].get("volumes", ()) if "emptyDir" in each):
            limit = volume["emptyDir"]["sizeLimit"]
            limits = [c["resources"]["limits"]["ephemeral-storage"] for c in template["spec"]["containers"]]
            assert mebibytes(limit) <= sum(map(mebibytes, limits)), title


def mebibytes(size: str) -> int:
    """``64Mi``, ``1Gi``."""
    return int(size[:-2]) * {"Mi": 1, "Gi": 1024}[size[-2:]]


@every_case
def test_replicas_are_said_once_and_more_than_one_may_not_go_together(case: str) -> None:
    """By the Deployment, or by what scales it; a disruption budget where there are several, and nowhere else."""
    found = made(case)
    scalers = [each for each in found if "scaleTargetRef" in each.get("spec", {})]
    scaled = {each["spec"]["scaleTargetRef"]["name"]: low_end(each) for each in scalers}
    guarded = [each["spec"]["selector"]["matchLabels"] for each in found if each["kind"] == "PodDisruptionBudget"]
    for manifest in (each for each in found if each["kind"] == "Deployment"):
        name, spec = manifest["metadata"]["name"], manifest["spec"]
        assert ("replicas" in spec) != (name in scaled), name
        several = scaled.get(name, spec.get("replicas", 0)) > 1
        labels = spec["template"]["metadata"]["labels"]
        assert any(selects(selector, labels) for selector in guarded) == several, name


def low_end(scaler: Manifest) -> int:
    """How many there are at least."""
    return int(scaler["spec"].get("minReplicas", scaler["spec"].get("minReplicaCount")))


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether pods of these labels are selected."""
    return selector.items() <= labels.items()


@every_case
def test_a_selector_selects_pods_of_one_workload(case: str) -> None:
    """A Service of ours, a disruption budget, a Deployment: a migration's pods must not answer requests."""
    labels = {title: template["metadata"]["labels"] for title, _, template in pods(case)}
    for manifest in (each for each in made(case) if each["kind"] in {"Service", "Deployment"}):
        selector = manifest["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        assert [title for title, each in labels.items() if selects(wanted, each)] in (
            [f"Deployment/{manifest['metadata']['name']}"],
            [f"StatefulSet/{manifest['metadata']['name']}"],
            [f"StatefulSet/{manifest['spec'].get('serviceName', manifest['metadata']['name'])}"],
        ), named(manifest)


@every_case
def test_a_pod_in_the_mesh_is_told_where_it_may_go_and_a_store_is_none(case: str) -> None:
    """Whoever has a proxy has a scope; whoever has none says so."""
    scopes = [each["spec"]["workloadSelector"]["labels"] for each in made(case) if each["kind"] == "Sidecar"]
    for title, _, template in pods(case):
        labels = template["metadata"]["labels"]
        outside = labels.get("sidecar.istio.io/inject") == "false"
        assert outside != any(selects(scope, labels) for scope in scopes), title


@every_case
def test_every_connection_is_between_named_peers_at_ports(case: str) -> None:
    """Pods of ours by the name of their policy; nobody at every port."""
    for allow in allowed(case):
        assert allow.ports, allow
        assert allow.why, allow
        for peer in (allow.source, allow.target):
            assert bool(peer.name) == peer.ours, allow
            assert peer.ours or peer.blocks or peer.labels, allow


@every_case
def test_every_edge_and_route_is_let_through_at_both_ends(case: str) -> None:
    """The policy of the one lets it out, that of the other lets it in."""
    plan, policies = PLANS[case], {m["metadata"]["name"]: m for m in made(case) if m["kind"] == "NetworkPolicy"}
    doors = cluster_of(plan, CATALOGUE).doors
    pairs = {(edge.source, edge.resource) for edge in plan.edges}
    pairs |= {(resource.name, called) for resource in plan.resources for called in resource.calls}
    for source, target in pairs:
        outward, inward = policies[doors[source].peer.name]["spec"], policies[doors[target].peer.name]["spec"]
        for port in doors[target].pod_ports.values():
            assert passes(outward["egress"], "to", doors[target].peer.labels, port), (source, target)
            assert passes(inward["ingress"], "from", doors[source].peer.labels, port), (source, target)


def passes(rules: list[Any], side: str, labels: Mapping[str, str], port: int) -> bool:
    """Whether one of the rules is for pods of these very labels, at that port."""
    peer = {"podSelector": {"matchLabels": dict(labels)}}
    return any(peer in rule[side] and port in [each["port"] for each in rule["ports"]] for rule in rules)


def allowed(case: str) -> list[Allow]:
    """Every connection of a case."""
    return allows(PLANS[case], CATALOGUE, cluster_of(PLANS[case], CATALOGUE))


@every_case
def test_every_foreign_kind_comes_with_a_chart(case: str) -> None:
    """Kubernetes knows its own kinds, a chart brings the others; what is sealed is the target's own."""
    native = {"apps", "autoscaling", "batch", "networking.k8s.io", "policy", "rbac.authorization.k8s.io"}
    brought = {kind for chart in charts(PLANS[case], CATALOGUE, ()) for kind in chart.kinds}
    for manifest in made(case):
        group = manifest["apiVersion"].rpartition("/")[0]
        assert not group or group in native or manifest["kind"] in brought, named(manifest)


@every_case
def test_no_object_grants_a_wildcard_or_reads_secrets(case: str) -> None:
    """Neither people nor pods."""
    for manifest in (each for each in made(case) if each["kind"] in {"Role", "ClusterRole"}):
        for rule in manifest["rules"]:
            assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"]), named(manifest)
            if "secrets" in rule["resources"]:
                assert rule.get("resourceNames"), f"{named(manifest)} reads every secret"


def test_a_real_api_server_takes_a_whole_platform_without_a_warning(custom_resources: Cluster) -> None:
    """Strictly; the Pod Security of the namespace warns of a template whose pods it would refuse."""
    manifests = [in_clear(each) for each in made("whole")]
    places = sorted({each["metadata"].get("namespace", "") for each in manifests} - {"", "shop"})
    elsewhere = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in places]
    flags = ("--server-side", "--field-manager=tests", "--validate=strict", "--warnings-as-errors")
    text = yaml.safe_dump_all([*elsewhere, *manifests], sort_keys=False)
    try:
        told = custom_resources.kubectl("apply", *flags, "--filename=-", text=text)
        assert len(told.splitlines()) == len(manifests) + len(elsewhere)
    finally:
        custom_resources.kubectl("delete", "namespace", "shop", *places, "--ignore-not-found", "--wait=false")
