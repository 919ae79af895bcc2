"""The JSON schema of a declaration, drawn from the settings of every component."""

from __future__ import annotations

from typing import Any

from greenfield.model.component import Catalogue, Component
from greenfield.spec.docstrings import Described
from greenfield.spec.head import API_VERSION
from greenfield.spec.names import LONGEST_NAME
from greenfield.spec.patches import PatchSettings

_NAME = {"type": "string", "pattern": "^[a-z]([a-z0-9-]*[a-z0-9])?$", "maxLength": LONGEST_NAME}


def schema(catalogue: Catalogue) -> dict[str, Any]:
    """Draft 2020-12. What an overlay may say is the same, with nothing required."""
    definitions: dict[str, Any] = {}
    sections = {
        "services": _named([_one(c, definitions, kind=False) for c in catalogue.in_section("services")]),
        "datastores": _named([_one(c, definitions, kind=True) for c in catalogue.in_section("datastores")]),
        "brokers": _named([_one(c, definitions, kind=True) for c in catalogue.in_section("brokers")]),
    }
    for section in ("gateway", "telemetry"):
        for component in catalogue.in_section("gateway" if section == "gateway" else "telemetry"):
            one = _one(component, definitions, kind=False)
            sections[section] = (
                {"anyOf": [one, {"enum": [True, False, "on", "off"]}]} if section == "telemetry" else one
            )
    patch = PatchSettings.model_json_schema(ref_template="#/$defs/{model}", schema_generator=Described)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "greenfield.yaml",
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "name"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "name": {**_NAME, "description": "The platform's name; also its namespace."},
            "zones": {"type": "array", "items": _NAME, "minItems": 1, "uniqueItems": True},
            **sections,
            "environments": {"type": "object", "additionalProperties": {"type": "object"}},
            "patches": {"type": "array", "items": patch},
        },
        "$defs": definitions,
    }


def _named(choices: list[dict[str, Any]]) -> dict[str, Any]:
    one = choices[0] if len(choices) == 1 else {"oneOf": choices}
    return {"type": "object", "propertyNames": _NAME, "additionalProperties": one}


def _one(component: Component, definitions: dict[str, Any], *, kind: bool) -> dict[str, Any]:
    drawn = component.settings.model_json_schema(
        ref_template=f"#/$defs/{component.kind}-{{model}}", schema_generator=Described
    )
    for name, definition in drawn.pop("$defs", {}).items():
        definitions[f"{component.kind}-{name}"] = definition
    if kind:
        drawn["properties"] = {"kind": {"const": component.kind}, **drawn.get("properties", {})}
        drawn["properties"]["kind"] = {"const": component.kind}
        drawn["required"] = ["kind", *drawn.get("required", [])]
    definitions[component.kind] = drawn
    return {"$ref": f"#/$defs/{component.kind}"}
