"""Asking a process whether it is ready: one attempt, bounded in time. The answer is empty, or why not."""

from __future__ import annotations

import asyncio
import functools
import os
import re
import ssl
from collections.abc import Callable
from pathlib import Path

from greenfield.model.content import Content
from greenfield.model.local import ClientTls, ExchangeProbe, HttpProbe, ListenProbe, Probe

TIMEOUT_S = 2.0
_ANSWER_BYTES = 4096
_PAUSE_S = 0.1  # an answer that pauses for so long has been said

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def ask(probe: Probe, join: Callable[[Content], str]) -> str:
    """One attempt. ``join`` turns content with secrets into text. Returns "" when ready, else the reason."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await _ask(probe, join)
    except TimeoutError:
        return f"no answer from {probe.address} within {TIMEOUT_S:g} s"
    except ssl.SSLError as exc:  # its number is none of the system's
        return f"{probe.address}: TLS: {exc.reason or exc}"
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as exc:
        return f"{probe.address}: {os.strerror(exc.errno) if isinstance(exc, OSError) and exc.errno else exc}"


async def _ask(probe: Probe, join: Callable[[Content], str]) -> str:
    tls = None if isinstance(probe, ListenProbe) else probe.tls
    reader, writer = await _connect(probe.address, tls)
    try:
        if isinstance(probe, HttpProbe):
            return await _get(probe, reader, writer)
        if isinstance(probe, ExchangeProbe):
            return await _exchange(probe, join(probe.send), reader, writer)
        return ""
    finally:
        writer.transport.abort()


async def _connect(address: str, tls: ClientTls | None) -> Streams:
    context = _context(tls.ca, tls.certificate, tls.key, Path(tls.certificate).stat().st_mtime_ns) if tls else None
    name = tls.server_name if tls else None
    if address.startswith("unix:"):
        return await asyncio.open_unix_connection(address.removeprefix("unix:"), ssl=context, server_hostname=name)
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port), ssl=context, server_hostname=name)


@functools.lru_cache(maxsize=64)
def _context(ca: str, certificate: str, key: str, written: int) -> ssl.SSLContext:  # noqa: ARG001
    """Made once for each issue of a certificate: another was ``written`` at another moment."""
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(certificate, key)
    return context


async def _get(probe: HttpProbe, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    request = f"GET {probe.path} HTTP/1.1\r\nhost: {probe.host}\r\nuser-agent: greenfield\r\nconnection: close\r\n\r\n"
    writer.write(request.encode())
    status = (await reader.readline()).decode("latin-1").strip()
    match = re.match(r"HTTP/1\.[01] (\d{3})", status)
    if match and match[1].startswith("2"):
        return ""
    return f"GET {probe.path} answered {match[1] if match else status!r}"


async def _more(reader: asyncio.StreamReader, *, begun: bool) -> bytes:
    """What comes next; nothing when an answer that has begun does not go on soon."""
    try:
        return await asyncio.wait_for(reader.read(_ANSWER_BYTES), _PAUSE_S if begun else None)
    except TimeoutError:
        return b""


async def _exchange(probe: ExchangeProbe, send: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(send.encode("latin-1"))
    seen = ""
    while chunk := await _more(reader, begun=bool(seen)):
        seen += chunk.decode("latin-1")
        if re.search(probe.expect, seen, re.DOTALL):
            return ""
    return f"{probe.address} answered {seen[:120]!r}"
