"""Errors as RFC 9457 has them: ``application/problem+json``, with nothing of the inside in it."""

from __future__ import annotations

import http
import json
import logging
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from greenfield_kit.correlation import request_id
from greenfield_kit.errors import UnavailableError

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

MEDIA_TYPE = "application/problem+json"
_HAS_BODY_OF = frozenset({"model_attributes_type", "dict_type", "list_type", "dataclass_type", "model_type"})
log = logging.getLogger("greenfield_kit")


def problem(status: int, title: str, detail: str = "", **members: Any) -> Response:
    """A problem as an answer; further members are added as they are."""
    body = {"type": "about:blank", "title": title, "status": status, "request_id": request_id.get(), **members}
    if detail:
        body["detail"] = detail
    return Response(json.dumps(body), status, media_type=MEDIA_TYPE)


def refused(error: HTTPException) -> Response:
    """An HTTP error as a problem, with its headers."""
    answer = problem(error.status_code, _phrase(error.status_code), str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


def unavailable(error: UnavailableError) -> Response:
    """Something behind this service is away: 503 or 504, and when to come again."""
    answer = problem(error.status, _phrase(error.status), "Something that this needs does not answer.")
    if error.status == UnavailableError.status and error.retry_after_s is not None:
        answer.headers["retry-after"] = f"{error.retry_after_s:.0f}"
    return answer


def broken(error: Exception, path: str) -> Response:
    """Our own mistake: logged with all there is to know, of which nobody outside is told."""
    log.error("unhandled", exc_info=error, extra={"path": path})
    return problem(500, "Something broke here", "It has been logged under the request id.")


def install(app: FastAPI, *away: type[Exception]) -> None:
    """Every error of an application answers as a problem; ``away`` are those of stores that do not answer: 503."""
    from fastapi.exceptions import RequestValidationError

    kinds: tuple[type[Exception], ...] = (UnavailableError, *away)

    async def on_refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        answer = refused(error)
        if error.status_code == 405 and (allowed := _allowed(request)):
            answer.headers["allow"] = ", ".join(sorted(allowed))
        return answer

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        if _is_of_another_kind(request, error):
            return refused(HTTPException(415, "The body is to be application/json.", {"accept": "application/json"}))
        found = [{"at": "/".join(str(step) for step in each["loc"]), "message": each["msg"]} for each in error.errors()]
        return problem(422, "The request is not valid", errors=found)

    async def on_away(_: Request, error: Exception) -> Response:
        log.warning("unavailable", extra={"reason": f"{type(error).__name__}: {error}"})
        return unavailable(error if isinstance(error, UnavailableError) else UnavailableError())

    async def on_broken(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):  # raised by a middleware
            return refused(error)
        if isinstance(error, kinds):
            return await on_away(request, error)
        return broken(error, request.url.path)

    app.add_exception_handler(HTTPException, on_refused)
    app.add_exception_handler(RequestValidationError, on_invalid)
    for kind in kinds:
        app.add_exception_handler(kind, on_away)
    app.add_exception_handler(Exception, on_broken)


def _allowed(request: Request) -> set[str]:
    """The methods of all routes of a path: the framework names those of the first."""
    from starlette.routing import Match

    matching = (route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in matching for method in getattr(route, "methods", None) or ()}


def _is_of_another_kind(request: Request, error: Any) -> bool:
    """Whether a body was given, and was not read because it does not say that it is JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return False
    if not isinstance(error.body, bytes) or not error.body:
        return False
    return any(tuple(each["loc"]) == ("body",) and each["type"] in _HAS_BODY_OF for each in error.errors())


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Refused"
