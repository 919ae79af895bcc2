"""The body of a request: bounded in size and time while it comes, and looked at before anybody works on it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.types import Message, Receive

    from greenfield_kit.limits import Limits

DEEPEST = 100  # nested arrays and objects: what is deeper breaks those who read or write it by recursion
_READ_BEFORE = re.compile(rb"application/(?:[^;]+\+)?json|application/x-www-form-urlencoded", re.IGNORECASE)
_JSON = re.compile(rb"application/(?:[^;]+\+)?json", re.IGNORECASE)
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_UNKEEPABLE = re.compile("[\0\ud800-\udfff]")
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[^\[\]{}"]+', re.DOTALL)


class Held:
    """Bytes of bodies that are held by requests without a turn."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.total = 0


class Body:
    """The receiving end of one request, in place of the server's."""

    __slots__ = ("_kept", "_kind", "_leaving", "_length", "_limits", "_receive", "_received", "_until", "ended")

    def __init__(self, receive: Receive, headers: Mapping[bytes, bytes], limits: Limits, *, may_have: bool) -> None:
        self._receive = receive
        self._leaving: asyncio.Task[None] | None = None
        self._kept: bytes | None = None
        self.ended = not may_have
        if self.ended:
            self._kept = b""
            return
        self._limits = limits
        self._kind = headers.get(b"content-type", b"")
        self._length = _number(headers.get(b"content-length"))
        self._until = asyncio.get_running_loop().time() + limits.body_s
        self._received = 0

    @property
    def is_read_before(self) -> bool:
        """Whether it is to be read whole before the request has its turn: what is parsed whole anyway."""
        return not self.ended and _READ_BEFORE.match(self._kind) is not None

    def check_length(self) -> None:
        """413 for one that says itself that it is too large."""
        if not self.ended and self._length > self._limits.body_bytes:
            raise _too_large(self._limits)

    async def read(self, held: Held) -> None:
        """Reads it whole; refuses as while it streams, JSON that nothing can keep (400), and too much at once (503)."""
        parts: list[bytes] = []
        try:
            while not self.ended:
                message = await self._next()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                parts.append(message.get("body", b""))
                held.total += len(parts[-1])
                if held.total > held.most:
                    raise HTTPException(503, "Too much comes at once.", {"retry-after": "1"})
        finally:
            held.total -= sum(map(len, parts))
        self._kept = b"".join(parts)
        if _JSON.match(self._kind) and (wrong := unkeepable(self._kept)):
            raise HTTPException(400, wrong)

    async def __call__(self) -> Message:
        """The next message, as the server would give it."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            return {"type": "http.request", "body": kept, "more_body": False}
        if self.ended:
            await self.gone()
            return {"type": "http.disconnect"}
        return await self._next()

    async def gone(self) -> None:
        """Returns when the client has closed its connection, or has its answer; the body has ended."""
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._disconnect())
        await asyncio.shield(self._leaving)

    def close(self) -> None:
        """Nobody asks any more."""
        if self._leaving is not None:
            self._leaving.cancel()

    async def _disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            continue

    async def _next(self) -> Message:
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError as exc:
            raise HTTPException(408, f"The body did not come within {self._limits.body_s:g} s.") from exc
        self._received += len(message.get("body", b""))
        self.ended = not message.get("more_body", False)
        if self._received > self._limits.body_bytes:
            raise _too_large(self._limits)
        return message


class ClientGoneError(Exception):
    """Nobody is there any more who would take an answer."""


def unkeepable(text: bytes) -> str:
    """What is wrong with a text that may be JSON: nesting that breaks readers, characters that no store keeps."""
    if text.count(b"[") + text.count(b"{") > DEEPEST and _depth(text) > DEEPEST:
        return f"The body is nested more than {DEEPEST} deep."
    if _SUSPECT.search(text) and not _is_text(text):
        return "The body has NUL or half a surrogate pair in it."
    return ""


def _depth(text: bytes) -> int:
    depth = deepest = 0
    for bracket in _BRACKETS.sub(b"", text):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _is_text(text: bytes) -> bool:
    try:
        left: list[Any] = [json.loads(text)]
    except ValueError:
        return True  # whoever reads it says better what is wrong
    while left:
        each = left.pop()
        if isinstance(each, dict):
            left += [*each, *each.values()]
        elif isinstance(each, list):
            left += each
        elif isinstance(each, str) and _UNKEEPABLE.search(each):
            return False
    return True


def _number(header: bytes | None) -> int:
    return int(header) if header is not None and header.isdigit() else 0


def _too_large(limits: Limits) -> HTTPException:
    return HTTPException(413, f"A body has {limits.body_bytes} bytes at most.")
