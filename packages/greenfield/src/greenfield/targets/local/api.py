"""The supervisor's API: one JSON object a line over a Unix socket that only its owner can open.

A question is ``{"op": …}``. Every answer line has an ``event``; the last one is ``done``, ``answer`` or ``error``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from greenfield.errors import GreenfieldError
from greenfield.model.local import Graph

if TYPE_CHECKING:
    from greenfield.targets.local.engine import Event
    from greenfield.targets.local.supervisor import Supervisor

LARGEST_QUESTION = 64 << 20


class Question(msgspec.Struct, frozen=True):
    """What a client may ask."""

    op: str
    graph: Graph | None = None
    names: list[str] = []
    now: bool = False


class Api:
    """Answers clients, each on a connection of its own."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._open: set[asyncio.Task[Any]] = set()

    async def serve(self, path: Path) -> asyncio.Server:
        """Listens at ``path`` (0600), in place of whatever a dead supervisor left there."""
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(self._meet, path, limit=LARGEST_QUESTION)
        finally:
            os.umask(before)

    async def drain(self) -> None:
        """Lets the answers under way be written."""
        if self._open:
            await asyncio.wait(self._open, timeout=1.0)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            line = await reader.readline()
            await self._answer(line, writer)
        except (ConnectionError, ValueError):
            pass  # the client went away, or sent more than a question may hold: nobody is left to tell
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            question = msgspec.json.decode(line, type=Question)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            await _send(writer, {"event": "error", "message": f"not understood: {exc}", "hint": ""})
            return
        queue = self._supervisor.subscribe()
        work = asyncio.create_task(self._do(question))
        try:
            await self._stream(queue, work, writer)
        finally:
            self._supervisor.unsubscribe(queue)

    async def _stream(
        self, queue: asyncio.Queue[Event], work: asyncio.Task[Event], writer: asyncio.StreamWriter
    ) -> None:
        """Events while the work goes on, then its closing line. A client that goes away does not stop the work."""
        while not work.done() or not queue.empty():
            next_event = asyncio.create_task(queue.get())
            waiting: set[asyncio.Task[Any]] = {next_event, work}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if next_event.done():
                await _send(writer, next_event.result())
            else:
                next_event.cancel()
        await _send(writer, await work)

    async def _do(self, question: Question) -> Event:
        supervisor = self._supervisor
        try:
            if question.op == "reconcile" and question.graph is not None:
                return await supervisor.reconcile(question.graph)
            if question.op == "restart":
                return await supervisor.restart(question.names)
            if question.op == "stop":
                return await supervisor.stop(now=question.now)
            if question.op == "status":
                return {"event": "answer", "answer": supervisor.status()}
            if question.op == "graph":
                return {"event": "answer", "answer": supervisor.current_graph()}
            if question.op == "events":
                await supervisor.finished.wait()
                return {"event": "done", "ok": True}
        except GreenfieldError as exc:
            return {"event": "error", "message": exc.message, "hint": exc.hint}
        return {"event": "error", "message": f"there is no operation {question.op!r}", "hint": ""}


async def _send(writer: asyncio.StreamWriter, event: Mapping[str, Any]) -> None:
    writer.write(msgspec.json.encode(event) + b"\n")
    await writer.drain()
