"""What the docstrings below the fields of settings say. Read when a schema is drawn, for that costs time."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue


class Described(GenerateJsonSchema):
    """A JSON schema in which each field is described by its docstring, unless its model describes it itself."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        """As pydantic draws it, with descriptions."""
        drawn = super().model_schema(schema)
        told = field_docstrings(schema["cls"])
        for name, field in schema["cls"].model_fields.items():
            known = drawn.get("properties", {}).get(field.alias or name)
            if known is not None and name in told:
                known.setdefault("description", told[name])
        return drawn


def field_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """By field the docstring that follows it, those of base classes included; nothing where there is no source."""
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if cls is not BaseModel and issubclass(cls, BaseModel):
            found |= _in_body(cls)
    return found


def _in_body(cls: type) -> dict[str, str]:
    try:
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError, SyntaxError):
        return {}
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(below.value.value)
        for field, below in itertools.pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }
