"""Operators whose resource definitions no registry has: their fields, as we describe them in ``tests/cases/operators``.

A field's type is a word or a few: ``string``, ``string of 1..80``, ``string like ^[a-z]+$``, ``integer 1..``,
``boolean, default true``, ``one of primary replica``, ``quantity``, ``integer or string``, ``date-time``, ``any``; a
type of the same file; or ``core.NAME`` and ``meta.NAME``, Kubernetes' own as the oldest supported version has it.
``[TYPE]`` is a list, a mapping an object, ``'*'`` any key of it; ``!`` marks the field that must be there.

``python -m support.operator_fields OPERATOR FOLDER`` compares a description with the definitions that a checkout of the
operator's repository holds, and tells what differs.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from support.kubernetes_tools import SPECS, fetched

Schema = dict[str, Any]

FOLDER = Path(__file__).parent.parent / "cases" / "operators"
OPERATORS = tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))
GROUPS = {yaml.safe_load((FOLDER / f"{name}.yaml").read_text())["group"]: name for name in OPERATORS}
"""The operator that defines an API group."""

INT_OR_STRING: Schema = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
_NUMBER = r"(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
QUANTITY: Schema = INT_OR_STRING | {"pattern": rf"^{_NUMBER}(([KMGTPE]i)|[numkMGTPE]|([eE]{_NUMBER}))?$"}
ANYTHING: Schema = {"x-kubernetes-preserve-unknown-fields": True}
_PLAIN: Mapping[str, Schema] = {
    "quantity": QUANTITY,
    "integer or string": INT_OR_STRING,
    "date-time": {"type": "string", "format": "date-time"},
    "any": ANYTHING,
}
_PLACES = {"core": "io.k8s.api.core.v1.", "meta": "io.k8s.apimachinery.pkg.apis.meta.v1."}
_WORDS = re.compile(
    r"(?P<type>string|integer|number|boolean|one of (?P<values>.+?))"
    r"( (of )?(?P<least>\d*)\.\.(?P<most>\d*))?(, default (?P<default>.+?))?( like (?P<pattern>.+))?"
)


@functools.cache
def definitions(operator: str) -> tuple[Schema, ...]:
    """Resource definitions that a cluster accepts, of all kinds that the operator's description has."""
    told = yaml.safe_load((FOLDER / f"{operator}.yaml").read_text())
    types = told.get("types", {})
    return tuple(_definition(told, kind, facts, types) for kind, facts in told["kinds"].items())


def _definition(told: Mapping[str, Any], kind: str, facts: Mapping[str, Any], types: Mapping[str, Any]) -> Schema:
    subresources: Schema = {"status": {}}
    if scaled := facts.get("scale"):
        subresources["scale"] = {"specReplicasPath": scaled, "statusReplicasPath": ".status.replicas"}
    properties = {"spec": structural(facts["spec"], types), "status": {"type": "object", **ANYTHING}}
    version = {
        "name": told["version"],
        "served": True,
        "storage": True,
        "subresources": subresources,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties, "required": ["spec"]}},
    }
    names = {"kind": kind, "listKind": f"{kind}List", "plural": facts["plural"], "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{facts['plural']}.{told['group']}"},
        "spec": {"group": told["group"], "names": names, "scope": "Namespaced", "versions": [version]},
    }


def structural(told: Any, types: Mapping[str, Any]) -> Schema:
    """The structural schema of a described type."""
    if isinstance(told, list):
        (item,) = told
        return {"type": "array", "items": structural(item, types)}
    if isinstance(told, dict):
        if "*" in told:
            return {"type": "object", "additionalProperties": structural(told["*"], types)}
        schema: Schema = {
            "type": "object",
            "properties": {name.removesuffix("!"): structural(inner, types) for name, inner in told.items()},
        }
        if required := [name.removesuffix("!") for name in told if name.endswith("!")]:
            schema["required"] = required
        return schema
    return _named(told, types)


