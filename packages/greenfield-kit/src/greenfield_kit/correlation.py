"""The id of the request at hand, by which one request is found in the logs of all services."""

from __future__ import annotations

import random
import re
from contextvars import ContextVar

HEADER = "x-request-id"
_PRINTABLE = re.compile(rb"[!#-\[\]-~]{1,128}")

request_id: ContextVar[str] = ContextVar("request_id", default="")


def accepted(given: bytes | None) -> str:
    """The id that a caller gave, if it is printable ASCII without quotes and of a decent length; else a new one."""
    if given is not None and _PRINTABLE.fullmatch(given):
        return given.decode("ascii")
    return f"{random.getrandbits(128):032x}"
