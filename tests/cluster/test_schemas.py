"""The validator is as strict as the servers that it stands for."""

from __future__ import annotations

import copy

import pytest

from support.manifests import DEPLOYMENT, GOOD, WRONG, Object
from support.schemas import OPERATORS, VERSIONS, definitions, validate


@pytest.mark.parametrize("kubernetes", VERSIONS)
def test_a_good_deployment_is_accepted(kubernetes: str) -> None:
    """By every version."""
    assert validate(DEPLOYMENT, kubernetes) == []


@pytest.mark.parametrize("kubernetes", VERSIONS)
@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_told_with_its_place(kubernetes: str, mistake: str) -> None:
    """Each of them, alone and by every version."""
    change, expected = WRONG[mistake]
    manifest = copy.deepcopy(DEPLOYMENT)
    change(manifest)
    (told,) = validate(manifest, kubernetes)
    assert expected in told


def test_all_mistakes_are_told_at_once() -> None:
    """Where there are several."""
    manifest = copy.deepcopy(DEPLOYMENT)
    for change, _ in WRONG.values():
        change(manifest)
    assert len(validate(manifest, "1.33")) == len(WRONG)


def test_a_field_is_accepted_from_the_version_on_that_brought_it() -> None:
    """``hostnameOverride`` of pods came with 1.34."""
    manifest = copy.deepcopy(DEPLOYMENT)
    manifest["spec"]["template"]["spec"]["hostnameOverride"] = "catalog"
    assert [version for version in VERSIONS if validate(manifest, version)] == ["1.33"]


def test_a_kind_that_nobody_serves_is_told() -> None:
    """A version that was removed, and a misspelt group."""
    pod_security = {"apiVersion": "policy/v1beta1", "kind": "PodSecurityPolicy", "metadata": {"name": "x"}}
    assert validate(pod_security, "1.33") == [
        "policy/v1beta1 PodSecurityPolicy: not known to Kubernetes 1.33 or to any operator"
    ]


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_custom_resource_refuses_what_its_operator_does_not_know(operator: str) -> None:
    """Every version of every kind that an operator serves, on every Kubernetes."""
    served = [
        {"apiVersion": f"{definition['spec']['group']}/{version['name']}", "kind": definition["spec"]["names"]["kind"]}
        for definition in definitions(operator)
        for version in definition["spec"]["versions"]
        if version["served"]
    ]
    assert served
    for each in served:
        for kubernetes in VERSIONS:
            told = validate(each | {"metadata": {"name": "x"}, "lantern": {}}, kubernetes)
            assert any("'lantern' was unexpected" in mistake for mistake in told), each


@pytest.mark.parametrize("manifest", GOOD, ids=lambda each: each["kind"])
@pytest.mark.parametrize("kubernetes", VERSIONS)
def test_a_good_custom_resource_is_accepted(manifest: Object, kubernetes: str) -> None:
    """With the metadata that every object may have."""
    named = manifest | {"metadata": {"name": "x", "namespace": "shop", "labels": {"a": "b"}}}
    assert validate(named, kubernetes) == []


def test_junctors_of_a_custom_resource_hold() -> None:
    """A KafkaUser's type of authentication is one of three."""
    user = copy.deepcopy(GOOD[3]) | {"metadata": {"name": "x"}}
    user["spec"]["authentication"]["type"] = "password"
    (told,) = validate(user, "1.37")
    assert told.startswith('spec.authentication.type: "password" is not one of')


@pytest.mark.parametrize(
    ("kind", "path", "value", "expected"),
    [
        ("Cluster", ("spec", "minSyncReplicas"), 1, "spec: Additional properties are not allowed ('minSyncReplicas'"),
        ("Cluster", ("spec", "instances"), 0, "spec.instances: 0 is less than the minimum"),
        ("Cluster", ("spec", "postgresql", "synchronous", "method"), "all", 'method: "all" is not one of "any" or'),
        ("Cluster", ("spec", "resources", "limits", "cpu"), "much", "spec.resources.limits.cpu"),
        ("MariaDB", ("spec", "replication", "primary"), {"podIndex": 0}, "('podIndex' was unexpected)"),
        ("RedisSentinel", ("spec", "redisSentinelConfig", "quorum"), 2, '2 is not of type "string"'),
    ],
)
def test_what_we_describe_of_an_operator_holds(kind: str, path: tuple[str, ...], value: object, expected: str) -> None:
    """Fields that are not described are refused; so are other types, values and bounds than the described."""
    manifest: Object = copy.deepcopy(next(each for each in GOOD if each["kind"] == kind)) | {"metadata": {"name": "x"}}
    inner = manifest
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    told = validate(manifest, "1.37")
    assert any(expected in mistake for mistake in told), told
