"""One without the kit, that breaks as many do: the proof that whoever looks for faults finds them."""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI()


@app.get("/health/live")
async def alive() -> dict[str, bool]:
    """Lives."""
    return {"alive": True}


@app.get("/shares/{parts}")
async def shares(parts: int) -> dict[str, float]:
    """Divides by what it is given."""
    return {"share": 100 / parts}
