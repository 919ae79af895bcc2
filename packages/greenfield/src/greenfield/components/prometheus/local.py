"""Prometheus on this machine: it scrapes, by mTLS, every port claimed for series, while who serves there is ready."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from greenfield.components.prometheus import LOOPBACK, web_port
from greenfield.model.content import text
from greenfield.model.local import (
    Claim,
    Endpoint,
    EndpointsFile,
    File,
    HttpProbe,
    LeafClaim,
    PortClaim,
    Process,
    Site,
    Task,
    ToolClaim,
)
from greenfield.model.plan import Plan, Resource
from greenfield.programs.telemetry import (
    PROMETHEUS_PAGES,
    PROMETHEUS_SERVER,
    StoreSettings,
    internal,
    metrics_ports,
    resource_names,
    small_go,
)

_HEAP_MIB = 64
_EVERY, _WITHIN = "5s", "4s"


def claims(resource: Resource, plan: Plan) -> Iterable[Claim]:  # noqa: ARG001
    """A port for its page, a certificate inside the platform, the program."""
    yield PortClaim(web_port(resource), LOOPBACK, 9090, open="people look at its page here")
    yield LeafClaim(internal(resource.name), resource.name, resource.identity, authority="platform")
    yield ToolClaim(PROMETHEUS_SERVER)


def local(resource: Resource, plan: Plan, site: Site) -> Iterable[Process | Task]:
    """One process, which needs nobody: whom it scrapes stands in a file that follows who is ready."""
    (member,) = resource.members
    settings = resource.settings
    assert isinstance(settings, StoreSettings)
    installed, folder, data = (
        site.tools[PROMETHEUS_SERVER.name],
        f"{site.scratch}/{member.name}",
        f"{site.data}/{member.name}",
    )
    address, targets = site.endpoint(web_port(resource)), f"{folder}/targets.json"
    yield Process(
        name=member.name,
        resource=resource.name,
        member=member.name,
        zone=member.zone,
        argv=(
            installed.programs["prometheus"],
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={data}",
            f"--storage.tsdb.retention.time={settings.retention}",
            f"--web.listen-address={address}",
            f"--web.local-assets={installed.root}/{PROMETHEUS_PAGES}",
            f"--web.console.templates={folder}",
            f"--web.console.libraries={folder}",
            "--enable-feature=exemplar-storage",
            "--log.level=warn",
        ),
        environment={**small_go(_HEAP_MIB), **{name: text(value) for name, value in installed.environment.items()}},
        cwd=folder,
        probe=HttpProbe(address=address, path="/-/ready"),
        address=address,
        files=(_configuration(resource, site, folder, targets),),
        endpoints=(_targets(plan, site, targets),),
        directories=(folder, data),
        reload_signal="SIGHUP",
    )


def _configuration(resource: Resource, site: Site, folder: str, targets: str) -> File:
    leaf = site.leaves[internal(resource.name)]
    scrape: Mapping[str, Any] = {
        "job_name": "platform",
        "scheme": "https",
        # What services tell by OTLP comes from the collector under their own names.
        "honor_labels": True,
        "file_sd_configs": [{"files": [targets]}],
        "tls_config": {
            "ca_file": site.authorities["services"],
            "cert_file": leaf.certificate,
            "key_file": leaf.key,
            "min_version": "TLS13",
        },
    }
    config = {
        "global": {"scrape_interval": _EVERY, "scrape_timeout": _WITHIN},
        "scrape_configs": [scrape],
    }
    return File(path=f"{folder}/prometheus.yml", content=text(json.dumps(config)), on_change="reload")


def _targets(plan: Plan, site: Site, path: str) -> EndpointsFile:
    """``job`` is the resource, as it is the service in what services tell themselves; ``instance`` the process."""
    ports = list(metrics_ports(site))
    names = resource_names(plan, (process for process, _, _ in ports))
    lines = tuple(
        Endpoint(
            process=process,
            slot=slot,
            text=json.dumps(
                {"targets": [f"{host}:{port}"], "labels": {"job": names.get(process, process), "instance": process}}
            ),
        )
        for process, slot, (host, port) in ports
    )
    return EndpointsFile(path=path, endpoints=lines, head="[", tail="]")
