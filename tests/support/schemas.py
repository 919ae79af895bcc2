"""What Kubernetes 1.33 to 1.37 and the operators' own definitions accept; fetched, cached, never committed."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from support import operator_fields
from support.kubernetes_tools import DEFINITIONS, GENERATED, GROUPS, SPECS, SUPPORTED, fetched
from support.strict_schemas import OneOfEachKey, Schema, built_in, custom, kinds, reachable

VERSIONS = tuple(SUPPORTED)
OPERATORS = (*DEFINITIONS, *operator_fields.OPERATORS)
"""Whose resource definitions are known: those of a registry, and those that we describe ourselves."""
METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
DEFINITION = "CustomResourceDefinition"


class _Loader(yaml.CSafeLoader):
    """Reads a lone ``=`` as the text it is."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: str(node.value))


def validate(manifest: Mapping[str, Any], kubernetes: str) -> list[str]:
    """Every mistake of an object for a minor version (``1.33``), each with its place; none if it would be accepted.

    A field that is not known, a wrong type, one that is missing, a value that is not allowed, a key given twice.
    """
    version, kind = manifest.get("apiVersion"), manifest.get("kind")
    if not isinstance(version, str) or not isinstance(kind, str):
        return ["apiVersion and kind: both are needed"]
    if (validator := _validator(kubernetes, version, kind)) is None:
        return [f"{version} {kind}: not known to Kubernetes {kubernetes} or to any operator"]
    return sorted(f"{_place(error.instance_path)}{error.message}" for error in validator.iter_errors(manifest))


@functools.cache
def definitions(operator: str) -> tuple[Schema, ...]:
    """The resource definitions of one operator, by its name in ``DEFINITIONS`` or among our own descriptions."""
    if operator in operator_fields.OPERATORS:
        return operator_fields.definitions(operator)
    tree = Path(fetched(DEFINITIONS[operator])[DEFINITIONS[operator].name].root)
    documents = [each for path in sorted(tree.glob("*.yaml")) for each in yaml.load_all(path.read_text(), _Loader)]
    return tuple(document for document in documents if document and document["kind"] == DEFINITION)


def every_definition() -> list[Schema]:
    """Those of all operators."""
    return [each for operator in OPERATORS for each in definitions(operator)]


@functools.cache
def _validator(kubernetes: str, version: str, kind: str) -> jsonschema_rs.Validator | None:
    specification = fetched(SPECS[kubernetes])[SPECS[kubernetes].name].root
    types = _types(kubernetes)
    if name := _kinds(specification).get((version, kind)):
        root: Schema = {"allOf": [{"$ref": f"#/definitions/{name}"}, _NAMED]}
    elif (structural := _structural(version, kind)) is not None:
        root = {"allOf": [custom(structural, {"$ref": f"#/definitions/{METADATA}"}), _NAMED]}
    else:
        return None
    root["definitions"] = reachable(root, types)
    return jsonschema_rs.Draft4Validator(
        root,
        validate_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(),  # as in Go: neither looks around, both know flags in groups
        keywords={"x-kubernetes-list-map-keys": OneOfEachKey},
    )


_NAMED: Schema = {"required": ["metadata"], "properties": {"metadata": {"required": ["name"]}}}
_kinds = functools.cache(lambda specification: kinds(Path(specification)))


@functools.cache
def _types(kubernetes: str) -> Mapping[str, Schema]:
    specification, generated = SPECS[kubernetes], GENERATED[kubernetes]
    found = fetched(specification, generated)
    return built_in(Path(found[specification.name].root), Path(found[generated.name].root))


def _structural(version: str, kind: str) -> Schema | None:
    """The schema of a custom resource at a version that its operator serves."""
    group, _, name = version.partition("/")
    operator = GROUPS.get(group) or operator_fields.GROUPS.get(group)
    for definition in definitions(operator) if operator else ():
        spec = definition["spec"]
        for each in spec["versions"]:
            if (spec["group"], spec["names"]["kind"], each["name"], each["served"]) == (group, kind, name, True):
                schema: Schema = each["schema"]["openAPIV3Schema"]
                return schema
    return None


def _place(path: list[str | int]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return f"{text.removeprefix('.')}: " if text else ""
