"""By plain FastAPI, whose own telemetry tells what the kit tells: a span and a duration of each request.

It does less than the kit: what is not sampled is never told, whatever becomes of it.
"""

from __future__ import annotations

import os

from fastapi import FastAPI
from pydantic import BaseModel

told = os.environ.get("OTEL_SDK_DISABLED") != "true"
app = FastAPI(title="answers", telemetry={"auto_configure": told, "operation_spans": False, "logs": False})


class Answer(BaseModel):
    """A small one."""

    number: int
    words: str


@app.get("/api/answers/{number}")
async def answer(number: int) -> Answer:
    """The answer to a number."""
    return Answer(number=number, words="as small as an answer may be")
