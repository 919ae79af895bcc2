"""Asks another service, and answers as it was answered, or as if nothing had happened."""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse

from greenfield_kit import telemetry
from greenfield_kit.app import Service

service = Service("asker")
answerer = service.http("answerer")
app = service.app()


@app.get("/ask/{what}")
async def ask(what: str) -> Any:
    """The other's status, and the trace."""
    answer = await answerer.get(f"/{what}")
    return JSONResponse({"trace": telemetry.trace_id(), "status": answer.status_code}, answer.status_code)


@app.get("/forgive/{what}")
async def forgive(what: str) -> dict[str, Any]:
    """All is well, whatever the other says."""
    answer = await answerer.get(f"/{what}")
    return {"trace": telemetry.trace_id(), "status": answer.status_code}
