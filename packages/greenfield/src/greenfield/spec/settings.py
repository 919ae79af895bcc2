"""A piece of the tree to a component's settings; pydantic's complaints in our own words, at their places."""

from __future__ import annotations

import functools
import types
import typing
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError, create_model
from pydantic_core import ErrorDetails

from greenfield.model.declaration import KeyPath
from greenfield.spec.complaints import Complaints, near
from greenfield.spec.tree import Node, Scalar, find, plain, without, words

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
_ROUNDS = 4  # what is left out may uncover another mistake
_FORMS = {
    "too_short": "must have at least {min_length} entry",
    "too_long": "can have at most {max_length} entries",
    "string_too_short": "must not be empty",
    "string_too_long": "can have at most {max_length} characters",
    "string_pattern_mismatch": "cannot be {input!r}: it must match {pattern}",
}


def settings(model: type[Model], node: Node, path: KeyPath, complaints: Complaints) -> Model | None:
    """The settings at a path, or None with at least one complaint more."""
    made, lost = salvaged(model, node, path, complaints)
    return made if lost is None else None


def salvaged(
    model: type[Model], node: Node, path: KeyPath, complaints: Complaints
) -> tuple[Model | None, frozenset[str] | None]:
    """The settings at a path, as far as they can be read, and all words of what is left out: None if nothing is.

    With them the rest of the file can be judged in the same pass. Where they lack a key that must be there, it is None.
    """
    try:
        return model.model_validate(plain(node)), None
    except ValidationError as exc:
        errors = _by_place(exc, node)
    for place, found in errors.items():
        _complain(found, (*path, *place), model, path, complaints)
    lost = set[str]()
    for _ in range(_ROUNDS):
        wrong = {place[:-1] if found[0]["type"] == "missing" else place for place, found in errors.items()} - {()}
        lost |= {word for place in wrong for word in (str(place[-1]), *words(find(node, place)[2]))}
        node = without(node, wrong)
        try:
            return _lenient(model).model_validate(plain(node)), frozenset(lost)
        except ValidationError as exc:
            errors = _by_place(exc, node)
        for place, found in errors.items():
            if found[0].get("ctx", {}).get("keys"):  # two keys that conflict, of which none was left out
                _complain(found, (*path, *place), model, path, complaints)
    return None, frozenset(lost)


@functools.cache
def _lenient(model: type[Model]) -> type[Model]:
    """The same with nothing required."""
    needed: dict[str, Any] = {name: (Any, None) for name, field in model.model_fields.items() if field.is_required()}
    return create_model(model.__name__, __base__=model, **needed)


def _by_place(exc: ValidationError, node: Node) -> dict[KeyPath, list[ErrorDetails]]:
    """The errors by the keys that they are about. Where a branch of a union went deeper, the others are dropped."""
    found: dict[KeyPath, list[ErrorDetails]] = {}
    for error in exc.errors(include_url=False):
        found.setdefault(_real(error["loc"], node), []).append(error)
    above = {place[:length] for place in found for length in range(len(place))}
    return {place: errors for place, errors in found.items() if place not in above or not all(map(_is_of_type, errors))}


def _is_of_type(error: ErrorDetails) -> bool:
    return error["type"].endswith("_type")


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
    errors: list[ErrorDetails], place: KeyPath, model: type[BaseModel], path: KeyPath, complaints: Complaints
) -> None:
    error = errors[0]
    if error["type"] == "extra_forbidden":
        known = _fields(_model_at(model, place[len(path) : -1]))
        message = f"{place[-1]!r} is not a key of {_dotted(place[:-1])}"
        complaints.add(place, "unknown-key", message, near(str(place[-1]), known))
        return
    if error["type"] == "missing":
        message = f"{_dotted(place[:-1])} lacks the key {place[-1]!r}"
        complaints.add(place[:-1], "missing-key", message, f"add `{place[-1]}:`")
        return
    code, message, hint = _words(errors, place, find(complaints.root, place)[2])
    at_key = bool(error.get("ctx", {}).get("keys")) or error["loc"][-1:] == ("[key]",)
    complaints.add(_later_key(error, place, complaints), code, message, hint, value=not at_key)


def _later_key(error: ErrorDetails, place: KeyPath, complaints: Complaints) -> KeyPath:
    """A validator may name the keys that conflict (``keys`` in the context): the later one is to blame."""
    keys = [(*place, key) for key in error.get("ctx", {}).get("keys", ())]
    present = [key for key in keys if find(complaints.root, key)[2] is not None]
    return max(present, key=lambda key: find(complaints.root, key)[0], default=place)


def _words(errors: list[ErrorDetails], place: KeyPath, node: Node | None) -> tuple[str, str, str]:
    error, name = errors[0], _dotted(place)
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error" and error["input"] is None:
        return "wrong-type", f"{name} is empty", _type_hint([""], None, None)
    if kind == "value_error":
        return "invalid-value", f"{name}: {context.get('error', error['msg'])}", ""
    if kind in _BOUNDS:
        word, bound = _BOUNDS[kind]
        return "out-of-range", f"{name} must be {word} {context[bound]}, and is {error['input']!r}", ""
    if kind == "literal_error":
        hint = near(str(error["input"]), str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", "))
        message = f"{name} cannot be {error['input']!r}: it is one of {context['expected']}"
        return "invalid-value", message, hint if isinstance(error["input"], str) and "mean" in hint else ""
    if kind in _FORMS:
        return "invalid-value", f"{name} {_FORMS[kind].format(**context, input=error['input'])}", ""
    wanted = list(dict.fromkeys(words for words in map(_wanted, errors) if words))
    if not wanted:
        code = kind.replace("_", "-") if "keys" in context or kind.count("_") > 3 else "invalid-value"
        return code, f"{name}: {error['msg']}", str(context.get("hint", ""))
    return _wrong_type(name, wanted, error["input"], node)


def _wanted(error: ErrorDetails) -> str:
    return next((words for prefix, words in _WANTED.items() if error["type"].startswith(prefix)), "")


def _wrong_type(name: str, wanted: list[str], value: Any, node: Node | None) -> tuple[str, str, str]:
    scalar = node if isinstance(node, Scalar) else None
    if scalar and isinstance(scalar.value, bool) and "text" in wanted:
        return "unquoted-boolean", f"{name} is a boolean in YAML, and text is wanted", f'quote it: "{scalar.text}"'
    message = f"{name} must be {' or '.join(wanted)}, and is {_kind_of(value)}"
    return "wrong-type", message, _type_hint(wanted, value, scalar)


def _type_hint(wanted: list[str], value: Any, scalar: Scalar | None) -> str:
    if value is None:
        empty = {"a mapping": ": `{}` is an empty one", "a list": ": `[]` is an empty one"}.get(wanted[0], "")
        return f"give it a value, or leave the key out{empty}"
    if scalar and wanted == ["a list"] and isinstance(value, str):
        return "write it in [ ], with a comma between its entries"
    if scalar and isinstance(value, str) and "number" in wanted[0] and value.isdecimal():
        return "remove the quotes"
    if wanted == ["a mapping"] and isinstance(value, list):
        return "write `key: value`, without `- `"
    return f'quote it: "{scalar.text}"' if scalar and wanted == ["text"] and scalar.text else ""


def _kind_of(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "empty"}[value]
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {value!r}"
    return "a mapping" if isinstance(value, dict) else "a list"


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
