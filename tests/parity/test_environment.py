"""What a service finds in its environment: the same names at both ends."""

from __future__ import annotations

import pytest

from contracts.hand_made import site_of
from greenfield.model.local import Process
from greenfield.targets.kubernetes.objects import unsealed
from parity.test_parity import CASES, CATALOGUE, planned

LISTENS = {"PORT", "UDS"}
CALLER = {"PATH", "HOME", "LANG", "TZ"}
"""Of whoever typed `up`; there they are the image's own."""
HERE_ALONE = {
    "_UDS": "whom it calls it reaches by a socket of its sidecar; there the proxy takes connections to the name",
    "_TLS_PEM": "Kafka's operator writes key and certificate as two files and not as one",
    "OTEL_EXPORTER_OTLP_CERTIFICATE": "there the proxy shows the certificate",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY": "the same",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "the same",
}
THERE_ALONE = {"POD_NAME": "a part of the resource that telemetry is about, as no ConfigMap can say it"}


def found_here(case: str) -> dict[str, set[str]]:
    """By service the variables of its first replica's program."""
    plan = planned(case)
    site = site_of(plan, CATALOGUE)
    names: dict[str, set[str]] = {}
    for resource in plan.of_kind("service"):
        side = CATALOGUE["service"].local()
        assert side is not None
        programs = [each for each in side.local(resource, plan, site) if isinstance(each, Process)]
        names[resource.name] = set(next(p for p in programs if p.name == p.member).environment)
    return names


def found_there(case: str) -> dict[str, set[str]]:
    """By service the entries of its ConfigMap and its Secret, and what its container is told besides."""
    plan = planned(case)
    services = {resource.name for resource in plan.of_kind("service")}
    names: dict[str, set[str]] = {service: set() for service in services}
    objects = [each.manifest for each in unsealed(plan, CATALOGUE)]
    entries = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    for service in services:
        pod = entries["Deployment", service]["spec"]["template"]["spec"]
        (container,) = [each for each in pod["containers"] if each["name"] != "istio-proxy"]
        names[service] |= {variable["name"] for variable in container.get("env", ())}
        for source in container["envFrom"]:
            if "configMapRef" in source:
                names[service] |= entries["ConfigMap", source["configMapRef"]["name"]]["data"].keys()
    return names


@pytest.mark.parametrize("case", CASES)
def test_a_service_finds_the_same_names_at_both_ends(case: str) -> None:
    """But for where it listens, what a shell brings, and what is explained."""
    here, there = found_here(case), found_there(case)
    assert here.keys() == there.keys()
    for service, names in here.items():
        explained = {name for name in names - there[service] if name.endswith(tuple(HERE_ALONE))}
        assert names - explained - LISTENS - CALLER == there[service] - THERE_ALONE.keys() - LISTENS, service
