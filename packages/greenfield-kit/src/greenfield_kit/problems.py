"""Errors as RFC 9457 has them: ``application/problem+json``, with nothing of the inside in it."""

from __future__ import annotations

import http
import json
import logging
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

log = logging.getLogger("greenfield_kit")


def problem(status: int, title: str, detail: str = "", **members: Any) -> Response:
    """A problem as an answer; further members are added as they are."""
    from greenfield_kit.requests import request_id

    body = {"type": "about:blank", "title": title, "status": status, "request_id": request_id.get(), **members}
    if detail:
        body["detail"] = detail
    return Response(json.dumps(body), status, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Every error of an application answers as a problem."""
    from fastapi.exceptions import RequestValidationError

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        answer = problem(error.status_code, http.HTTPStatus(error.status_code).phrase, str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = [{"at": "/".join(str(step) for step in each["loc"]), "message": each["msg"]} for each in error.errors()]
        return problem(422, "The request is not valid", errors=found)

    async def broken(request: Request, error: Exception) -> Response:
        log.error("unhandled", exc_info=error, extra={"path": request.url.path})
        return problem(500, "Something broke here", "It has been logged under the request id.")

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, broken)
