"""How the gateway runs on Kubernetes: a Gateway and its routes, for which Istio keeps a Deployment and a Service.

With a firewall in front, only that is let in, by mutual TLS; without one the gateway is the load balancer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from greenfield.components.gateway import Settings
from greenfield.model.manifest import ANYWHERE, Allow, Chart, Cluster, Door, Manifest, Mount, Peer, Port
from greenfield.model.plan import Plan, Resource
from greenfield.programs import envoy, istio, pods
from greenfield.programs.certificates import Leaf, certificate, secret_name
from greenfield.programs.edge import EXTERNAL_DNS, HTTPS, PLAIN, REPLICAS, announced, named_in_dns, shown
from greenfield.programs.firewall import firewall
from greenfield.programs.names import addresses, entry
from greenfield.programs.scaling import BEHAVIOR, METRICS_SERVER, by_cpu

SERVICE_PORT: Final = 80
"""That of every service's own Service."""
MOST_RULES: Final = 16
"""That one HTTPRoute may hold."""
PROXY: Final = "istio-proxy"
_DRAIN_S, _STOP_S = 5, 20
_SELECTOR: Final = "gateway.networking.k8s.io/gateway-name"


def door(resource: Resource, plan: Plan) -> Door | None:
    """The Service that Istio keeps; its pods listen at the ports of the listeners."""
    peer = Peer({_SELECTOR: resource.name}, name=resource.name)
    return Door(istio.host(resource.name, plan), {"https": HTTPS}, peer, {"https": HTTPS})


def mount(service: str, resource: Resource, plan: Plan) -> Mount:  # noqa: ARG001
    """None: no service uses it."""
    return {}


def allows(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Allow]:
    """The firewall enters, or anybody; its proxy is told by the mesh."""
    peer = cluster.doors[resource.name].peer
    if (before := firewall(plan)) is not None:
        yield Allow(cluster.doors[before.name].peer, peer, (Port(HTTPS),), "requests that the firewall let through")
    else:
        yield Allow(ANYWHERE, peer, (Port(PLAIN), Port(HTTPS)), "people, by the load balancer")
    yield from istio.meshed(peer, plan, cluster)


def charts(resource: Resource, plan: Plan) -> Iterable[Chart]:  # noqa: ARG001
    """What scales it, and what names its host."""
    yield METRICS_SERVER
    if named_in_dns(_settings(resource).host):
        yield EXTERNAL_DNS


def manifests(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Manifest]:
    """Its certificate, what its pods are to be like, the Gateway, who may enter, the routes."""
    host = _settings(resource).host
    leaf = Leaf(
        name=resource.name,
        common_name=resource.name,
        identity=resource.identity,
        dns=(host, *addresses(resource.name, plan.name)),
    )
    yield certificate(leaf, plan) if firewall(plan) else shown(leaf, host, plan, cluster)
    yield _parameters(resource, plan)
    yield _gateway(resource, plan)
    yield _admission(resource, plan)
    yield from _routes(resource, plan)


def _settings(resource: Resource) -> Settings:
    assert isinstance(resource.settings, Settings)
    return resource.settings


def _gateway(resource: Resource, plan: Plan) -> Manifest:
    """Its name is that of all that Istio makes for it, so that its identity is the one of the plan."""
    open_to_all = firewall(plan) is None
    host = _settings(resource).host
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {
            "name": resource.name,
            "annotations": {
                "gateway.istio.io/name-override": resource.name,
                "gateway.istio.io/service-account": resource.name,
                "networking.istio.io/service-type": "LoadBalancer" if open_to_all else "ClusterIP",
            },
        },
        "spec": {
            "gatewayClassName": "istio",
            "infrastructure": {
                "labels": pods.labels(plan, resource.name),
                **({"annotations": announced(host)} if open_to_all and announced(host) else {}),
                "parametersRef": {"group": "", "kind": "ConfigMap", "name": resource.name},
            },
            "listeners": [_https(resource, plan), *([_plain(host)] if open_to_all else [])],
        },
    }


