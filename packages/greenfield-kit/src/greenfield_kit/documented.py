"""The problems that an application may answer, in its OpenAPI document: each where it can happen, and none besides."""

from __future__ import annotations

import http
from collections.abc import Iterator
from typing import Any

from greenfield_kit.problems import MEDIA_TYPE

_REFERENCE = {"$ref": "#/components/schemas/Problem"}
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_OF_FASTAPI = ("HTTPValidationError", "ValidationError")
_REASONS = {
    400: "The URL or the body cannot be read.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "The body is of another kind.",
    422: "The request is not valid.",
    429: "Too many of these.",
    500: "Something broke here.",
    503: "Too busy, or something that this needs is away.",
    504: "The deadline passed.",
}
_ALWAYS, _WITH_A_BODY, _WITH_ARGUMENTS = (400, 500, 503, 504), (408, 413, 415), 422
PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "An error, as RFC 9457 has it.",
    "type": "object",
    "required": ["type", "title", "status", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["at", "message"],
                "properties": {"at": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Problems that a route answers by itself: ``@app.get("/{sku}", responses=answers(404))``."""
    return {status: _answer(status) for status in statuses}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """An OpenAPI document with the problems that every route of the kit may answer, without FastAPI's own."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _OF_FASTAPI:
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM
    for operation in _operations(document):
        known = operation.setdefault("responses", {})
        if "HTTPValidationError" in str(known.get("422")):
            del known["422"]
        for status in _possible(operation):
            known.setdefault(str(status), _answer(status))
    return document


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in document.get("paths", {}).values():
        yield from (operation for method, operation in item.items() if method in _METHODS)


def _possible(operation: dict[str, Any]) -> Iterator[int]:
    yield from _ALWAYS
    if "requestBody" in operation:
        yield from _WITH_A_BODY
    if "requestBody" in operation or operation.get("parameters"):
        yield _WITH_ARGUMENTS


def _answer(status: int) -> dict[str, Any]:
    reason = _REASONS.get(status) or f"{http.HTTPStatus(status).phrase}."
    return {"description": reason, "content": {MEDIA_TYPE: {"schema": dict(_REFERENCE)}}}