def _named(told: str, types: Mapping[str, Any]) -> Schema:
    if told in _PLAIN:
        return dict(_PLAIN[told])
    if told in types:
        return structural(types[told], types)
    place, _, name = told.partition(".")
    if place in _PLACES and name in {full.rpartition(".")[2] for full in _kubernetes()}:
        return _expanded({"$ref": f"#/definitions/{_PLACES[place]}{name}"})
    if not (match := _WORDS.fullmatch(told)):
        raise ValueError(f"{told!r} is no type")
    return _scalar(match)


def _scalar(match: re.Match[str]) -> Schema:
    kind = "string" if match["values"] else match["type"]
    schema: Schema = {"type": kind}
    if match["values"]:
        schema["enum"] = match["values"].split()
    least, most = ("minLength", "maxLength") if kind == "string" else ("minimum", "maximum")
    for name, bound in ((least, match["least"]), (most, match["most"])):
        if bound:
            schema[name] = int(bound)
    if match["pattern"]:
        schema["pattern"] = match["pattern"]
    if (default := match["default"]) is not None:
        schema["default"] = default if kind == "string" else msgspec.json.decode(default)
    return schema


@functools.cache
def _kubernetes() -> Mapping[str, Schema]:
    tool = SPECS["1.33"]
    specification = Path(fetched(tool)[tool.name].root) / "swagger.json"
    found: Mapping[str, Schema] = msgspec.json.decode(specification.read_bytes())["definitions"]
    return found


def _expanded(schema: Schema) -> Schema:
    """A type of Kubernetes without references, as structural schemas must be."""
    if reference := schema.get("$ref"):
        name = reference.removeprefix("#/definitions/")
        special = {"Quantity": QUANTITY, "IntOrString": INT_OR_STRING}.get(name.rpartition(".")[2])
        return dict(special) if special else _expanded(_kubernetes()[name])
    kept: Schema = {key: schema[key] for key in ("type", "format", "required") if key in schema}
    if "properties" in schema:
        kept["properties"] = {name: _expanded(inner) for name, inner in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in schema:
            kept[key] = _expanded(schema[key])
    return kept if "type" in kept else dict(ANYTHING)


def differences(operator: str, folder: Path) -> Iterator[str]:
    """What the description says and the operator's own definitions do not, each with its place."""
    for ours in definitions(operator):
        name, group = ours["metadata"]["name"].split(".", 1)
        theirs = yaml.load((folder / f"{group}_{name}.yaml").read_text(), yaml.CSafeLoader)
        version = ours["spec"]["versions"][0]
        found = [each for each in theirs["spec"]["versions"] if each["name"] == version["name"] and each["served"]]
        if not found or theirs["spec"]["scope"] != ours["spec"]["scope"]:
            yield f"{name}: no such version or scope"
            continue
        schemas = (each["schema"]["openAPIV3Schema"]["properties"]["spec"] for each in (version, found[0]))
        yield from _differences(f"{name}.spec", *schemas)


_COMPARED = (
    "type", "enum", "pattern", "default", "minimum", "maximum", "minLength", "maxLength", "x-kubernetes-int-or-string",
)  # fmt: skip


def _differences(place: str, ours: Schema, theirs: Schema) -> Iterator[str]:
    for key in _COMPARED:
        if ours.get(key) != theirs.get(key) and (key in ours or key not in ("default", "pattern")):
            yield f"{place}: {key} is {theirs.get(key)!r}, not {ours.get(key)!r}"
    for name in set(theirs.get("required", ())) ^ set(ours.get("required", ())):
        yield f"{place}.{name}: required in one only"
    for name, inner in ours.get("properties", {}).items():
        if name not in theirs.get("properties", {}):
            yield f"{place}.{name}: not there"
        else:
            yield from _differences(f"{place}.{name}", inner, theirs["properties"][name])
    for key in ("items", "additionalProperties"):
        if key in ours:
            yield from _differences(f"{place}[]", ours[key], theirs.get(key, {}))


def main(operator: str, folder: str) -> int:
    """Prints what differs."""
    found = sorted(differences(operator, Path(folder)))
    sys.stdout.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
