"""How the firewall runs on Kubernetes: nginx with ModSecurity and the Core Rule Set, as the load balancer's target.

The image's entrypoint writes its configuration into folders that a read-only container does not have, and knows no
verified TLS towards what stands behind; so it is passed by, and nginx reads the same files that it reads locally.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from greenfield.model.binding import Leaf as Files
from greenfield.model.manifest import ANYWHERE, MOUNTED, Allow, Chart, Cluster, Door, Manifest, Mount, Peer, Port
from greenfield.model.plan import Plan, Resource
from greenfield.model.quantity import TIERS
from greenfield.programs import istio, pods
from greenfield.programs.certificates import Leaf, certificate, secret_name
from greenfield.programs.edge import HTTPS, PLAIN, REPLICAS, announced, shown
from greenfield.programs.firewall import HEALTH_PATH, NGINX, Place, PlacedFirewall, configuration
from greenfield.programs.names import digest, entry
from greenfield.programs.quantities import TierName
from greenfield.programs.scaling import METRICS_SERVER, autoscaler

IMAGE: Final = "docker.io/owasp/modsecurity-crs:4.28.0-nginx-alpine-202607160307"
"""nginx 1.30.4, ModSecurity 3.0.16, CRS 4.28.0 (coreruleset/modsecurity-crs-docker, docker-bake.hcl)."""
CONTAINER: Final = "nginx"
POD_HTTPS, POD_PLAIN = 8443, 8080
FOLDER: Final = f"{MOUNTED}/waf"
SIZE: Final[TierName] = "large"
"""A core does some 400 requests with a body a second: it is the first thing that a busy platform runs out of."""
_USER: Final = 101  # the image's own, to whom its files belong
_DRAIN_S, _STOP_S = 5, 35
_TEMPORARY: Final = "/tmp"  # noqa: S108 - the pod's own


def door(resource: Resource, plan: Plan) -> Door | None:
    """The load balancer."""
    peer = Peer(pods.labels(plan, resource.name), name=resource.name)
    return Door(istio.host(resource.name, plan), {"https": HTTPS}, peer, {"https": POD_HTTPS})


def mount(service: str, resource: Resource, plan: Plan) -> Mount:  # noqa: ARG001
    """None: no service uses it."""
    return {}


def allows(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Allow]:  # noqa: ARG001
    """Anybody enters; it goes to the gateway alone."""
    peer, gateway = cluster.doors[resource.name].peer, cluster.doors[resource.brought_by]
    yield Allow(ANYWHERE, peer, (Port(POD_PLAIN), Port(POD_HTTPS)), "people, by the load balancer")
    ports = tuple(Port(number) for number in gateway.pod_ports.values())
    yield Allow(peer, gateway.peer, ports, "requests that it let through")


def charts(resource: Resource, plan: Plan) -> Iterable[Chart]:  # noqa: ARG001
    """What scales it."""
    yield METRICS_SERVER


def manifests(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Manifest]:
    """Two certificates, one for people and one for the gateway; its configuration; the pods and their door."""
    settings, selected = _settings(resource), pods.labels(plan, resource.name)
    yield {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": resource.name},
        "automountServiceAccountToken": False,
    }
    edge = Leaf(_edge(resource), resource.name, resource.identity, dns=(settings.host,))
    yield shown(edge, settings.host, plan, cluster)
    yield certificate(Leaf(resource.name, resource.name, resource.identity), plan)
    files = configuration(settings, _place(resource, cluster))
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": resource.name}, "data": files}
    yield _deployment(resource, plan, files)
    yield _service(resource, selected)
    yield autoscaler(resource.name, REPLICAS, CONTAINER)
    yield pods.disruption_budget(resource.name, selected)


def _settings(resource: Resource) -> PlacedFirewall:
    assert isinstance(resource.settings, PlacedFirewall)
    return resource.settings


def _edge(resource: Resource) -> str:
    return entry(resource.name, "edge")


def _files(folder: str) -> Files:
    where = f"{FOLDER}/{folder}"
    return Files(f"{where}/ca.crt", f"{where}/tls.crt", f"{where}/tls.key", f"{where}/tls-combined.pem")


def _place(resource: Resource, cluster: Cluster) -> Place:
    gateway = cluster.doors[resource.brought_by]
    return Place(
        module="/etc/nginx/modules/ngx_http_modsecurity_module.so",
        rules="/opt/owasp-crs/rules/*.conf",
        unicode="/etc/modsecurity.d/unicode.mapping",
        folder=f"{FOLDER}/config",
        temporary=_TEMPORARY,
        audit="/dev/stdout",
        https=str(POD_HTTPS),
        plain=str(POD_PLAIN),
        names=(_settings(resource).host,),
        edge=_files("edge"),
        inner=_files("inner"),
        upstream=f"{gateway.host}:{gateway.ports['https']}",
        workers=max(1, TIERS[SIZE].cpu_limit // 1000),
    )


def _deployment(resource: Resource, plan: Plan, files: dict[str, str]) -> Manifest:
    selected = pods.labels(plan, resource.name)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": resource.name},
        "spec": {
            "revisionHistoryLimit": 5,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": selected},
            "template": {
                "metadata": {
                    "labels": {**selected, **pods.NO_SIDECAR},
                    "annotations": {"checksum/config": digest(*files.values())},
                },
                "spec": {
                    "serviceAccountName": resource.name,
                    **pods.BARE_POD,
                    "securityContext": {
                        **pods.POD_SECURITY,
                        **dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"), _USER),
                    },
                    "terminationGracePeriodSeconds": _DRAIN_S + _STOP_S + 5,
                    "topologySpreadConstraints": pods.spread(plan, selected, revisions=True),
                    "containers": [_container()],
                    "volumes": _volumes(resource),
                },
            },
        },
    }


def _container() -> dict[str, Any]:
    probe = {"httpGet": {"path": HEALTH_PATH, "port": "http"}, "timeoutSeconds": 3}
    return {
        "name": CONTAINER,
        "image": IMAGE,
        "command": ["nginx", "-e", "/dev/stderr", "-c", f"{FOLDER}/config/{NGINX}", "-g", "daemon off;"],
        "ports": [{"name": "https", "containerPort": POD_HTTPS}, {"name": "http", "containerPort": POD_PLAIN}],
        "resources": pods.resources(SIZE, "512Mi"),
        "securityContext": dict(pods.CONTAINER_SECURITY),
        "startupProbe": {**probe, "periodSeconds": 2, "failureThreshold": 60},
        "readinessProbe": {**probe, "periodSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {**probe, "periodSeconds": 10, "failureThreshold": 6},
        # Callers forget the pod meanwhile. Then comes SIGQUIT, as the image asks, and nginx ends what is under way.
        "lifecycle": {"preStop": {"sleep": {"seconds": _DRAIN_S}}},
        "volumeMounts": [
            {"name": "tmp", "mountPath": _TEMPORARY},
            *(
                {"name": name, "mountPath": f"{FOLDER}/{name}", "readOnly": True}
                for name in ("config", "edge", "inner")
            ),
        ],
    }


def _volumes(resource: Resource) -> list[dict[str, Any]]:
    secrets = {"edge": secret_name(_edge(resource)), "inner": secret_name(resource.name)}
    return [
        {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
        {"name": "config", "configMap": {"name": resource.name}},
        *({"name": name, "secret": {"secretName": secret, "defaultMode": 0o440}} for name, secret in secrets.items()),
    ]


def _service(resource: Resource, selected: dict[str, str]) -> Manifest:
    """A node passes on only what is for its own pods, so that the client's address stays."""
    announcement = announced(_settings(resource).host)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": resource.name, **({"annotations": announcement} if announcement else {})},
        "spec": {
            "type": "LoadBalancer",
            "externalTrafficPolicy": "Local",
            "selector": selected,
            "ports": [
                {"name": "https", "port": HTTPS, "targetPort": "https", "appProtocol": "https"},
                {"name": "http", "port": PLAIN, "targetPort": "http", "appProtocol": "http"},
            ],
        },
    }