def _https(resource: Resource, plan: Plan) -> dict[str, Any]:
    """With a firewall in front, a client must show a certificate of the services' authority."""
    mutual = {"options": {"gateway.istio.io/tls-terminate-mode": "MUTUAL"}} if firewall(plan) else {}
    return {
        "name": "https",
        "hostname": _settings(resource).host,
        "port": HTTPS,
        "protocol": "HTTPS",
        "allowedRoutes": {"namespaces": {"from": "Same"}},
        "tls": {
            "mode": "Terminate",
            "certificateRefs": [{"group": "", "kind": "Secret", "name": secret_name(resource.name)}],
            **mutual,
        },
    }


def _plain(host: str) -> dict[str, Any]:
    return {
        "name": "http",
        "hostname": host,
        "port": PLAIN,
        "protocol": "HTTP",
        "allowedRoutes": {"namespaces": {"from": "Same"}},
    }


def _admission(resource: Resource, plan: Plan) -> Manifest:
    """Requests for the host, from the firewall where there is one. What the platform refuses binds the gateway, too."""
    host, before = _settings(resource).host, firewall(plan)
    rule: dict[str, Any] = {"to": [{"operation": {"hosts": [host, f"{host}:*"]}}]}
    if before is not None:
        rule = {"from": [{"source": {"principals": [istio.principal(before.identity)]}}], **rule}
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": resource.name},
        "spec": {
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": resource.name}],
            "action": "ALLOW",
            "rules": [rule],
        },
    }


# --- routes ---------------------------------------------------------------------------------------------------------


def _routes(resource: Resource, plan: Plan) -> Iterator[Manifest]:
    """The longest prefix wins, whatever the order; they are split where one object cannot hold them."""
    settings = _settings(resource)
    rules = [_rule(prefix, service) for prefix, service in settings.routes.items()]
    for number, first in enumerate(range(0, len(rules), MOST_RULES), 1):
        name = resource.name if number == 1 else entry(resource.name, str(number))
        yield _route(resource, name, "https", rules[first : first + MOST_RULES])
    if firewall(plan) is None:
        redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}}
        yield _route(resource, entry(resource.name, "plain"), "http", [{"filters": [redirect]}])


def _route(resource: Resource, name: str, listener: str, rules: list[dict[str, Any]]) -> Manifest:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name},
        "spec": {
            "parentRefs": [{"name": resource.name, "sectionName": listener}],
            "hostnames": [_settings(resource).host],
            "rules": rules,
        },
    }


def _rule(prefix: str, service: str) -> dict[str, Any]:
    return {
        "matches": [{"path": {"type": "PathPrefix", "value": prefix}}],
        "timeouts": {"request": envoy.REQUEST_S},
        "backendRefs": [{"name": service, "port": SERVICE_PORT}],
    }


# --- pods -----------------------------------------------------------------------------------------------------------


def _parameters(resource: Resource, plan: Plan) -> Manifest:
    """Patches of what Istio makes. JSON is YAML."""
    patches: dict[str, Any] = {
        "deployment": _deployment(resource, plan),
        "horizontalPodAutoscaler": {
            "spec": {
                "minReplicas": REPLICAS.low,
                "maxReplicas": REPLICAS.high,
                "metrics": by_cpu(PROXY),
                "behavior": dict(BEHAVIOR),
            }
        },
        "podDisruptionBudget": {"spec": {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"}},
    }
    if firewall(plan) is None:
        patches["service"] = {"spec": {"externalTrafficPolicy": "Local"}}  # or the client's address is lost
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": resource.name},
        "data": {key: json.dumps(patch, indent=2) + "\n" for key, patch in patches.items()},
    }


def _deployment(resource: Resource, plan: Plan) -> dict[str, Any]:
    trusted = 1 if firewall(plan) else 0
    proxy = {"terminationDrainDuration": f"{_STOP_S}s", "gatewayTopology": {"numTrustedProxies": trusted}}
    return {
        "spec": {
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"annotations": {"proxy.istio.io/config": json.dumps(proxy)}},
                "spec": {
                    **pods.BARE_POD,
                    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                    "terminationGracePeriodSeconds": _DRAIN_S + _STOP_S + 5,
                    "topologySpreadConstraints": pods.spread(plan, {_SELECTOR: resource.name}, revisions=True),
                    "containers": [
                        {
                            "name": PROXY,
                            "resources": pods.resources("medium", "256Mi"),
                            "lifecycle": {"preStop": {"sleep": {"seconds": _DRAIN_S}}},
                        }
                    ],
                },
            },
        }
    }
