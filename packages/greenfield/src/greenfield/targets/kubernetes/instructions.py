"""The README of a rendered tree: what to install before, in order, and how to apply the rest."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from greenfield.model.manifest import Chart
from greenfield.model.plan import Plan


def instructions(plan: Plan, charts: tuple[Chart, ...]) -> str:
    """Markdown, for a person with kubectl and Helm."""
    return "\n".join(_lines(plan, charts)) + "\n"


def _lines(plan: Plan, charts: tuple[Chart, ...]) -> Iterator[str]:
    yield f"# {plan.name} on Kubernetes"
    yield ""
    yield f"Rendered from `greenfield.yaml`{f', environment `{plan.environment}`' if plan.environment else ''}."
    yield "Render again rather than edit: what must differ is said under `patches` there."
    yield ""
    yield "## Before: what the cluster must have"
    yield ""
    yield "Once for a cluster, in this order. What is there already needs no second installation, only the values."
    yield ""
    for chart in charts:
        yield from _chart(chart)
    yield "## Then: the platform"
    yield ""
    yield "```console"
    yield f"$ greenfield deploy{f' --env {plan.environment}' if plan.environment else ''}"
    yield "```"
    yield ""
    yield "It applies in the order of dependencies, waits, and prunes what is no longer declared. Or, without it:"
    yield ""
    yield "```console"
    yield "$ kubectl apply --server-side -k ."
    yield "```"
    yield ""
    yield from _parity(plan)


def _chart(chart: Chart) -> Iterable[str]:
    yield f"### {chart.name}"
    yield ""
    yield f"Namespace `{chart.namespace}`: {chart.why}." if chart.namespace else f"{chart.why}."
    yield ""
    yield "```console"
    yield f"$ {helm(chart)}"
    yield "```"
    yield ""


def helm(chart: Chart) -> str:
    """The command that installs a chart, or brings it up to date."""
    if chart.applied:
        return shlex.join(["kubectl", "apply", "--server-side", "-f", chart.source])
    named = [chart.chart or chart.name, "--repo", chart.source]
    where = [chart.source] if chart.source.startswith("oci://") else named
    values = [word for key, value in sorted(chart.values.items()) for word in ("--set", f"{key}={value}")]
    words = ["helm", "upgrade", "--install", chart.name, *where, "--version", chart.version]
    return shlex.join([*words, "--namespace", chart.namespace, "--create-namespace", *values])


def _parity(plan: Plan) -> Iterator[str]:
    noted = [resource for resource in plan.resources if resource.parity.reason]
    if noted:
        yield "## Where it differs from the local platform"
        yield ""
        for resource in noted:
            yield f"- `{resource.name}`: {resource.parity.reason}."
