"""The settings of every kind as Markdown, drawn from the schema: what `docs/settings.md` holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from greenfield.model.component import Catalogue
from greenfield.spec.schema import schema

_HEAD = """\
# Settings of every kind

Drawn from the code by `greenfield schema --format markdown`. What stands beside a key is its default.
"""


def reference(catalogue: Catalogue) -> str:
    """A table for each kind that can be declared."""
    drawn = schema(catalogue)
    return "\n".join([_HEAD, *_lines(catalogue, drawn["$defs"])])


def _lines(catalogue: Catalogue, definitions: Mapping[str, Any]) -> Iterator[str]:
    for component in catalogue:
        if component.section is None or component.kind not in definitions:
            continue
        settings = definitions[component.kind]
        yield f"## {component.kind}\n"
        yield f"{settings.get('description', '')} Declared under `{component.section}`.\n"
        yield "| key | default | meaning |\n|---|---|---|"
        required = settings.get("required", ())
        for key, field in settings["properties"].items():
            yield f"| `{key}` | {_default(key, field, required)} | {_meaning(field)} |"
        yield ""


def _default(key: str, field: Mapping[str, Any], required: tuple[str, ...]) -> str:
    if key == "kind":
        return f"`{field['const']}`"
    if key in required:
        return "must be given"
    default = field.get("default")
    return "" if default in (None, [], {}) else f"`{json.dumps(default)}`"


def _meaning(field: Mapping[str, Any]) -> str:
    told = " ".join(str(field.get("description", "what it is")).split())
    return told.replace("|", "\\|").replace("``", "`")
