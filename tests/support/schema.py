"""A validator for that part of JSON schema which ours uses. Any other keyword is an error, so nothing goes unread."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

NOTES = {"$schema", "$defs", "title", "description", "default", "examples"}
TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def faults(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> list[str]:
    """What of a value the schema refuses, in words; nothing if it accepts it."""
    root = schema if root is None else root
    return [
        fault
        for keyword, wanted in schema.items()
        if keyword not in NOTES
        for fault in KEYWORDS[keyword](value, wanted, schema, root)
    ]


def _type(value: Any, wanted: Any, schema: Any, root: Any) -> Iterator[str]:
    kinds = [wanted] if isinstance(wanted, str) else wanted
    if not any(isinstance(value, TYPES[k]) and (k == "boolean" or not isinstance(value, bool)) for k in kinds):
        yield f"{value!r} is no {' or '.join(kinds)}"


def _properties(value: Any, wanted: Any, schema: Any, root: Any) -> Iterator[str]:
    for key, inner in wanted.items():
        if isinstance(value, dict) and key in value:
            yield from faults(value[key], inner, root)


def _additional(value: Any, wanted: Any, schema: Any, root: Any) -> Iterator[str]:
    extra = [key for key in value if key not in schema.get("properties", {})] if isinstance(value, dict) else []
    for key in extra:
        yield from [f"{key!r} is not known"] if wanted is False else faults(value[key], wanted, root)


def _names(value: Any, wanted: Any, schema: Any, root: Any) -> Iterator[str]:
    for key in value if isinstance(value, dict) else ():
        yield from faults(key, wanted, root)


def _items(value: Any, wanted: Any, schema: Any, root: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else ():
        yield from faults(item, wanted, root)


def _branches(counts: Callable[[int], bool]) -> Callable[..., Iterator[str]]:
    def branches(value: Any, wanted: Any, schema: Any, root: Any) -> Iterator[str]:
        if not counts(sum(not faults(value, choice, root) for choice in wanted)):
            yield f"{value!r} fits the wrong number of {len(wanted)} choices"

    return branches


def _holds(test: Callable[[Any, Any], bool], kinds: tuple[type, ...]) -> Callable[..., Iterator[str]]:
    def holds(value: Any, wanted: Any, schema: Any, root: Any) -> Iterator[str]:
        if isinstance(value, kinds) and not isinstance(value, bool) and not test(value, wanted):
            yield f"{value!r} does not hold {wanted!r}"

    return holds


def _distinct(value: Sequence[Any], wanted: bool) -> bool:
    return not wanted or len({repr(item) for item in value}) == len(value)


def _reference(value: Any, wanted: str, schema: Any, root: Any) -> list[str]:
    return faults(value, root["$defs"][wanted.removeprefix("#/$defs/")], root)


def _equal(value: Any, wanted: Any) -> bool:
    return type(value) is type(wanted) and bool(value == wanted)


ANY = (object,)
KEYWORDS: Mapping[str, Callable[..., Any]] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "propertyNames": _names,
    "items": _items,
    "$ref": _reference,
    "anyOf": _branches(lambda fitting: fitting > 0),
    "oneOf": _branches(lambda fitting: fitting == 1),
    "required": _holds(lambda value, wanted: all(key in value for key in wanted), (dict,)),
    "enum": lambda value, wanted, *_: [] if any(_equal(value, each) for each in wanted) else [f"{value!r} not in enum"],
    "const": lambda value, wanted, *_: [] if _equal(value, wanted) else [f"{value!r} is not {wanted!r}"],
    "pattern": _holds(lambda value, wanted: re.search(wanted, value) is not None, (str,)),
    "minimum": _holds(lambda value, wanted: value >= wanted, (int, float)),
    "maximum": _holds(lambda value, wanted: value <= wanted, (int, float)),
    "minLength": _holds(lambda value, wanted: len(value) >= wanted, (str,)),
    "maxLength": _holds(lambda value, wanted: len(value) <= wanted, (str,)),
    "minItems": _holds(lambda value, wanted: len(value) >= wanted, (list,)),
    "uniqueItems": _holds(_distinct, (list,)),
}
