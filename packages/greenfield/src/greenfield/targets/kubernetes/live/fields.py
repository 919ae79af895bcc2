"""Which fields of an object we own, and how they differ. Pure.

The API server keeps, for each manager, the set of fields it applied (``managedFields``, format ``FieldsV1``):
``f:NAME`` is a key of a mapping, ``k:{…}`` an item of a list by its keys, ``v:…`` an item of a set by its value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from greenfield.targets.kubernetes.objects import MANAGER

Fields = Mapping[str, Any]
_ITSELF: Final = "."
_IDENTITY: Final[Fields] = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {"f:name": {}, "f:namespace": {}},
}


def owned(found: Mapping[str, Any]) -> Fields:
    """The fields that we applied; empty where we never did."""
    fields: Fields = {}
    for entry in found["metadata"].get("managedFields", ()):
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            fields = together(fields, entry.get("fieldsV1", {}))
    return fields


def together(one: Fields, other: Fields) -> Fields:
    """What either has. A field without parts is owned as a whole."""
    if not one or not other:
        return one or other
    return {
        key: _part(one.get(key), other.get(key))
        for key in dict.fromkeys((*one, *other))
    }  # fmt: skip


def _part(one: Fields | None, other: Fields | None) -> Fields:
    if one is None or other is None:
        found = other if one is None else one
        assert found is not None
        return found
    return together(one, other) if one and other else {}


def ours(found: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """The object with these fields alone, and what names it; the values of a Secret as digests."""
    chosen: dict[str, Any] = chosen_of(found, together(fields, _IDENTITY))
    if chosen.get("kind") == "Secret":
        for part in ("data", "stringData"):
            chosen |= {part: {key: _hidden(value) for key, value in chosen[part].items()}} if part in chosen else {}
    return chosen


def chosen_of(value: Any, fields: Fields) -> Any:
    """A value, of which only these fields stay."""
    parts = [key for key in fields if key != _ITSELF]
    if not parts:
        return _empty(value) if _ITSELF in fields else value
    if isinstance(value, Mapping):
        chosen = {key: fields[f"f:{key}"] for key in value if f"f:{key}" in fields}
        return {key: chosen_of(value[key], below) for key, below in chosen.items()}
    if isinstance(value, list):
        return [chosen_of(item, below) for item in value if (below := _below(item, fields)) is not None]
    return value


def _empty(value: Any) -> Any:
    return {} if isinstance(value, Mapping) else [] if isinstance(value, list) else value


def _below(item: Any, fields: Fields) -> Fields | None:
    """The fields of an item of a list; None where it is not ours."""
    for key, below in fields.items():
        kind, _, text = key.partition(":")
        if kind == "v" and json.loads(text) == item:
            return {}
        if kind == "k" and isinstance(item, Mapping):
            keys: Mapping[str, Any] = json.loads(text)
            if all(item.get(name) == value for name, value in keys.items()):
                return {**below, **{f"f:{name}": {} for name in keys}}
    return None


def _hidden(value: Any) -> str:
    return f"(hidden, {hashlib.sha256(str(value).encode()).hexdigest()[:12]})"


def changes(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Path, old and new value of each field that differs; None stands for one that is not there."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            yield from changes(before.get(key), after.get(key), f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from changes(old, new, f"{path}[{index}]")
    elif before != after:
        yield path, before, after
