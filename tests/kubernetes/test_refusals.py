"""What an API server says, word for word as it says it, becomes a sentence and a remedy."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from greenfield.targets.kubernetes.live.api import Refusal
from greenfield.targets.kubernetes.live.refusals import ROLE, Refused, explained


def refused(title: str, code: int, message: str, *causes: dict[str, str], **status: Any) -> Refused:
    """One answer."""
    return Refused(title, "shop", Refusal(code, {"message": message, "details": {"causes": causes}, **status}))


FORBIDDEN = (
    'deployments.apps "catalog" is forbidden: User "ann" cannot patch resource "deployments" in API group "apps"'
    ' in the namespace "shop"'
)
CASES = [
    (refused("ConfigMap/a", 401, "Unauthorized"), "does not know who asks", "log in again"),
    (
        refused("PVC/a", 403, 'x "a" is forbidden: exceeded quota: few, requested: c=1, used: c=3, limited: c=3'),
        "quota few allows c=3, of which c=3 is used, and this asks for c=1",
        "raise the quota",
    ),
    (
        refused("Pod/a", 403, 'pods "a" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'),
        "runAsNonRoot != true",
        "does a patch undo it",
    ),
    (
        refused(
            "Role/a",
            403,
            "x is forbidden: unable to create new content in namespace shop because it is being terminated",
        ),
        "namespace shop is being deleted",
        "kubectl wait --for=delete namespace/shop",
    ),
    (
        refused(
            "Cluster/a",
            500,
            'Internal error occurred: failed calling webhook "mcluster.cnpg.io": failed to call webhook: Post '
            '"https://cnpg-webhook-service.cnpg-system.svc:443/mutate?timeout=10s": context deadline exceeded',
        ),
        "the webhook mcluster.cnpg.io (Service cnpg-webhook-service in cnpg-system) does not answer: context deadline",
        "kubectl -n cnpg-system get pods",
    ),
    (
        refused("Kafka/a", 400, 'admission webhook "v.example" denied the request: too many brokers'),
        "the webhook v.example says: too many brokers",
        "",
    ),
    (
        refused(
            "Deployment/a",
            409,
            "Apply failed with 1 conflict",
            {
                "reason": "FieldManagerConflict",
                "message": 'conflict with "kubectl-edit" using apps/v1 at 2026-11-24T10:00:00Z',
                "field": ".spec.replicas",
            },
        ),
        ".spec.replicas is managed by kubectl-edit since 2026-11-24T10:00:00Z",
        "--force-conflicts",
    ),
    (
        refused(
            "Deployment/a",
            422,
            'Deployment.apps "a" is invalid: spec.selector: Invalid value: {}: field is immutable',
            {"field": "spec.selector", "message": "field is immutable"},
        ),
        "spec.selector cannot change",
        "kubectl -n shop delete deployment a",
    ),
    (
        refused(
            "StatefulSet/jaeger",
            422,
            'StatefulSet.apps "jaeger" is invalid: spec: Forbidden: updates to statefulset spec for fields other than',
            {"field": "spec", "message": "Forbidden: updates to statefulset spec for fields other than"},
        ),
        "spec cannot change",
        "kubectl -n shop delete statefulset jaeger --cascade=orphan",
    ),
    (
        refused(
            "Service/a",
            422,
            'Service "aaa" is invalid: metadata.name: Invalid value: "aaa": must be no more than 63 characters',
            {"field": "metadata.name", "message": "must be no more than 63 characters"},
        ),
        "metadata.name is longer than the 63 characters",
        "shorter name",
    ),
    (
        refused("Deployment/a", 400, 'strict decoding error: unknown field "spec.replicaz"'),
        "this cluster does not know spec.replicaz",
        "patch",
    ),
    (
        refused(
            "HTTPRoute/a",
            422,
            "HTTPRoute is invalid",
            {"field": "spec.rules", "message": "Too many: 17: must have at most 16 items"},
        ),
        "spec.rules: Too many: 17: must have at most 16 items",
        "",
    ),
    (
        refused("ConfigMap/a", 404, "not found", details={"kind": "namespaces", "name": "monitoring"}),
        "there is no namespace monitoring",
        "greenfield render",
    ),
    (refused("ConfigMap/a", 418, "something else"), "something else", ""),
]


@pytest.mark.parametrize(("one", "sentence", "remedy"), CASES, ids=lambda value: getattr(value, "title", None))
def test_a_refusal_becomes_words(one: Refused, sentence: str, remedy: str) -> None:
    """The object, what is wrong, what to do; and that nothing was changed."""
    error = explained([one])
    assert error.message.startswith(f"{one.title}: ")
    assert sentence in error.message
    assert error.message.endswith("Nothing was changed.")
    assert remedy in error.hint
    assert error.log == ()


def test_all_of_them_are_told_at_once() -> None:
    """Each with its object; a remedy that is the same, once; what was applied is not denied."""
    error = explained([one for one, _, _ in CASES], changed=True)
    assert error.message == f"The cluster refused {len(error.log)} objects."
    assert len(error.log) == len(CASES)
    assert error.hint.count("log in again") == 1


def test_what_is_forbidden_comes_with_roles_that_allow_it() -> None:
    """One for each namespace; for an account as for a person."""
    wide = FORBIDDEN.replace(' in the namespace "shop"', " at the cluster scope").replace("deployments", "namespaces")
    wide = wide.replace('group "apps"', 'group ""')
    error = explained([refused("Deployment/a", 403, FORBIDDEN), refused("Namespace/shop", 403, wide)])
    assert "Deployment/a: ann may not patch deployments.apps in namespace shop" in error.log
    assert "Namespace/shop: ann may not patch namespaces in the whole cluster" in error.log
    roles = list(yaml.safe_load_all(error.hint[error.hint.index("apiVersion") :]))
    assert [role["kind"] for role in roles] == ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]
    role, binding = roles[2:]
    assert role["metadata"] == {"name": ROLE, "namespace": "shop"}
    assert role["rules"][0]["resources"] == ["deployments"]
    assert {"patch", "create"} <= set(role["rules"][0]["verbs"])
    assert binding["subjects"] == [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann"}]
    robot = FORBIDDEN.replace('"ann"', '"system:serviceaccount:ci:robot"')
    account = explained([refused("Deployment/a", 403, robot)])
    assert "kind: ServiceAccount" in account.hint
