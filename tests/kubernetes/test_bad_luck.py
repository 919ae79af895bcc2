"""Whatever a cluster refuses is told in words, with its remedy; nothing is changed before everything was tried."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from greenfield.targets.kubernetes.live.applyset import PARENT
from kubernetes.deployed import Deployed, deployed
from support.control_plane import Cluster
from support.platform import wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture
def running(tmp_path: Path, answering_operators: Cluster) -> Iterator[Deployed]:
    """Deployed."""
    with deployed(tmp_path, answering_operators) as found:
        found.platform.ok("deploy")
        yield found


def refused(found: Deployed, *arguments: str, code: int = 1) -> str:
    """What a deploy that fails says on stderr."""
    done = found.platform.run("deploy", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr


def replicas(number: int) -> Any:
    """Another number of replicas of the stock."""

    def change(data: dict[str, Any]) -> None:
        data["services"]["stock"]["replicas"] = number

    return change


def test_kinds_that_are_missing_are_told_with_what_brings_them(tmp_path: Path, bare_cluster: Cluster) -> None:
    """A cluster where no operator was installed: each kind, its chart, and Helm's command."""
    with deployed(tmp_path, bare_cluster) as found:
        told = refused(found)
        assert "does not know" in told
        assert "Certificate (cert-manager.io/v1): cert-manager" in told
        assert "helm upgrade --install cert-manager oci://quay.io/jetstack/charts/cert-manager" in told
        assert bare_cluster.client.get(f"/api/v1/namespaces/{found.name}").status_code == 404


def test_who_may_not_is_told_a_role_that_allows_it(running: Deployed) -> None:
    """With that role, an administrator's kubectl and nothing else, it works."""
    user = f"dev-{uuid.uuid4().hex[:6]}"
    kubeconfig = str(running.cluster.kubeconfig_of(user))
    running.platform.edit(replicas(3))
    told: list[str] = []
    while (done := running.platform.run("deploy", "--kubeconfig", kubeconfig)).returncode:
        assert f"{user} may not" in done.stderr
        assert "Nothing was changed." in done.stderr
        told.append(done.stderr)
        assert len(told) < 4, done.stderr  # to see what there is; to list it and try; no more
        roles = done.stderr[done.stderr.index("apiVersion: rbac.authorization.k8s.io/v1") :]
        running.cluster.kubectl("apply", "-f", "-", text=renamed(roles))
    assert told
    assert running.objects["Deployment/stock"]["spec"]["replicas"] == 3


def renamed(roles: str) -> str:
    """The told roles under names of their own: each time others are told."""
    documents = list(yaml.safe_load_all(roles))
    suffix = uuid.uuid4().hex[:6]
    for each in documents:
        each["metadata"]["name"] += f"-{suffix}"
        if "roleRef" in each:
            each["roleRef"]["name"] += f"-{suffix}"
    return yaml.safe_dump_all(documents)


def test_a_quota_that_is_exceeded_is_told_with_its_numbers(running: Deployed) -> None:
    """For what is refused by itself, not only its pods."""
    running.cluster.apply(
        running.path("resourcequotas", "few"),
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "few"},
            "spec": {"hard": {"count/configmaps": "1"}},
        },
    )
    wait_for("the quota", lambda: "used" in running.cluster.get(running.path("resourcequotas", "few"))["status"])

    def another(data: dict[str, Any]) -> None:
        data["services"]["third"] = {**data["services"]["stock"], "path": "stock"}

    running.platform.edit(another)
    told = refused(running)
    assert "quota few allows count/configmaps=1" in told
    assert "raise the quota" in told
    assert "Deployment/third" not in running.objects


def test_a_field_that_cannot_change_is_told_with_the_remedy(running: Deployed) -> None:
    """Which one, and what to delete."""
    patch = {
        "for": "kubernetes",
        "target": "Deployment/stock",
        "path": "spec.selector.matchLabels.app",
        "set": "other",
        "reason": "test",
    }
    label = {**patch, "path": "spec.template.metadata.labels.app"}
    running.platform.edit(lambda data: data.update(patches=[patch, label]))
    told = refused(running)
    assert "Deployment/stock: spec.selector cannot change" in told
    assert f"kubectl -n {running.name} delete deployment stock" in told


def test_a_field_that_does_not_exist_is_told(running: Deployed) -> None:
    """Never dropped in silence."""
    patch = {"for": "kubernetes", "target": "Deployment/stock", "path": "spec.replicaz", "set": 2, "reason": "test"}
    running.platform.edit(lambda data: data.update(patches=[patch]))
    told = refused(running)
    assert "replicaz" in told
    assert "Nothing was changed." in told


def test_a_webhook_that_does_not_answer_is_told(running: Deployed) -> None:
    """By its name, and that of the Service which should be looked at."""
    name = f"{running.name}.example.org"
    only = {"matchLabels": {"kubernetes.io/metadata.name": running.name}}
    hook = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": running.name},
        "webhooks": [
            {
                "name": name,
                "clientConfig": {"service": {"namespace": "operators", "name": "gone", "path": "/"}},
                "rules": [
                    {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["deployments"]}
                ],
                "namespaceSelector": only,
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 1,
            }
        ],
    }
    path = f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{running.name}"
    running.cluster.apply(path, hook)
    try:
        running.platform.edit(replicas(3))
        told = wait_for("the webhook", lambda: said_where_it_failed(running))
    finally:
        running.cluster.client.delete(path)
    assert f"the webhook {name} (Service gone in operators) does not answer" in told
    assert "kubectl -n operators get pods" in told


