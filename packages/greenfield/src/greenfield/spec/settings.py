"""A piece of the tree to a component's settings; pydantic's complaints in our own words, at their places."""

from __future__ import annotations

import types
import typing
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from greenfield.model.declaration import KeyPath
from greenfield.spec.complaints import Complaints, near
from greenfield.spec.tree import Node, Scalar, find, plain

Model = TypeVar("Model", bound=BaseModel)

_WANTED = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a mapping",
    "mapping": "a mapping",
    "model": "a mapping",
    "list": "a list",
    "tuple": "a list",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
    "greater_than": ("more than", "gt"),
    "less_than": ("less than", "lt"),
}


def settings(model: type[Model], node: Node, path: KeyPath, complaints: Complaints) -> Model | None:
    """The settings at a path, or None with at least one complaint more."""
    try:
        return model.model_validate(plain(node))
    except ValidationError as exc:
        seen: set[KeyPath] = set()
        for error in exc.errors(include_url=False):
            place = (*path, *_real(error["loc"], node))
            if place not in seen:
                seen.add(place)
                _complain(error, place, model, path, complaints)
        return None


def _real(location: tuple[int | str, ...], node: Node) -> KeyPath:
    """The steps of a location that are keys, without pydantic's names for the branches of a union."""
    steps: list[int | str] = []
    for number, step in enumerate(location):
        last = number == len(location) - 1
        if find(node, (*steps, step))[2] is not None or (last and isinstance(step, str) and _is_key(step)):
            steps.append(step)
    return tuple(steps)


def _is_key(step: str) -> bool:
    return step not in {"int", "str", "bool", "float", "list", "dict"} and not any(c in step for c in "[]()-,")


def _complain(
    error: ErrorDetails, place: KeyPath, model: type[BaseModel], path: KeyPath, complaints: Complaints
) -> None:
    kind = error["type"]
    if kind == "extra_forbidden":
        known = _fields(_model_at(model, place[len(path) : -1]))
        complaints.add(
            place, "unknown-key", f"{place[-1]!r} is not a key of {_dotted(place[:-1])}", near(str(place[-1]), known)
        )
        return
    if kind == "missing":
        complaints.add(
            place[:-1], "missing-key", f"{_dotted(place[:-1])} lacks the key {place[-1]!r}", f"add `{place[-1]}:`"
        )
        return
    code, message, hint = _words(error, place, find(complaints.root, place)[2])
    complaints.add(
        _later_key(error, place, complaints), code, message, hint, value=not error.get("ctx", {}).get("keys")
    )


def _later_key(error: ErrorDetails, place: KeyPath, complaints: Complaints) -> KeyPath:
    """A validator may name the keys that conflict (``keys`` in the context): the later one is to blame."""
    keys = [(*place, key) for key in error.get("ctx", {}).get("keys", ())]
    present = [key for key in keys if find(complaints.root, key)[2] is not None]
    return max(present, key=lambda key: find(complaints.root, key)[0], default=place)


def _words(error: ErrorDetails, place: KeyPath, node: Node | None) -> tuple[str, str, str]:
    kind, context, name = error["type"], error.get("ctx", {}), _dotted(place)
    if kind == "value_error":
        return "invalid-value", f"{name}: {context.get('error', error['msg'])}", ""
    if kind in _BOUNDS:
        word, bound = _BOUNDS[kind]
        return "out-of-range", f"{name} must be {word} {context[bound]}, and is {error['input']!r}", ""
    if kind == "literal_error":
        hint = near(str(error["input"]), str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", "))
        return "invalid-value", f"{name} cannot be {error['input']!r}: it is one of {context['expected']}", hint
    if kind == "string_pattern_mismatch":
        return (
            "invalid-value",
            f"{name} does not have the right form: {error['input']!r}",
            f"it must match {context['pattern']}",
        )
    wanted = next((words for prefix, words in _WANTED.items() if kind.startswith(prefix)), "")
    if not wanted:
        code = kind.replace("_", "-") if "keys" in context or kind.count("_") > 3 else "invalid-value"
        return code, f"{name}: {error['msg']}", str(context.get("hint", ""))
    if isinstance(node, Scalar) and isinstance(node.value, bool) and wanted == "text":
        return "unquoted-boolean", f"{name} is a boolean in YAML, and text is wanted", f'quote it: "{node.text}"'
    hint = f'quote it: "{node.text}"' if isinstance(node, Scalar) and wanted == "text" and node.text else ""
    return "wrong-type", f"{name} must be {wanted}, and is {_kind_of(error['input'])}", hint


def _kind_of(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return "empty" if value is None else names.get(type(value), "something else")


def _dotted(place: KeyPath) -> str:
    return ".".join(str(step) for step in place) or "the declaration"


def _fields(model: type[BaseModel] | None) -> list[str]:
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(model: type[BaseModel], steps: KeyPath) -> type[BaseModel] | None:
    """The model that reads what stands at some steps below another."""
    current: Any = model
    for step in steps:
        if isinstance(current, type) and issubclass(current, BaseModel):
            fields = {field.alias or name: field for name, field in current.model_fields.items()}
            current = _inner(fields[str(step)].annotation) if step in fields else None
        elif typing.get_origin(current) is not None:
            current = _inner(typing.get_args(current)[-1])
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _inner(annotation: Any) -> Any:
    """Of a union the part that has keys; of anything annotated what it is."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _inner(typing.get_args(annotation)[0])
    if origin is typing.Union or origin is types.UnionType:
        parts = [_inner(part) for part in typing.get_args(annotation)]
        return next(
            (p for p in parts if (isinstance(p, type) and issubclass(p, BaseModel)) or typing.get_origin(p)), None
        )
    return annotation
