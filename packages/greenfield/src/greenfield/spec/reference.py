"""The settings of every kind as Markdown, drawn from the schema: what `docs/settings.md` holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from greenfield.model.component import Catalogue
from greenfield.spec.schema import schema
from greenfield.spec.things import NAMED_SECTIONS

_HEAD = """\
# Settings of every kind

Drawn from the code by `greenfield schema --format markdown`.

## The file

| key | value | meaning |
|---|---|---|"""
_TABLE = "| key | value | default | meaning |\n|---|---|---|---|"
_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "null": "",
}
Drawn = Mapping[str, Any]


def reference(catalogue: Catalogue) -> str:
    """A table of the keys of the file, and one for each kind that can be declared and for what it holds."""
    drawn = schema(catalogue)
    return "\n".join([_HEAD, *_file(drawn), "", *_kinds(catalogue, drawn["$defs"]), *_patches(drawn)])


def _file(drawn: Drawn) -> Iterator[str]:
    for key, field in drawn["properties"].items():
        named = "a mapping of names to what they are, each below" if key in NAMED_SECTIONS else _value(field)
        yield f"| `{key}` | {named} | {_meaning(field)} |"


def _kinds(catalogue: Catalogue, definitions: Drawn) -> Iterator[str]:
    for component in catalogue:
        if component.section is None or component.kind not in definitions:
            continue
        settings = definitions[component.kind]
        yield f"## {component.kind}\n"
        yield f"{_meaning(settings)} Declared under `{component.section}`.\n"
        yield from _rows(settings)
        for key, field in settings["properties"].items():
            for inner in _inner(field):
                yield f"### `{key}` of {component.kind}\n"
                yield f"{_meaning(definitions[inner])}\n"
                yield from _rows(definitions[inner])


def _patches(drawn: Drawn) -> Iterator[str]:
    patch = drawn["properties"]["patches"]["items"]
    yield f"## Patches\n\n{patch['description']}\n"
    yield from _rows(patch)


def _rows(settings: Drawn) -> Iterator[str]:
    yield _TABLE
    required = settings.get("required", ())
    for key, field in settings["properties"].items():
        default = "must be given" if key in required else _default(field.get("default"))
        yield f"| `{key}` | {_value(field)} | {default} | {_meaning(field)} |"
    yield ""


def _inner(field: Drawn) -> Iterator[str]:
    """The definitions that a field refers to, itself or in what it holds."""
    choices = [field, *field.get("anyOf", ()), field.get("additionalProperties"), field.get("items")]
    for choice in choices:
        if isinstance(choice, dict) and "$ref" in choice:
            yield choice["$ref"].removeprefix("#/$defs/")


def _value(field: Drawn) -> str:
    """What may stand there, in words."""
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{_plain(choice)}`" for choice in field["enum"] if not isinstance(choice, bool))
    if "anyOf" in field:
        return ", or ".join(filter(None, map(_value, field["anyOf"])))
    if "$ref" in field:
        return "a mapping, below"
    if "examples" in field:
        return f"such as `{field['examples'][0]}`"
    if "type" not in field:
        return "anything"
    if field["type"] == "array":
        return f"a list of {_several(field['items'])}"
    if isinstance(field.get("additionalProperties"), dict):
        return f"a mapping of names to {_several(field['additionalProperties'])}"
    return _bounded(field)


def _bounded(field: Drawn) -> str:
    kind = field["type"]
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        return f"{_plain(low)} to {_plain(high)}"
    return " or ".join(_TYPES[each] for each in ([kind] if isinstance(kind, str) else kind))


def _several(field: Drawn) -> str:
    if "$ref" in field or "properties" in field:
        return "mappings, below"
    return "texts" if field.get("type") == "string" else _value(field)


def _plain(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _default(value: object) -> str:
    if value in (None, [], {}):
        return ""
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _meaning(field: Drawn) -> str:
    told = " ".join(str(field.get("description", "")).split())
    return told.replace("|", "\\|").replace("``", "`")
