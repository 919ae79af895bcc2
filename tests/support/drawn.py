"""The parts of the documentation that are drawn: from click, from components, from cases, from real answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from contracts.hand_made import site_of
from greenfield.cli.catalogue import catalogue
from greenfield.cli.main import COMMANDS, greenfield
from greenfield.cli.wiring import masked
from greenfield.components.service.local import local
from greenfield.components.service.pod import Workload
from greenfield.errors import Problem
from greenfield.model.binding import Binding
from greenfield.model.local import Process
from greenfield.model.plan import Plan
from greenfield.model.quantity import TIERS
from greenfield.plan.compile import compile_plan
from greenfield.spec.reader import Source, check, read
from greenfield.targets.kubernetes.where import cluster
from support.pages import ROOT

CATALOGUE = catalogue()
WRONG = ROOT / "tests" / "cases" / "wrong"
_EVERYTHING = """\
apiVersion: greenfield/v1
name: shop
services:
  catalog:
    app: catalog:app
    uses: {products: own, invoices: own, ratings: own, cache: write, orders: [produce, consume], billing: call}
  billing: {command: [node, server.js]}
datastores:
  postgres: {kind: postgres, databases: [products]}
  bills: {kind: mysql, databases: [invoices]}
  papers: {kind: mongodb, databases: [ratings]}
  cache: {kind: redis}
brokers:
  kafka: {kind: kafka, topics: {orders: {}}}