def said_where_it_failed(found: Deployed) -> str:
    """Empty where it did not: a webhook is called a moment after it was declared."""
    done = found.platform.run("deploy", "--dry-run", "server")
    return done.stderr if done.returncode else ""


def test_a_name_that_is_too_long_is_told(tmp_path: Path, answering_operators: Cluster) -> None:
    """A Service may have 63 characters."""
    with deployed(tmp_path, answering_operators) as found:
        patch = {
            "for": "kubernetes",
            "target": "Service/stock",
            "path": "metadata.name",
            "set": "s" * 64,
            "reason": "x",
        }
        found.platform.edit(lambda data: data.update(patches=[patch]))
        told = refused(found, "--timeout", "30s")
        assert "is longer than the 63 characters" in told
        assert "shorter name" in told


def test_an_expired_certificate_is_told_with_its_end(running: Deployed) -> None:
    """The API server only breaks off."""
    kubeconfig = running.cluster.kubeconfig_of("late", valid=-dt.timedelta(hours=1))
    told = refused(running, "--kubeconfig", str(kubeconfig))
    assert "certificate by which context" in told
    assert "ended 20" in told


def test_a_cluster_that_is_not_there_is_told_with_its_address(running: Deployed) -> None:
    """And the context; nothing is tried for long."""
    config = yaml.safe_load(running.cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    elsewhere = running.platform.folder / "elsewhere"
    elsewhere.write_text(yaml.safe_dump(config))
    told = refused(running, "--kubeconfig", str(elsewhere))
    assert "The cluster at https://127.0.0.1:9" in told
    assert "--context" in told


def test_a_foreign_certificate_is_told(running: Deployed) -> None:
    """That of another cluster at the same address."""
    config = yaml.safe_load(running.cluster.kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    cluster.pop("certificate-authority-data", None)
    cluster["certificate-authority"] = str(stranger(running.platform.folder))
    elsewhere = running.platform.folder / "elsewhere"
    elsewhere.write_text(yaml.safe_dump(config))
    assert "cannot be trusted" in refused(running, "--kubeconfig", str(elsewhere))


def stranger(folder: Path) -> Path:
    """The certificate of an authority that signed nothing here."""
    from support.cluster_certificates import Authority

    return Authority(folder / "stranger").bundle


def test_a_plugin_logs_in_and_its_failure_is_told(running: Deployed) -> None:
    """As kubectl runs it: for a token, or for a certificate as here."""
    admin = yaml.safe_load(running.cluster.kubeconfig.read_text())
    user = admin["users"][0]["user"]
    plugin = running.platform.folder / "login"
    keys = {"clientCertificateData": "client-certificate-data", "clientKeyData": "client-key-data"}
    status = {name: base64.b64decode(user[key]).decode() for name, key in keys.items()}
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    plugin.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(answer)}\nEND\n")
    plugin.chmod(stat.S_IRWXU)
    admin["users"][0]["user"] = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    }
    by_plugin = running.platform.folder / "by-plugin"
    by_plugin.write_text(yaml.safe_dump(admin))
    running.platform.ok("deploy", "--kubeconfig", str(by_plugin))
    plugin.write_text("#!/bin/sh\necho 'please log in with your browser' >&2\nexit 3\n")
    assert "please log in with your browser" in refused(running, "--kubeconfig", str(by_plugin))


def test_contexts_and_files_are_taken_as_kubectl_takes_them(running: Deployed) -> None:
    """Several files are merged; a context that is none is the caller's mistake, and the near one is named."""
    broken = running.platform.folder / "other"
    broken.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "far", "cluster": {"server": "https://127.0.0.1:9"}}],
                "contexts": [{"name": "far", "context": {"cluster": "far", "user": "nobody"}}],
                "users": [{"name": "nobody", "user": {"token": "none"}}],
            }
        )
    )
    own = yaml.safe_load(running.cluster.kubeconfig.read_text())["current-context"]
    running.platform.environment = {"KUBECONFIG": os.pathsep.join([str(broken), str(running.cluster.kubeconfig)])}
    running.platform.ok("diff", "--context", own)
    assert f"did you mean {own!r}?" in refused(running, "--context", f"{own}s", code=2)
    assert "https://127.0.0.1:9" in refused(running, "--context", "far")


def test_a_parent_that_is_not_ours_stops_the_deploy(tmp_path: Path, answering_operators: Cluster) -> None:
    """A ConfigMap of that name in a namespace that somebody else uses."""
    with deployed(tmp_path, answering_operators) as found:
        place = f"/api/v1/namespaces/{found.name}"
        answering_operators.apply(place, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": found.name}})
        theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": PARENT}}
        answering_operators.apply(f"{place}/configmaps/{PARENT}", theirs)
        assert "that no deploy of greenfield wrote" in refused(found)


def test_the_environment_must_be_named(tmp_path: Path, answering_operators: Cluster) -> None:
    """Where the file has some; one that it has not is told with the nearest."""
    with deployed(tmp_path, answering_operators, environments={"prod": {}, "test": {}}) as found:
        assert "--env" in refused(found, code=2)
        assert "did you mean 'prod'?" in refused(found, "--env", "prdo", code=2)
