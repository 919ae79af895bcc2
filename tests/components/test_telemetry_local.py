"""How telemetry runs here, as data: who is asked for a certificate, what is bounded, who is scraped."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from contracts.hand_made import catalogue_of, plan_of, site_of
from greenfield.assurance.verify import prove
from greenfield.components.collector import COMPONENT as COLLECTOR
from greenfield.components.collector.tasks import admit
from greenfield.components.jaeger import COMPONENT as JAEGER
from greenfield.components.prometheus import COMPONENT as PROMETHEUS
from greenfield.model.content import plain
from greenfield.model.local import Awaited, LeafClaim, Process, Reconcile, Site, Task, ToolClaim
from greenfield.model.plan import Plan, service_identity
from greenfield.model.proof import Proof
from greenfield.programs.telemetry import (
    BUILDING,
    OPENTELEMETRY,
    collector_of,
    configuration,
    exporting,
    metrics_port,
    metrics_ports,
    resource_names,
)
from greenfield.targets.local.pki import VALIDITY, Pki

CATALOGUE = catalogue_of(COLLECTOR, JAEGER, PROMETHEUS)
AWAITED = Awaited(path="/tools/jaeger/jaeger", lock="/site/tools.lock", log="tools")


def planned(**settings: Any) -> Plan:
    """Two services and telemetry in three zones."""
    return plan_of(CATALOGUE, {"collector": ("collector", settings)}, {"catalog": {}, "web-shop": {}})


def nodes(plan: Plan, site: Site | None = None) -> dict[str, Process | Task]:
    """What runs, by name."""
    where = site or site_of(plan, CATALOGUE)
    return {
        node.name: node
        for resource in plan.resources
        if (side := CATALOGUE[resource.kind].local()) is not None
        for node in side.local(resource, plan, where)
    }


def process(name: str, plan: Plan | None = None, site: Site | None = None) -> Process:
    """A process."""
    found = nodes(plan or planned(), site)[name]
    assert isinstance(found, Process)
    return found


def configured(name: str, **settings: Any) -> Mapping[str, Any]:
    """The configuration of a process, read as the program reads it."""
    (file,) = process(name, planned(**settings)).files
    read = json.loads(plain(file.content))
    assert isinstance(read, dict)
    return read


def test_every_listener_asks_for_a_certificate() -> None:
    """OTLP and series are served to clients that show one; people's pages are plain, and on 127.0.0.1 alone."""
    collector, jaeger = configured("collector-0"), configured("jaeger-0")
    doors = [
        collector["receivers"]["otlp"]["protocols"]["grpc"],
        collector["exporters"]["prometheus"],
        jaeger["receivers"]["otlp"]["protocols"]["grpc"],
    ]
    for door in doors:
        assert door["tls"]["client_ca_file"]
        assert door["tls"]["min_version"] == "1.3"
    assert doors[0]["tls"]["client_ca_file"] == "/site/data/collector/admitted.crt"
    assert {door["tls"]["client_ca_file"] for door in doors[1:]} <= {
        "/site/pki/platform-ca.crt",
        "/site/pki/jaeger-internal/ca.crt",
    }
    assert process("jaeger-0").address.startswith("127.0.0.1:")
    assert process("prometheus-0").address.startswith("127.0.0.1:")
    assert jaeger["extensions"]["jaeger_query"]["grpc"]["transport"] == "unix"


def test_nothing_is_kept_without_bounds() -> None:
    """Memory, queue and the time of trying again are limited; a full queue drops instead of blocking."""
    collector = configured("collector-0")
    exporter = collector["exporters"]["otlp/jaeger"]
    assert exporter["sending_queue"]["queue_size"] > 0
    assert "block_on_overflow" not in exporter["sending_queue"]
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "60s"
    for pipeline in collector["service"]["pipelines"].values():
        assert pipeline["processors"] == ["memory_limiter", "batch"]
    assert {"GOMEMLIMIT", "GOGC"} <= process("collector-0").environment.keys()


