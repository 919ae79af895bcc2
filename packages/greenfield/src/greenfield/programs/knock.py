"""Knocks at doors: connections that trust any server, since what a proof tries is the refusal of the server."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from greenfield.model.binding import Leaf

TIMEOUT_S = 10.0
CLOSED = (ssl.SSLError, ConnectionError, EOFError, http.client.RemoteDisconnected, http.client.BadStatusLine)
"""What a client meets where a server ends the connection instead of answering."""

_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # the preface, and empty settings
_FRAME_HEAD, _SETTINGS = 9, 4  # bytes, and the type in the fourth: RFC 9113, 4.1 and 6.5

Address = tuple[str, int] | str


@dataclass(frozen=True)
class Answer:
    """The head of an HTTP response; ``headers`` by lower-case name."""

    status: int
    headers: Mapping[str, str]


def client_context(leaf: Leaf, protocols: Sequence[str] = ()) -> ssl.SSLContext:
    """A client that shows this leaf to whoever serves, and speaks these protocols (ALPN), or names none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(leaf.certificate, leaf.key)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def connected(
    at: Address, leaf: Leaf | None, timeout: float = TIMEOUT_S, protocols: Sequence[str] = (), server_name: str = ""
) -> socket.socket:
    """A connection to a host and port, or to a Unix socket; by TLS where a leaf is shown, else in plaintext.

    ``server_name``: whom it asks for (SNI), where that matters.
    """
    if isinstance(at, str):
        plaintext = socket.socket(socket.AF_UNIX)
        plaintext.settimeout(timeout)
        plaintext.connect(at)
    else:
        plaintext = socket.create_connection(at, timeout)
    if leaf is None:
        return plaintext
    with plaintext:  # closes it only where there is no handshake
        return client_context(leaf, protocols).wrap_socket(plaintext, server_hostname=server_name or None)


def greeted(at: Address, leaf: Leaf | None) -> str:
    """Whether a gRPC server takes who shows this leaf, or none in plaintext: empty, or why not.

    A server that lets somebody in begins with its settings; nothing is asked of it.
    """
    try:
        with connected(at, leaf, protocols=("h2",)) as connection:
            connection.sendall(_HTTP2)
            answer = connection.recv(_FRAME_HEAD)
    except CLOSED as exc:
        return str(exc) or type(exc).__name__
    settings = len(answer) == _FRAME_HEAD and answer[3] == _SETTINGS
    return "" if settings else "the server closed the connection" if not answer else f"the server answered {answer!r}"


def first_open(addresses: Iterable[Address], leaf: Leaf | None) -> socket.socket:
    """A connection to the first address where anybody listens; OSError of the last where nobody does."""
    nobody: OSError = ConnectionRefusedError("there is no address to try")
    for at in addresses:
        try:
            return connected(at, leaf)
        except (ConnectionRefusedError, FileNotFoundError) as exc:
            nobody = exc
    raise nobody


def asked(
    connection: socket.socket,
    method: str,
    path: str,
    host: str,
    *,
    unfinished: bool = False,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Answer | None:
    """The head of the answer to a request, by default without a body.

    ``unfinished``: a body is promised and never sent, so that no program can act on the request; then None where no
    answer came within a second, which is what a program does that waits for the body.
    """
    with connection:
        if unfinished:
            connection.settimeout(1.0)
        client = http.client.HTTPConnection(host)
        client.sock = connection
        client.putrequest(method, path)
        for name, value in (headers or {}).items():
            client.putheader(name, value)
        if unfinished:
            client.putheader("content-length", "1")
        elif body:
            client.putheader("content-length", str(len(body)))
        client.endheaders(body or None)
        try:
            response = client.getresponse()
        except TimeoutError:
            if unfinished:
                return None
            raise
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()})


def document(at: tuple[str, int], path: str) -> Any:
    """The JSON document that a part of the platform answers by plain HTTP; OSError or ValueError where it is none."""
    client = http.client.HTTPConnection(*at, timeout=TIMEOUT_S)
    try:
        client.request("GET", path)
        return json.loads(client.getresponse().read())
    finally:
        client.close()
