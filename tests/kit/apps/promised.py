"""One with every kind of argument, for whoever looks for faults."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Header, HTTPException, Query
from pydantic import BaseModel, Field

from greenfield_kit.app import Service
from greenfield_kit.documented import answers
from greenfield_kit.limits import AtMost

app = Service("promised").app()


class Thing(BaseModel):
    """Something to keep."""

    name: str = Field(min_length=1, max_length=64)
    number: int = Field(ge=2, le=2**31 - 1)  # pydantic takes true for 1
    more: dict[str, Any] = Field(default_factory=dict)


@app.post("/things", status_code=201)
async def keep(thing: Thing) -> Thing:
    """A body."""
    return thing


@app.get("/things/{name}", responses=answers(404))
async def thing(name: str) -> Thing:
    """A path."""
    if len(name) > 64 or len(name) % 2:
        raise HTTPException(404, "There is no such thing.")
    return Thing(name=name, number=max(2, len(name)))


@app.get("/things", responses=answers(429), dependencies=[Depends(AtMost(1))])
async def things(
    name: Annotated[list[str], Query(max_length=10)], x_kind: Annotated[str | None, Header()] = None
) -> list[Thing]:
    """Parameters and a header."""
    return [Thing(name=each or "nameless", number=2) for each in name if len(each) <= 64 and x_kind != "none"]
