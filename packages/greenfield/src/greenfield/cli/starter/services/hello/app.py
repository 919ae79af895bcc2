"""A service: any ASGI application. What it may reach stands in its environment, under the names of its `uses`."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import redis.asyncio as redis

Message = MutableMapping[str, Any]

visits = redis.from_url(os.environ["VISITS_URL"])
COUNTER = os.environ["VISITS_PREFIX"] + "total"  # a service writes keys under its own prefix, and no others


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Greets and counts; ready while Redis answers, alive in any case."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/health/live":
        text = "alive"
    elif scope["path"] == "/health/ready":
        await visits.ping()
        text = "ready"
    elif scope["method"] != "GET":
        text = "Hello."
    else:
        text = f"Hello, visitor number {await visits.incr(COUNTER)}."
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})
