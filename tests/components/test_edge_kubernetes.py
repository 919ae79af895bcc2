"""Where people enter on Kubernetes: the gateway alone, or behind its firewall."""

from __future__ import annotations

import json
from typing import Any

import pytest

from greenfield.programs.istio import principal
from support.rendered import planned, rendered

SERVICES = "telemetry: off\nservices:\n  front: {command: [x], image: 'registry.example/front:1'}\n"
OPEN = f"{SERVICES}gateway: {{host: shop.example.com, routes: {{/: front}}}}\n"
GUARDED = f"{SERVICES}gateway: {{host: shop.example.com, waf: on, routes: {{/: front}}}}\n"
LOCAL = OPEN.replace("shop.example.com", "shop.localhost")
OF_AN_ISSUER = "kubernetes: {issuer: public}\n"


def listeners(found: dict[str, Any]) -> dict[str, Any]:
    """Those of the Gateway by name."""
    return {each["name"]: each for each in found["Gateway/gateway"]["spec"]["listeners"]}


def patch(found: dict[str, Any], kind: str) -> Any:
    """What is changed of an object that Istio makes."""
    return json.loads(found["ConfigMap/gateway"]["data"][kind])["spec"]


@pytest.mark.parametrize("text", [OPEN, GUARDED])
def test_the_gateway_is_who_the_plan_says(text: str) -> None:
    """Its service account has its own name, and services let in that very identity."""
    found, gateway = rendered(text), planned(text).resource("gateway")
    account = found["Gateway/gateway"]["metadata"]["annotations"]["gateway.istio.io/service-account"]
    assert gateway.identity == f"spiffe://cluster.local/ns/shop/sa/{account}"
    (rule,) = found["AuthorizationPolicy/front"]["spec"]["rules"]
    assert rule["from"] == [{"source": {"principals": [principal(gateway.identity)]}}]


def test_without_a_firewall_the_gateway_is_the_load_balancer() -> None:
    """It is announced, lets anybody in, and sends plain requests on."""
    found = rendered(OPEN)
    gateway = found["Gateway/gateway"]
    assert gateway["metadata"]["annotations"]["networking.istio.io/service-type"] == "LoadBalancer"
    assert gateway["spec"]["infrastructure"]["annotations"] == {
        "external-dns.kubernetes.io/hostname": "shop.example.com",
        "external-dns.alpha.kubernetes.io/hostname": "shop.example.com",
    }
    assert patch(found, "service") == {"externalTrafficPolicy": "Local"}
    assert set(listeners(found)) == {"https", "http"}
    assert found["HTTPRoute/gateway.plain"]["spec"]["rules"][0]["filters"][0]["type"] == "RequestRedirect"
    ingress = found["NetworkPolicy/gateway"]["spec"]["ingress"][0]
    assert ingress["from"] == [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}]


def test_behind_a_firewall_it_lets_in_that_alone() -> None:
    """By the network, by a certificate, and by the identity in it."""
    found, plan = rendered(GUARDED), planned(GUARDED)
    gateway = found["Gateway/gateway"]
    assert gateway["metadata"]["annotations"]["networking.istio.io/service-type"] == "ClusterIP"
    assert "annotations" not in gateway["spec"]["infrastructure"]
    (https,) = listeners(found).values()
    assert https["tls"]["options"] == {"gateway.istio.io/tls-terminate-mode": "MUTUAL"}
    (rule,) = found["AuthorizationPolicy/gateway"]["spec"]["rules"]
    assert rule["from"] == [{"source": {"principals": [principal(plan.resource("waf").identity)]}}]
    assert found["Certificate/waf"]["spec"]["uris"] == [plan.resource("waf").identity]
    (ingress,) = found["NetworkPolicy/gateway"]["spec"]["ingress"]
    assert ingress["from"] == [{"podSelector": {"matchLabels": found["Service/waf"]["spec"]["selector"]}}]
    assert found["Service/waf"]["spec"]["type"] == "LoadBalancer"


def test_a_host_of_this_machine_is_announced_to_nobody() -> None:
    """``localhost`` needs no record."""
    assert "annotations" not in rendered(LOCAL)["Gateway/gateway"]["spec"]["infrastructure"]


@pytest.mark.parametrize(("text", "shown", "inner"), [(OPEN, "gateway", None), (GUARDED, "waf.edge", "gateway")])
def test_a_public_issuer_signs_what_people_see_and_nothing_else(text: str, shown: str, inner: str | None) -> None:
    """It knows names, and neither our identities nor our organization."""
    found = rendered(text + OF_AN_ISSUER)
    seen = found[f"Certificate/{shown}"]["spec"]
    assert seen["issuerRef"] == {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "public"}
    assert seen["dnsNames"] == ["shop.example.com"]
    assert not {"uris", "subject", "commonName"} & seen.keys()
    if inner:
        assert found[f"Certificate/{inner}"]["spec"]["issuerRef"]["name"] == "services-ca"


@pytest.mark.parametrize("text", [OPEN, GUARDED])
def test_the_certificate_of_a_listener_is_the_one_that_is_issued(text: str) -> None:
    """Under the name of its Secret."""
    found = rendered(text)
    (wanted,) = listeners(found)["https"]["tls"]["certificateRefs"]
    assert found["Certificate/gateway"]["spec"]["secretName"] == wanted["name"]


def test_more_routes_than_one_object_holds_are_split() -> None:
    """Each prefix once, sixteen at most in one."""
    routes = ", ".join(f"/r{number}: front" for number in range(35))
    found = rendered(OPEN.replace("/: front", routes))
    sizes, prefixes = [], []
    for title in ("gateway", "gateway.2", "gateway.3"):
        rules = found[f"HTTPRoute/{title}"]["spec"]["rules"]
        sizes.append(len(rules))
        prefixes += [rule["matches"][0]["path"]["value"] for rule in rules]
    assert sizes == [16, 16, 3]
    assert prefixes == [f"/r{number}" for number in range(35)]


@pytest.mark.parametrize("text", [OPEN, GUARDED])
def test_the_gateways_pods_are_restricted_spread_and_many(text: str) -> None:
    """Istio makes them; what a restricted namespace asks for is laid over it."""
    found = rendered(text)
    template = patch(found, "deployment")["template"]
    security = template["spec"]["securityContext"]
    assert security == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    (proxy,) = template["spec"]["containers"]
    assert proxy["name"] == "istio-proxy"
    assert set(proxy["resources"]) == {"requests", "limits"}
    assert [each["topologyKey"] for each in template["spec"]["topologySpreadConstraints"]] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    assert patch(found, "horizontalPodAutoscaler")["minReplicas"] == 2
    assert patch(found, "podDisruptionBudget")["maxUnavailable"] == 1


def test_only_a_firewall_in_front_is_believed_about_a_clients_address() -> None:
    """Else anybody could name one."""
    trusted = []
    for text in (OPEN, GUARDED):
        annotations = patch(rendered(text), "deployment")["template"]["metadata"]["annotations"]
        trusted.append(json.loads(annotations["proxy.istio.io/config"])["gatewayTopology"]["numTrustedProxies"])
    assert trusted == [0, 1]


def test_a_changed_firewall_makes_new_pods() -> None:
    """A ConfigMap alone would change under them, and nginx not look."""
    digests = [
        rendered(GUARDED.replace("waf: on", f"waf: {{mode: {mode}}}"))["Deployment/waf"]["spec"]["template"][
            "metadata"
        ]["annotations"]["checksum/config"]
        for mode in ("block", "detect")
    ]
    assert len(set(digests)) == 2
