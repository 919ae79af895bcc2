"""A plain ASGI application: answers its own pid, or what its neighbour answers."""

import asyncio
import os


async def app(scope, receive, send):
    """Answers /neighbour by a call over the sidecar's socket, anything else by its pid."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    body = await _neighbour() if scope["path"] == "/neighbour" else f"front {os.getpid()}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive, send):
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _neighbour():
    reader, writer = await asyncio.open_unix_connection(os.environ["BACK_OFFICE_UDS"])
    writer.write(b"GET /who HTTP/1.1\r\nhost: back-office\r\nconnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer
