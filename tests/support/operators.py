"""Real operators as processes of this machine, which take a test's control plane for the cluster that they run in."""

from __future__ import annotations

import httpx

from support.control_plane import PORT, Cluster
from support.kubernetes_tools import SEALED_SECRETS, built
from support.platform import wait_for

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# In a mount namespace of its own /run is empty but for what a pod finds there; then it becomes the program.
_IN_A_POD = """
mount -t tmpfs tmpfs /run && mkdir -p "$1" && cp "$2/token" "$2/ca.crt" "$2/namespace" "$1" && shift 2 && exec "$@"
"""


def sealed_secrets(cluster: Cluster, namespace: str = "kube-system") -> str:
    """Starts the controller of Sealed Secrets; the certificate to seal with, in PEM, once it serves it."""
    program = built(SEALED_SECRETS)[SEALED_SECRETS.name].programs["controller"]
    url = f"http://{cluster.address}:8080/v1/cert.pem"
    prefix = _pod(cluster, namespace, SEALED_SECRETS.name)
    cluster.processes.start(
        SEALED_SECRETS.name, *prefix, program,
        f"--listen-addr={cluster.address}:8080", f"--listen-metrics-addr={cluster.address}:8081",
    )  # fmt: skip
    return wait_for("the controller's certificate", lambda: _text(cluster, url), 60)


def _text(cluster: Cluster, url: str) -> str:
    cluster.processes.check()
    try:
        answer = httpx.get(url)
    except httpx.TransportError:
        return ""
    return answer.text if answer.is_success else ""


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
        "env", f"KUBERNETES_SERVICE_HOST={cluster.address}", f"KUBERNETES_SERVICE_PORT={PORT}",
        "unshare", "--mount", "--map-root-user", "sh", "-c", _IN_A_POD, "sh", ACCOUNT, str(folder),
    )  # fmt: skip
