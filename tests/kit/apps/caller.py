"""One that calls the other for every request, and one that needs nobody."""

from __future__ import annotations

from greenfield_kit.app import Service

service = Service("caller")
callee = service.http("callee")
app = service.app()


@app.get("/asks")
async def asks(path: str = "/ok") -> dict[str, int]:
    """What the other answers."""
    return {"status": (await callee.get(path)).status_code}


@app.get("/alone")
async def alone() -> dict[str, bool]:
    """Nobody is asked."""
    return {"alone": True}
