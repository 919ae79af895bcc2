"""An ASGI application in this very process, begun and ended as a server does, and asked by an ordinary httpx client.

It has a thread and an event loop of its own, so that a test needs neither a port nor a plugin for coroutines, and what
the application does besides, such as consuming, goes on between two requests.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import httpx

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
BASE_URL = "http://service"


class StartupError(RuntimeError):
    """The application did not start, or did not end. The message holds its own words."""


@contextmanager
def serving(app: Application, base_url: str = BASE_URL) -> Iterator[httpx.Client]:
    """A client of the application, from when it has started until it has ended; StartupError where it cannot.

    What the application raises while it answers is raised to whoever asked.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="serving", daemon=True)
    thread.start()
    try:
        life = _Life(app)
        asyncio.run_coroutine_threadsafe(life.begin(), loop).result()
        try:
            with httpx.Client(transport=_Bridge(app, loop), base_url=base_url) as client:
                yield client
        finally:
            asyncio.run_coroutine_threadsafe(life.end(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(_last_words(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Life:
    """The lifespan protocol: https://asgi.readthedocs.io/en/latest/specs/lifespan.html"""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._told: asyncio.Queue[Message] = asyncio.Queue()
        self._said: asyncio.Queue[Message] = asyncio.Queue()

    async def begin(self) -> None:
        scope: Message = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self._task = asyncio.ensure_future(self._app(scope, self._told.get, self._said.put))
        await self._tell("startup")

    async def end(self) -> None:
        if not self._task.done():
            await self._tell("shutdown")
            await self._task

    async def _tell(self, what: str) -> None:
        self._told.put_nowait({"type": f"lifespan.{what}"})
        answer = asyncio.ensure_future(self._said.get())
        await asyncio.wait([answer, self._task], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            if (error := self._task.exception()) is not None:
                raise StartupError(f"the application broke at its {what}: {error!r}") from error
        elif answer.result()["type"] != f"lifespan.{what}.complete":
            raise StartupError(f"the application refused its {what}: {answer.result().get('message', '')}")


class _Bridge(httpx.BaseTransport):
    """Requests of a thread, answered in the loop of the application."""

    def __init__(self, app: Application, loop: asyncio.AbstractEventLoop) -> None:
        self._asgi = httpx.ASGITransport(app)
        self._loop = loop

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        content = request.read()
        asked: Future[httpx.Response] = asyncio.run_coroutine_threadsafe(self._ask(request, content), self._loop)
        return asked.result()

    async def _ask(self, request: httpx.Request, content: bytes) -> httpx.Response:
        again = httpx.Request(request.method, request.url, headers=request.headers, content=content)
        answer = await self._asgi.handle_async_request(again)
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        body = b"".join([chunk async for chunk in answer.stream])
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(body))


async def _last_words() -> None:
    """Ends what the application left behind, as a server's loop does."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
    await asyncio.get_running_loop().shutdown_default_executor()
