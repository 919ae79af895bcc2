"""A platform before anything runs in it: what is refused, who signs, what people may do."""

from __future__ import annotations

from typing import Any

import pytest

from greenfield.targets.kubernetes.objects import charts
from support.rendered import CATALOGUE, planned, rendered

NOTHING = "telemetry: off\nservices: {}\n"


def rules(role: str) -> list[Any]:
    """Those of a role."""
    found: list[Any] = rendered(NOTHING)[f"Role/{role}"]["rules"]
    return found


def test_everything_is_refused_that_is_not_allowed() -> None:
    """Both ways by the network, by the mesh, and by the namespace to careless pods."""
    found = rendered(NOTHING)
    both = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert found["NetworkPolicy/platform.default-deny"]["spec"] == both
    assert found["AuthorizationPolicy/platform.default-deny"]["spec"] == {}
    assert found["PeerAuthentication/default"]["spec"] == {"mtls": {"mode": "STRICT"}}
    labels = found["Namespace/shop"]["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert labels[f"pod-security.kubernetes.io/{mode}-version"] == "v1.33"


def test_every_pod_may_look_names_up_and_do_nothing_else() -> None:
    """At the cluster's own pods for it, and where the declaration says."""
    found = rendered(f"{NOTHING}kubernetes: {{dns: [169.254.20.10/32]}}\n")
    (rule,) = found["NetworkPolicy/platform.every-pod"]["spec"]["egress"]
    assert rule["ports"] == [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    assert {"ipBlock": {"cidr": "169.254.20.10/32"}} in rule["to"]
    assert "ingress" not in found["NetworkPolicy/platform.every-pod"]["spec"]


def test_the_two_authorities_are_issued_once_and_outlive_their_leaves() -> None:
    """Their keys do not rotate by themselves: each leaf carries the authority that it was issued with."""
    found = rendered(NOTHING)
    for name in ("services-ca", "platform-ca"):
        spec = found[f"Certificate/{name}"]["spec"]
        assert spec["isCA"] is True
        assert spec["privateKey"]["rotationPolicy"] == "Never"
        assert found[f"Issuer/{name}"]["spec"] == {"ca": {"secretName": spec["secretName"]}}


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_nobody_reads_a_secret_or_gains_a_right(role: str) -> None:
    """Nor runs a program in a pod, nor writes what a pod is made of: that would read what the pod is given."""
    for rule in rules(role):
        writing = set(rule["verbs"]) - {"get", "list", "watch"}
        assert "secrets" not in rule["resources"]
        assert not {"pods/exec", "pods/attach", "pods/ephemeralcontainers", "serviceaccounts/token"} & set(
            rule["resources"]
        )
        assert not {"*", "bind", "escalate", "impersonate"} & {*rule["verbs"], *rule["resources"], *rule["apiGroups"]}
        allowed = {"pods", "pods/eviction", "pods/portforward", "deployments/scale", "statefulsets/scale"}
        assert not writing or set(rule["resources"]) <= allowed


def test_roles_are_bound_to_the_platforms_own_groups() -> None:
    """``shop-viewers`` and ``shop-operators``; viewers change nothing."""
    found = rendered(NOTHING)
    groups = {role: found[f"RoleBinding/{role}"]["subjects"][0]["name"] for role in ("viewer", "operator")}
    assert groups == {"viewer": "shop-viewers", "operator": "shop-operators"}
    assert {verb for rule in rules("viewer") for verb in rule["verbs"]} == {"get", "list", "watch"}


def test_proxies_tell_all_their_spans_for_the_collectors_to_judge() -> None:
    """Whatever share is to be kept; nothing where telemetry is off, but a line for what was refused."""
    spec = rendered("telemetry: {sample: 0.25}\nservices: {}\n")["Telemetry/default"]["spec"]
    assert spec["tracing"] == [{"providers": [{"name": "shop-otel"}], "randomSamplingPercentage": 100}]
    off = rendered(NOTHING)["Telemetry/default"]["spec"]
    assert "tracing" not in off
    assert off["accessLogging"]


def test_the_mesh_is_installed_with_the_provider_that_is_named() -> None:
    """Or proxies would tell nobody."""
    found = {chart.name: chart for chart in charts(planned("services: {}\n"), CATALOGUE, ())}
    values = found["istiod"].values
    assert values["meshConfig.extensionProviders[0].name"] == "shop-otel"
    assert values["meshConfig.extensionProviders[0].opentelemetry.service"] == "collector.shop.svc.cluster.local"
    assert values["pilot.cni.enabled"] == "true"