"""
_BOTH, _HERE, _CLUSTER = "yes", "here", "on Kubernetes"
Wiring = Mapping[str, tuple[str, str]]  # by variable: its value here and on Kubernetes, empty where there is none


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("|" + "|".join(f" {cell} " if cell != "---" else cell for cell in line) + "|" for line in lines)


# --- wiring ---------------------------------------------------------------------------------------------------------


def wirings() -> dict[str, tuple[str, Wiring]]:
    """What ``catalog`` finds of each kind: the name of the part that it uses, and its variables."""
    plan = planned()
    here, there = site_of(plan, CATALOGUE).bindings, cluster(plan, CATALOGUE).bindings
    found: dict[str, tuple[str, Wiring]] = {}
    for edge in plan.edges:
        prefix, key = edge.target.upper(), (edge.source, edge.target)
        pairs = _values(here[key]), _values(there[key])
        both = {f"{prefix}_{name}": (pairs[0].get(name, ""), pairs[1].get(name, "")) for name in pairs[0] | pairs[1]}
        found[plan.resource(edge.resource).kind] = edge.target, both
    return found


def wiring(kind: str) -> str:
    """A table of what a service finds of one kind, with values as they might be."""
    _, variables = wirings()[kind]
    rows = [
        (f"`{name}`", *(f"`{value}`" if value else "" for value in variables[name])) for name in _ordered(variables)
    ]
    return table(("variable", _HERE, _CLUSTER), rows)


def wiring_of_all() -> str:
    """A table of which kind gives which variable."""
    found = wirings()
    variables = {
        kind: {name.removeprefix(f"{used.upper()}_"): where for name, where in known.items()}
        for kind, (used, known) in found.items()
    }
    suffixes = _ordered({name for known in variables.values() for name in known})
    rows = [(f"`_{name}`", *(_told(variables[kind].get(name, ("", ""))) for kind in variables)) for name in suffixes]
    return table(("variable", *(f"[{kind}](components/{kind}.md)" for kind in variables)), rows)


def accesses() -> str:
    """A table of what ``uses`` may say, by what is used."""
    kinds: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for resource in planned().resources:
        for part in resource.parts:
            kinds.setdefault((part.kind, part.accesses), []).append(resource.kind)
    rows = [
        (
            f"a {part}" if part in of else f"a {part} of {', '.join(dict.fromkeys(of))}",
            ", ".join(f"`{access}`" for access in understood),
        )
        for (part, understood), of in kinds.items()
    ]
    return table(("what is used", "accesses, weakest first"), rows)


def tiers() -> str:
    """A table of requests and limits."""
    rows = [
        (f"`{name}`", f"{t.cpu_request}m to {t.cpu_limit}m", f"{t.memory_request}Mi to {t.memory_limit}Mi")
        for name, t in TIERS.items()
    ]
    return table(("tier", "CPU, request to limit", "memory, request to limit"), rows)


def besides() -> str:
    """A table of the variables that every service has, whatever it uses: an ``app`` and a ``command``."""
    plan = planned()
    site, placed = site_of(plan, CATALOGUE), cluster(plan, CATALOGUE)
    known: list[set[str]] = []
    used = {name for _, variables in wirings().values() for name in variables}
    for service in ("catalog", "billing"):
        processes = (p for p in local(plan.resource(service), plan, site) if isinstance(p, Process))
        known.append(set(next(p for p in processes if p.name == p.member).environment) - used)
    work = Workload(plan.resource("billing"), plan, placed)
    known.append({*work.environment, *(each["name"] for each in work.of_itself())} - used)
    rows = [(f"`{name}`", *("yes" if name in names else "" for names in known)) for name in sorted(set().union(*known))]
    return table(("variable", "an `app` here", "a `command` here", _CLUSTER), rows)


def planned() -> Plan:
    """A platform called ``shop``, whose ``catalog`` uses something of every kind."""
    return compile_plan(
        read(Source(_EVERYTHING, "greenfield.yaml", "/shop", lambda _: True), CATALOGUE, None), CATALOGUE
    )


def _values(binding: Binding) -> dict[str, str]:
    """As text, at the places where they would be."""
    known = {"URL": binding.url, **binding.parts}
    return {name: _placed(masked(value)) for name, value in known.items()}


def _placed(value: str) -> str:
    for invented, real in (("/run/site", "/tmp/greenfield-1000/1f0c"), ("/site", "/shop/.greenfield")):
        value = value.replace(invented, real).replace(invented.replace("/", "%2F"), real.replace("/", "%2F"))
    return value.replace("{member}-{slot}", "catalog-0-0")


def _ordered(names: Iterable[str]) -> list[str]:
    """The URL first, files last."""
    return sorted(names, key=lambda name: (not name.endswith("URL"), "TLS" in name, name))


def _told(where: tuple[str, str]) -> str:
    return {(True, True): _BOTH, (True, False): _HERE, (False, True): _CLUSTER}.get(
        (bool(where[0]), bool(where[1])), ""
    )


# --- mistakes -------------------------------------------------------------------------------------------------------


def codes() -> str:
    """A table of the codes of mistakes, each with the shortest message of a case and its hint."""
    found: dict[str, Problem] = {}
    for problem in sorted(_problems(), key=lambda each: (len(each.message), each.message, each.hint)):
        found.setdefault(problem.code, problem)
    rows = [(f"`{code}`", _plain(found[code].message), _plain(found[code].hint)) for code in sorted(found)]
    return table(("code", "such as", "hint"), rows)


def _problems() -> Iterator[Problem]:
    for path in sorted(WRONG.glob("*.yaml")):
        yield from check(Source(path.read_text(), "greenfield.yaml", "/shop", lambda _: True), CATALOGUE)[0]
    text = "apiVersion: greenfield/v1\nname: shop\nservices: {catalog: {app: catalog:app, path: services/catlog}}\n"
    yield from check(Source(text, "greenfield.yaml", "/shop", lambda _: False), CATALOGUE)[0]


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<").replace("*", "\\*").replace("_", "\\_")


# --- commands -------------------------------------------------------------------------------------------------------


def commands() -> str:
    """Every command: its usage, what it does, and the options that are its own."""
    context = click.Context(greenfield, info_name="greenfield")
    return "\n\n".join(part for name in COMMANDS for part in _command(_loaded(name, context), name, context))


def _loaded(name: str, context: click.Context) -> click.Command:
    assert isinstance(greenfield, click.Group)
    command = greenfield.get_command(context, name)
    assert command is not None
    return command


def _command(command: click.Command, name: str, above: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=above)
    yield f"### {context.command_path.removeprefix('greenfield ')}"
    yield " ".join((command.help or "").split()).replace("|", "\\|")
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            yield from _command(found, inner, context)
        return
    yield f"`{context.command_path} {' '.join(command.collect_usage_pieces(context))}`"
    rows = [
        (f"`{names}`".replace("|", "\\|"), meaning.replace("|", "\\|"))
        for option in command.params
        if isinstance(option, click.Option) and not _is_common(option)
        for names, meaning in [option.get_help_record(context) or ("", "")]
    ]
    if rows:
        yield table(("option", "meaning"), rows)


def _is_common(option: click.Option) -> bool:
    """Whether every command has it, and no more of it than others."""
    if option.name == "format_":
        return isinstance(option.type, click.Choice) and tuple(option.type.choices) == ("text", "json")
    return option.name in ("file", "environment")


# --- answers --------------------------------------------------------------------------------------------------------


def laid_out(value: Any, indent: str = "", width: int = 118) -> str:
    """JSON for people: in one line what fits in one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= width or not isinstance(value, dict | list):
        return line
    inner = f"{indent}  "
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {laid_out(each, inner, width)}" for key, each in value.items()]
        return "{\n" + ",\n".join(inner + part for part in parts) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + laid_out(each, inner, width) for each in value) + f"\n{indent}]"


def answered(text: str, folder: Path) -> str:
    """A block of what a command answered in JSON, in a folder that a reader need not know."""
    return f"```json\n{laid_out(json.loads(text.replace(str(folder), '/shop')))}\n```"


# --- the firewall ---------------------------------------------------------------------------------------------------


def rule_tests() -> str:
    """What the rule set's own tests came to: by file how many passed, and why others did not."""
    record = yaml.safe_load((ROOT / "tests" / "cases" / "firewall" / "rule_tests.yaml").read_text())
    rows = []
    for file, each in record.items():
        failed = {why: len(names) for why, names in each["failed"].items()}
        passed = each["tests"] - sum(failed.values())
        why = "; ".join(f"{count}: {why}" for why, count in sorted(failed.items(), key=lambda item: -item[1]))
        rows.append((f"`{file}`", str(each["tests"]), f"{passed} ({100 * passed // each['tests']} %)", why))
    return table(("rule file", "tests", "passed", "failed, and why"), rows)
