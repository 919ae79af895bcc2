"""Schemas as strict as the API server: from its own OpenAPI, and from the definitions of custom resources.

What the server would prune or refuse, these refuse: a field that is not known, a null, a second entry under one key.
Rules in CEL are left to the server, and patterns with flags, which JSON schema does not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

Schema = dict[str, Any]

QUANTITY = r"^[+-]?([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$"
FORMATS = {"date-time", "ipv4", "ipv6", "email", "uuid"}
"""Those that mean in JSON schema what they mean in Kubernetes."""
BOUNDS = {"int32": (-(1 << 31), (1 << 31) - 1), "int64": (-(1 << 63), (1 << 63) - 1)}
CHECKS = (
    "type", "required", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems",
    "uniqueItems", "minProperties", "maxProperties", "multipleOf", "exclusiveMinimum", "exclusiveMaximum",
    "x-kubernetes-list-map-keys",
)  # fmt: skip
OPEN = "x-kubernetes-preserve-unknown-fields"
_FUNCTION = re.compile(r"^func schema_k8sio_(api)_(\w+?)_(v\d\w*?)_(\w+)\(", re.MULTILINE)
_PROPERTY = re.compile(r'^\t{5}"([^"]+)": \{$', re.MULTILINE)
_ENUM = re.compile(r"^(\t+)Enum: +\[\]interface\{\}\{(.*)\},$", re.MULTILINE)
_NESTED = 8  # tabs from which on an Enum belongs to what a property holds


def built_in(specification: Path, generated: Path) -> Mapping[str, Schema]:
    """The strict schema of every type of a release, by its name in the OpenAPI; they refer to ``#/definitions/``."""
    told: Mapping[str, Schema] = msgspec.json.decode((specification / "swagger.json").read_bytes())["definitions"]
    definitions = {name: _built_in(schema) for name, schema in told.items()}
    definitions |= _SPECIAL
    for name, field, values, inside in allowed_values((generated / "zz_generated.openapi.go").read_text()):
        if (schema := definitions.get(name, {}).get("properties", {}).get(field)) is not None:
            (schema.get("items") or schema["additionalProperties"] if inside else schema)["enum"] = values
    return definitions


_SPECIAL: Mapping[str, Schema] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["integer", "string"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {
        "anyOf": [{"type": "number"}, {"type": "string", "pattern": QUANTITY}]
    },
}


def kinds(specification: Path) -> Mapping[tuple[str, str], str]:
    """The type of each built-in kind, by ``apiVersion`` and ``kind``."""
    told: Mapping[str, Schema] = msgspec.json.decode((specification / "swagger.json").read_bytes())["definitions"]
    found = {}
    for name, schema in told.items():
        if "kind" in schema.get("properties", {}):
            for place in schema.get("x-kubernetes-group-version-kind", []):
                version = "/".join(filter(None, (place["group"], place["version"])))
                found[version, place["kind"]] = name
    return found


def allowed_values(source: str) -> Iterator[tuple[str, str, list[str], bool]]:
    """Type, field, the values it may have, and whether its items have them: from the generated Go source."""
    functions = list(_FUNCTION.finditer(source))
    for function, following in zip(functions, [*functions[1:], None], strict=True):
        body = source[function.end() : following.start() if following else len(source)]
        properties = list(_PROPERTY.finditer(body))
        for enum in _ENUM.finditer(body):
            owner = [each[1] for each in properties if each.start() < enum.start()][-1]
            values = msgspec.json.decode(f"[{enum[2]}]", type=list[str])
            name = f"io.k8s.api.{function[2]}.{function[3]}.{function[4]}"
            yield name, owner, values, len(enum[1]) > _NESTED


def reachable(root: Schema, definitions: Mapping[str, Schema]) -> dict[str, Schema]:
    """Those of the definitions that a schema refers to, near or far."""
    found: dict[str, Schema] = {}
    queue = list(_references(root))
    while queue:
        name = queue.pop()
        if name not in found:
            found[name] = definitions[name]
            queue += _references(definitions[name])
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference.removeprefix("#/definitions/")
        for inner in schema.values():
            yield from _references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)


def _built_in(schema: Schema) -> Schema:
    if reference := schema.get("$ref"):
        return {"$ref": reference}
    strict = _checks(schema)
    if "properties" in schema:
        strict["properties"] = {name: _built_in(inner) for name, inner in schema["properties"].items()}
        strict["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            strict[key] = _built_in(schema[key])
    return strict


def custom(schema: Schema, metadata: Schema) -> Schema:
    """The strict schema of a custom resource, from its structural one; ``metadata`` as every object has it."""
    strict = _custom(schema)
    strict["properties"] = {
        **strict.get("properties", {}),
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": metadata,
    }
    return strict


def _custom(schema: Schema, *, closed: bool = True) -> Schema:
    strict = _checks(schema)
    if schema.get("x-kubernetes-int-or-string"):
        strict["type"] = ["integer", "string"]
    if schema.get("nullable") and "type" in strict:
        strict["type"] = [*([strict["type"]] if isinstance(strict["type"], str) else strict["type"]), "null"]
        if "enum" in strict:
            strict["enum"] = [*strict["enum"], None]
    _inside(schema, strict, closed=closed)
    embedded = schema.get("x-kubernetes-embedded-resource")
    if closed and strict.get("type") == "object" and not schema.get(OPEN) and "additionalProperties" not in strict:
        strict["additionalProperties"] = False
        if embedded:
            strict.setdefault("properties", {}).update({"apiVersion": {}, "kind": {}, "metadata": {}})
    return strict


def _inside(schema: Schema, strict: Schema, *, closed: bool) -> None:
    """What a schema says of the parts of a value. Inside junctors it only adds to what stands beside them."""
    if "properties" in schema:
        strict["properties"] = {name: _custom(inner, closed=closed) for name, inner in schema["properties"].items()}
    for key in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(key), dict):
            strict[key] = _custom(schema[key], closed=closed and key != "not")
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            strict[key] = [_custom(inner, closed=False) for inner in schema[key]]


def _checks(schema: Schema) -> Schema:
    strict = {key: schema[key] for key in CHECKS if key in schema}
    if "(?i)" in strict.get("pattern", ""):
        del strict["pattern"]
    if (form := schema.get("format")) in FORMATS:
        strict["format"] = form
    if form in BOUNDS and strict.get("type") == "integer":
        least, most = BOUNDS[form]
        strict["minimum"] = max(least, strict.get("minimum", least))
        strict["maximum"] = min(most, strict.get("maximum", most))
    if schema.get("x-kubernetes-list-type") == "set":
        strict["uniqueItems"] = True
    return strict


class OneOfEachKey:
    """The keyword ``x-kubernetes-list-map-keys``: no two entries of a list are alike in all of these."""

    def __init__(self, parent_schema: Any, value: Sequence[str], schema_path: Any) -> None:
        self._keys = value

    def validate(self, instance: Any) -> None:
        """ValueError where two are."""
        entries = [entry for entry in instance if isinstance(entry, dict)] if isinstance(instance, list) else []
        seen: set[str] = set()
        for entry in entries:
            key = ", ".join(f"{name}={entry[name]!r}" for name in self._keys if name in entry)
            if key in seen:
                raise ValueError(f"two entries have {key}")
            seen.add(key)
