"""By the kit, with all that every request gets there."""

from __future__ import annotations

from pydantic import BaseModel

from greenfield_kit.app import Service

app = Service("answers").app()


class Answer(BaseModel):
    """A small one."""

    number: int
    words: str


@app.get("/api/answers/{number}")
async def answer(number: int) -> Answer:
    """The answer to a number."""
    return Answer(number=number, words="as small as an answer may be")
