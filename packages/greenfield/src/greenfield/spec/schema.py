"""The JSON schema of a declaration, drawn from the settings of every component."""

from __future__ import annotations

from typing import Any

from greenfield.model.component import Catalogue, Component
from greenfield.model.declaration import Section
from greenfield.spec.docstrings import Described
from greenfield.spec.head import API_VERSION
from greenfield.spec.names import LONGEST_NAME
from greenfield.spec.patches import PatchSettings
from greenfield.spec.things import NAMED_SECTIONS, SINGLE_SECTIONS

_NAME = {"type": "string", "pattern": "^[a-z]([a-z0-9-]*[a-z0-9])?$", "maxLength": LONGEST_NAME}


_SWITCH = {"enum": [True, False, "on", "off"]}
_SECTIONS: dict[Section, str] = {
    "services": "Programs of your own, and what each of them uses.",
    "datastores": "What keeps data, by kind.",
    "brokers": "What passes messages on, by kind.",
    "gateway": "Where requests come in, and which service answers which path.",
    "telemetry": "Traces and metrics: on unless it is `off`.",
    "kubernetes": "What the cluster is like that it is deployed to.",
}
_CHOICE = ("required", "oneOf")  # what an overlay need not say


def schema(catalogue: Catalogue) -> dict[str, Any]:
    """Draft 2020-12. It accepts whatever ``check`` accepts; what needs a look at other lines only ``check`` refuses."""
    definitions: dict[str, Any] = {}
    patch = PatchSettings.model_json_schema(ref_template="#/$defs/{model}", schema_generator=Described)
    kept: dict[str, Any] = {
        "zones": {
            "description": "Where members are placed, in turn.",
            "type": "array",
            "items": _NAME,
            "minItems": 1,
            "uniqueItems": True,
        },
        "patches": {"description": "The escape hatch.", "type": "array", "items": patch},
    }
    definitions["overlay"] = {
        "description": "What is different in one environment.",
        "type": "object",
        "additionalProperties": False,
        "properties": {**kept, **_sections(catalogue, definitions, overlay=True)},
    }
    environments = {"type": "object", "propertyNames": _NAME, "additionalProperties": {"$ref": "#/$defs/overlay"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "greenfield.yaml",
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "name"],
        "properties": {
            "apiVersion": {"description": "The version of this grammar.", "const": API_VERSION},
            "name": {**_NAME, "description": "The platform's name; also its namespace."},
            "zones": kept["zones"],
            **_sections(catalogue, definitions, overlay=False),
            "environments": {**environments, "description": "Overlays on all this, by name."},
            "patches": kept["patches"],
        },
        "$defs": definitions,
    }


def _sections(catalogue: Catalogue, definitions: dict[str, Any], *, overlay: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for section in _SECTIONS:
        choices: list[dict[str, Any]] = [
            _reference(component, definitions, overlay=overlay) for component in catalogue.in_section(section)
        ]
        one: dict[str, Any] = choices[0] if len(choices) == 1 else {"anyOf" if overlay else "oneOf": choices}
        if section in NAMED_SECTIONS:
            one = {"type": "object", "propertyNames": _NAME, "additionalProperties": one}
        found[section] = {"description": _SECTIONS[section]} | (
            {"anyOf": [one, _SWITCH]} if section == "telemetry" else one
        )
    return found


def _reference(component: Component, definitions: dict[str, Any], *, overlay: bool) -> dict[str, Any]:
    """To the definition of a kind, or to one in which nothing is required."""
    if component.kind not in definitions:
        definitions[component.kind] = drawn = _drawn(component, definitions)
        relaxed = {key: value for key, value in drawn.items() if key not in _CHOICE}
        definitions[f"overlay-{component.kind}"] = relaxed
    return {"$ref": f"#/$defs/{'overlay-' if overlay else ''}{component.kind}"}


def _drawn(component: Component, definitions: dict[str, Any]) -> dict[str, Any]:
    drawn: dict[str, Any] = component.settings.model_json_schema(
        ref_template=f"#/$defs/{component.kind}-{{model}}", schema_generator=Described
    )
    for name, definition in drawn.pop("$defs", {}).items():
        definitions[f"{component.kind}-{name}"] = definition
    if component.section not in SINGLE_SECTIONS and component.section != "services":
        kind = {"description": "What it is.", "const": component.kind}
        drawn["properties"] = {"kind": kind, **{k: v for k, v in drawn["properties"].items() if k != "kind"}}
        drawn["required"] = ["kind", *drawn.get("required", [])]
    return drawn
