"""A small answer in JSON, without a store: what a request costs besides."""

from __future__ import annotations

from pydantic import BaseModel

from greenfield_kit.app import Service

service = Service("answers")
app = service.app()


class Answer(BaseModel):
    """A small one."""

    number: int
    words: str


@app.get("/api/answers/{number}")
async def answer(number: int) -> Answer:
    """The answer to a number."""
    return Answer(number=number, words="as small as an answer may be")


@app.post("/api/answers")
async def answered(answer: Answer) -> Answer:
    """The same answer again."""
    return answer