def test_traces_are_judged_where_more_are_begun_than_are_to_be_kept() -> None:
    """Errors and what is slow are kept, and of the rest what makes the declared share of all."""
    declared: list[dict[str, float]] = [{}, {"sample": 0.01}, {"sample": 0.01, "begin": 0.01}]
    for settings in declared:
        assert "tail_sampling" not in configured("collector-0", **settings)["processors"]
    judging = configured("collector-0", sample=0.05, begin=0.2, slow="3s")
    policies = {policy["name"]: policy for policy in judging["processors"]["tail_sampling"]["policies"]}
    assert policies["errors"]["status_code"] == {"status_codes": ["ERROR"]}
    assert policies["slow"]["latency"] == {"threshold_ms": 3000}
    assert policies["share"]["probabilistic"] == {"sampling_percentage": 25.0}
    pipelines = judging["service"]["pipelines"]
    assert pipelines["traces"]["processors"] == ["memory_limiter", "tail_sampling", "batch"]
    assert pipelines["metrics"]["processors"] == ["memory_limiter", "batch"]


def test_services_are_told_what_is_kept() -> None:
    """What is slow; and an SDK points to a trace only where that is sure to be kept."""

    def variables(**settings: Any) -> dict[str, str]:
        plan = planned(**settings)
        service = plan.resource("catalog")
        told = exporting(plan, site_of(plan, CATALOGUE), service, service.members[0])
        return {name: plain(value) for name, value in told.items()}

    here, judged = variables(sample=0.01), variables(sample=0.01, begin=1.0, slow="2s")
    assert (here["OTEL_TRACES_SAMPLER_ARG"], judged["OTEL_TRACES_SAMPLER_ARG"]) == ("0.01", "1")
    assert (here["OTEL_METRICS_EXEMPLAR_FILTER"], judged["OTEL_METRICS_EXEMPLAR_FILTER"]) == (
        "trace_based",
        "always_off",
    )
    assert (here["OTEL_GREENFIELD_SLOW"], judged["OTEL_GREENFIELD_SLOW"]) == ("1000", "2000")
    assert "OTEL_GREENFIELD_JUDGED" not in here
    assert judged["OTEL_GREENFIELD_JUDGED"] == "true"


def test_exemplars_are_stored() -> None:
    """Prometheus drops them unless it is told not to."""
    assert "--enable-feature=exemplar-storage" in process("prometheus-0").argv


def test_retention_is_as_declared() -> None:
    """In seconds for Jaeger, as it was written for Prometheus."""
    store = configured("jaeger-0", retention="48h")["extensions"]["jaeger_storage"]["backends"]["spans"]["badger"]
    assert store["ttl"] == {"spans": "172800s"}
    assert store["directories"]["keys"].startswith("/site/data/")
    assert "--storage.tsdb.retention.time=48h" in process("prometheus-0", planned(retention="48h")).argv


def test_exactly_what_is_declared_may_send() -> None:
    """Each sender's own certificate is admitted, and is admitted anew when it was renewed."""
    plan = planned()
    task = nodes(plan, site_of(plan, CATALOGUE))["collector-admit"]
    assert isinstance(task, Task)
    assert isinstance(task.action, Reconcile)
    assert set(task.action.input["senders"]) == {"catalog", "web-shop", "collector"}
    assert {held.leaf for held in task.leaves} == {"catalog", "web-shop", "collector"}


def test_a_renewed_certificate_is_admitted_beside_the_old_one_until_that_expires(tmp_path: Path) -> None:
    """A sender may hold the old one in its memory. One who is no sender any more is not admitted by any."""
    now = dt.datetime.now(dt.UTC)
    pki = Pki(tmp_path / "pki", "shop")
    claims = [LeafClaim(name, name, service_identity("shop", name), unit="service") for name in ("catalog", "billing")]
    into = tmp_path / "admitted.crt"

    def admitted(moment: dt.datetime, senders: list[LeafClaim]) -> list[bytes]:
        leaves = pki.leaves(claims, moment)
        named = {claim.name: [leaves[claim.name].certificate, claim.identity] for claim in senders}
        admit({"authority": pki.authorities()["services"], "senders": named, "into": str(into)}, lambda _: "")
        shown = [Path(leaves[claim.name].certificate).read_bytes() for claim in claims]
        assert all(each in into.read_bytes() for each, claim in zip(shown, claims, strict=True) if claim in senders)
        return shown

    expired = admitted(now - VALIDITY * 1.1, claims)
    old = admitted(now - VALIDITY * 0.6, claims)
    admitted(now, claims)
    assert [each in into.read_bytes() for each in (*expired, *old)] == [False, False, True, True]
    admitted(now, claims[:1])
    assert [each in into.read_bytes() for each in old] == [True, False]


