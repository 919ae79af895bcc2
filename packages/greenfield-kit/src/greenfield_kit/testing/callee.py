"""Another service without a network: the kit's own client, answered by an ASGI application in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import httpx

from greenfield_kit.circuit import Circuit
from greenfield_kit.http import AT_ONCE, WAITING, Client
from greenfield_kit.retries import Budget
from greenfield_kit.testing.serving import BASE_URL, Application
from greenfield_kit.turns import Turns


class FakeClient(Client):
    """Calls an application as if it were another service: deadlines, tries, budget and circuit are the real ones.

    ``away``: it cannot be reached. What the application raises counts as a broken connection.
    """

    def __init__(self, name: str, app: Application, *, at_once: int = AT_ONCE, budget: Budget | None = None) -> None:
        self.name = name
        self.away = False
        self.budget = budget or Budget()
        self.circuit = Circuit()
        self._turns = Turns(at_once, WAITING)
        self._url = BASE_URL
        self._host, self._port = name, None
        self._socket = ""
        self._session = None
        self._closing: set[asyncio.Task[None]] = set()
        self._app = app

    def _opened(self) -> aiohttp.ClientSession:
        return cast("aiohttp.ClientSession", _Session(self._app, self.away))


@dataclass(frozen=True)
class _Got:
    status: int
    headers: Mapping[str, str]
    content: bytes

    async def read(self) -> bytes:
        return self.content


@dataclass(frozen=True)
class _Session:
    app: Application
    away: bool

    @asynccontextmanager
    async def request(
        self, method: str, url: str, *, allow_redirects: bool, data: bytes | None = None, **options: Any
    ) -> AsyncIterator[_Got]:
        if self.away:
            raise aiohttp.ClientConnectionError("it is away")
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), follow_redirects=allow_redirects
        ) as asked:
            try:
                got = await asked.request(method, url, content=data, timeout=None, **options)
            except Exception as exc:
                raise aiohttp.ServerDisconnectedError from exc
        yield _Got(got.status_code, got.headers, got.content)
