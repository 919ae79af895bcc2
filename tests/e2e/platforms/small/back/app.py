"""A plain ASGI application without lifespan."""

import os


async def app(scope, receive, send):
    """Answers its pid and who called, as the sidecar proved it."""
    if scope["type"] != "http":
        raise RuntimeError("only http")
    caller = dict(scope["headers"]).get(b"x-forwarded-client-cert", b"")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": f"back-office {os.getpid()} ".encode() + caller})