def test_nobody_waits_for_what_must_be_built() -> None:
    """The program is claimed as late, and its processes await it; one that is there is not awaited."""
    plan = planned()
    site = dataclasses.replace(site_of(plan, CATALOGUE), late={OPENTELEMETRY.name: AWAITED})
    assert process("collector-0", plan, site).awaits == process("jaeger-0", plan, site).awaits == AWAITED
    assert process("prometheus-0", plan, site).awaits is None
    assert process("collector-0").awaits is None
    for component in (COLLECTOR, JAEGER):
        side = component.local()
        assert side is not None
        claims = side.claims(plan.resource(component.kind), plan)
        assert [claim.late for claim in claims if isinstance(claim, ToolClaim)] == [True]


def test_what_is_being_built_is_skipped_by_proofs() -> None:
    """Neither passed nor failed, and told."""
    (check,) = prove([Proof("spans arrive", "telemetry", "catalog", "jaeger", "allowed", lambda: BUILDING)])
    assert check.ok is None
    assert check.observed.startswith("skipped: ")


def test_whoever_claims_a_port_for_series_is_scraped_while_it_is_ready() -> None:
    """In the slot that runs; under the names of its resource and of itself."""
    plan = planned()
    ports = {
        metrics_port("web-shop-0-sidecar", 0): ("127.0.1.1", 1),
        metrics_port("web-shop-0-sidecar", 1): ("127.0.1.1", 2),
    }
    site = site_of(plan, CATALOGUE)
    site = dataclasses.replace(site, ports={**site.ports, **ports})
    (targets,) = process("prometheus-0", plan, site).endpoints
    lines = {(line.process, line.slot): json.loads(line.text) for line in targets.endpoints}
    assert lines.keys() == {("collector-0", 0), ("web-shop-0-sidecar", 0), ("web-shop-0-sidecar", 1)}
    assert lines["web-shop-0-sidecar", 1] == {
        "targets": ["127.0.1.1:2"],
        "labels": {"job": "web-shop", "instance": "web-shop-0-sidecar"},
    }
    assert list(metrics_ports(site))[1:] == [
        (name, slot, ports[metrics_port(name, slot)]) for name, slot in list(lines)[1:]
    ]


def test_a_process_belongs_to_the_nearest_member() -> None:
    """A name that begins like another's is not taken for it."""
    plan = plan_of(CATALOGUE, {}, {"a": {}, "a-0": {}})
    found = resource_names(plan, ["a-0", "a-0-0", "a-0-0-sidecar", "a-0-sidecar", "nobody-0"])
    assert found == {"a-0": "a", "a-0-0": "a-0", "a-0-0-sidecar": "a-0", "a-0-sidecar": "a"}


def test_a_service_tells_a_collector_of_its_zone_with_its_own_certificate() -> None:
    """By the variables that every SDK knows; without telemetry they say that there is none."""
    plan = planned(collectors="2..5", sample=0.25)
    site, service = site_of(plan, CATALOGUE), plan.resource("catalog")
    variables = {name: plain(value) for name, value in exporting(plan, site, service, service.members[0]).items()}
    assert variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"https://{site.endpoint('collector-0/otlp')}"
    assert variables["OTEL_EXPORTER_OTLP_CLIENT_KEY"] == site.leaves["catalog"].key
    assert variables["OTEL_TRACES_SAMPLER_ARG"] == "0.25"
    assert variables["OTEL_SERVICE_NAME"] == "catalog"
    off = plan_of(CATALOGUE, {}, {"catalog": {}})
    silent = exporting(off, site_of(off, CATALOGUE), off.resource("catalog"), service.members[0])
    assert {name: plain(value) for name, value in silent.items()} == {"OTEL_SDK_DISABLED": "true"}


def test_members_are_dealt_to_the_collectors_of_their_zone() -> None:
    """Where a zone has none, to all of them in turn."""
    collectors = planned(collectors=2).resource("collector")  # in zones a and b
    context = [
        dataclasses.replace(collectors.members[0], name=f"x-{i}", index=i, zone=zone) for i, zone in enumerate("abc")
    ]
    assert [collector_of(collectors, member).name for member in context] == [
        "collector-0",
        "collector-1",
        "collector-0",
    ]


@pytest.mark.parametrize("path", ["/a$b", "/a${env:HOME}", "/plain"])
def test_a_dollar_in_a_path_stands_for_itself(path: str) -> None:
    """A collector would take it for a variable."""
    text = plain(configuration("/c.json", {"file": path}).content)
    assert json.loads(text)["file"].replace("$$", "$") == path
    assert text.count("$") == 2 * path.count("$")
