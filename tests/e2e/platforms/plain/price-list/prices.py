"""The price list: a bare ASGI callable, which knows of HTTP and of nothing else."""


async def app(scope, receive, send):
    """Answers any path by its price, which is the length of its last part."""
    assert scope["type"] == "http", scope["type"]
    word = scope["path"].rpartition("/")[2]
    body = f"{word} costs {len(word)}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
