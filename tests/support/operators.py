"""Real operators as processes of this machine, which take a test's control plane for the cluster that they run in."""

from __future__ import annotations

import base64
import gzip
import socket
import subprocess
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
import yaml

from support.control_plane import PORT, START_S, Cluster
from support.kubernetes_tools import ISTIOCTL, ISTIOD, MONGODB_OPERATOR, PROMETHEUS_OPERATOR, SEALED_SECRETS, built
from support.platform import wait_for

Object = dict[str, Any]

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# In a mount namespace of its own /run is empty but for what a pod finds there; then it becomes the program.
_IN_A_POD = """
mount -t tmpfs tmpfs /run && mkdir -p "$1" && cp "$2/token" "$2/ca.crt" "$2/namespace" "$1" && shift 2 && exec "$@"
"""


def sealed_secrets(cluster: Cluster, namespace: str = "kube-system") -> None:
    """Starts the controller of Sealed Secrets; returns when it has a certificate to seal with."""
    program = built(SEALED_SECRETS)[SEALED_SECRETS.name].programs["controller"]
    cluster.processes.start(
        SEALED_SECRETS.name, *_pod(cluster, namespace, SEALED_SECRETS.name), program,
        f"--listen-addr={cluster.address}:8084", f"--listen-metrics-addr={cluster.address}:8085",
    )  # fmt: skip
    wait_for("the controller's certificate", lambda: _answer(cluster, _sealing(cluster)), START_S)


def sealing_certificate(cluster: Cluster) -> str:
    """What the running controller of Sealed Secrets opens, in PEM."""
    return httpx.get(_sealing(cluster)).raise_for_status().text


def _sealing(cluster: Cluster) -> str:
    return f"http://{cluster.address}:8084/v1/cert.pem"


def prometheus_operator(cluster: Cluster) -> None:
    """Starts it; a ``Prometheus`` in any namespace gets its configuration from then on."""
    program = built(PROMETHEUS_OPERATOR)[PROMETHEUS_OPERATOR.name].programs["operator"]
    cluster.processes.start(
        PROMETHEUS_OPERATOR.name, *_environment(KUBECONFIG=str(cluster.kubeconfig)), program,
        f"--web.listen-address={cluster.address}:8082", "--kubelet-endpoints=false",
    )  # fmt: skip


def scrape_configuration(cluster: Cluster, namespace: str, name: str) -> Object:
    """What the operator made for a ``Prometheus``; empty as long as it has made nothing."""
    answer = cluster.client.get(f"/api/v1/namespaces/{namespace}/secrets/prometheus-{name}")
    if not answer.is_success:
        return {}
    data = base64.b64decode(answer.json()["data"]["prometheus.yaml.gz"])
    configuration: Object = yaml.safe_load(gzip.decompress(data))
    return configuration


def mongodb_operator(cluster: Cluster) -> None:
    """Starts it for all namespaces; a ``MongoDBCommunity`` gets its StatefulSet from then on.

    The asking test is skipped where another program holds the port of its metrics, which cannot be changed.
    """
    try:
        socket.create_server(("", 8080)).close()
    except OSError:
        pytest.skip("another program holds port 8080, which the MongoDB operator needs and cannot change")
    program = built(MONGODB_OPERATOR)[MONGODB_OPERATOR.name].programs["manager"]
    images = {
        "MONGODB_REPO_URL": "example",
        "MONGODB_IMAGE": "mongodb",
        "AGENT_IMAGE": "example/agent:1",
        "VERSION_UPGRADE_HOOK_IMAGE": "example/hook:1",
        "READINESS_PROBE_IMAGE": "example/probe:1",
    }
    environment = _environment(KUBECONFIG=str(cluster.kubeconfig), WATCH_NAMESPACE="*", **images)
    cluster.processes.start(MONGODB_OPERATOR.name, *environment, program)


def istiod(cluster: Cluster) -> None:
    """Installs Istio as a platform's prerequisites say, istiod as a process; returns when it answers the API server.

    From then on it validates Istio's resources and injects sidecars, and Gateways get their Deployments.
    """
    programs = built(ISTIOCTL, ISTIOD)
    made = _istio(programs[ISTIOCTL.name].programs["istioctl"])
    folder = cluster.folder / ISTIOD.name
    for name, file in (("istio", "etc/istio/config"), ("istio-sidecar-injector", "var/lib/istio/inject")):
        (folder / file).mkdir(parents=True)
        for key, text in made["ConfigMap", name]["data"].items():
            (folder / file / key).write_text(text)
    cluster.kubectl("create", "namespace", "istio-system")
    wanted = [_answered_at(cluster, each) for (kind, _), each in made.items() if kind not in _NOT_APPLIED]
    cluster.kubectl("apply", "--server-side", "-f", "-", text=yaml.safe_dump_all(wanted))
    environment = _environment(
        POD_NAME="istiod", POD_NAMESPACE="istio-system", SERVICE_ACCOUNT="istiod", REVISION="default",
        PILOT_CERT_PROVIDER="istiod", CLUSTER_ID="Kubernetes", ISTIOD_CUSTOM_HOST=cluster.address,
        ENABLE_LEADER_ELECTION="false",
    )  # fmt: skip
    at = cluster.address
    cluster.processes.start(
        ISTIOD.name, *environment, f"--chdir={folder}", programs[ISTIOD.name].programs["pilot-discovery"],
        "discovery", f"--kubeconfig={cluster.kubeconfig}", f"--httpAddr={at}:8083", f"--httpsAddr={at}:15017",
        f"--grpcAddr={at}:15010", f"--secureGRPCAddr={at}:15012", f"--monitoringAddr={at}:15014",
        f"--ctrlz_address={at}",
    )  # fmt: skip
    wait_for("istiod", lambda: _answer(cluster, f"http://{at}:8083/ready"), START_S)
    wait_for("istiod's webhooks", lambda: _has_authority(cluster), START_S)


_NOT_APPLIED = ("CustomResourceDefinition", "DaemonSet", "Deployment", "HorizontalPodAutoscaler", "Service")
_HOOKS = "/apis/admissionregistration.k8s.io/v1"


def _istio(istioctl: str) -> Mapping[tuple[str, str], Object]:
    """What the installation makes, by kind and name."""
    values = {
        "profile": "minimal",
        "components.cni.enabled": "true",
        "values.defaultRevision": "default",
        "values.global.proxy.seccompProfile.type": "RuntimeDefault",
        "values.gateways.seccompProfile.type": "RuntimeDefault",
    }
    settings = [f"--set={name}={value}" for name, value in values.items()]
    text = subprocess.run(
        [istioctl, "manifest", "generate", *settings], capture_output=True, text=True, check=True
    ).stdout
    documents = [each for each in yaml.load_all(text, yaml.CSafeLoader) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


def _answered_at(cluster: Cluster, manifest: Object) -> Object:
    """A webhook at the process instead of at a Service; anything else as it is."""
    for hook in manifest.get("webhooks", ()):
        service = hook["clientConfig"].pop("service")
        hook["clientConfig"]["url"] = f"https://{cluster.address}:15017{service['path']}"
    return manifest


def _has_authority(cluster: Cluster) -> bool:
    """Whether istiod has told the API server which authority its webhooks' certificate is from."""
    cluster.processes.check()
    kinds = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
    hooks = [hook for kind in kinds for each in cluster.get(f"{_HOOKS}/{kind}")["items"] for hook in each["webhooks"]]
    return bool(hooks) and all("caBundle" in hook["clientConfig"] for hook in hooks)


def _environment(**variables: str) -> tuple[str, ...]:
    """What stands before a program's command line to give it variables."""
    return ("env", *(f"{name}={value}" for name, value in variables.items()))


def _answer(cluster: Cluster, url: str) -> httpx.Response | None:
    """A good answer of an operator; None as long as there is none."""
    cluster.processes.check()
    try:
        answer = httpx.get(url)
    except httpx.TransportError:
        return None
    return answer if answer.is_success else None


def _pod(cluster: Cluster, namespace: str, account: str) -> tuple[str, ...]:
    """What stands before a program's command line so that it finds itself in a pod under a powerful account."""
    place = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}"
    metadata = {"name": account, "namespace": namespace}
    cluster.apply(place, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    cluster.apply(
        f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{account}",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": account},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", **metadata}],
        },
    )
    answer = cluster.client.post(f"{place}/token", json={"spec": {"expirationSeconds": 86400}})
    folder = cluster.folder / f"{account}-account"
    folder.mkdir(mode=0o700)
    (folder / "token").write_text(answer.raise_for_status().json()["status"]["token"])
    (folder / "ca.crt").write_bytes(cluster.authority.bundle.read_bytes())
    (folder / "namespace").write_text(namespace)
    return (
        *_environment(KUBERNETES_SERVICE_HOST=cluster.address, KUBERNETES_SERVICE_PORT=str(PORT)),
        "unshare", "--mount", "--map-root-user", "sh", "-c", _IN_A_POD, "sh", ACCOUNT, str(folder),
    )  # fmt: skip
