"""Knocks at doors: connections that trust any server, since what a proof tries is the refusal of the server."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from greenfield.model.binding import Leaf

TIMEOUT_S = 10.0
CLOSED = (ssl.SSLError, ConnectionError, EOFError, http.client.RemoteDisconnected, http.client.BadStatusLine)
"""What a client meets where a server ends the connection instead of answering."""

Address = tuple[str, int] | str


@dataclass(frozen=True)
class Answer:
    """The head of an HTTP response; ``headers`` by lower-case name."""

    status: int
    headers: Mapping[str, str]


def client_context(leaf: Leaf) -> ssl.SSLContext:
    """A client that shows this leaf to whoever serves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(leaf.certificate, leaf.key)
    return context


def connected(at: Address, leaf: Leaf | None, timeout: float = TIMEOUT_S) -> socket.socket:
    """A connection to a host and port, or to a Unix socket; by TLS where a leaf is shown, else in plaintext."""
    if isinstance(at, str):
        plaintext = socket.socket(socket.AF_UNIX)
        plaintext.settimeout(timeout)
        plaintext.connect(at)
    else:
        plaintext = socket.create_connection(at, timeout)
    if leaf is None:
        return plaintext
    with plaintext:  # closes it only where there is no handshake
        return client_context(leaf).wrap_socket(plaintext)


def first_open(addresses: Iterable[Address], leaf: Leaf | None) -> socket.socket:
    """A connection to the first address where anybody listens; OSError of the last where nobody does."""
    nobody: OSError = ConnectionRefusedError("there is no address to try")
    for at in addresses:
        try:
            return connected(at, leaf)
        except (ConnectionRefusedError, FileNotFoundError) as exc:
            nobody = exc
    raise nobody


def asked(connection: socket.socket, method: str, path: str, host: str, *, unfinished: bool = False) -> Answer | None:
    """The head of the answer to a request without a body.

    ``unfinished``: a body is promised and never sent, so that no program can act on the request; then None where no
    answer came within a second, which is what a program does that waits for the body.
    """
    with connection:
        if unfinished:
            connection.settimeout(1.0)
        client = http.client.HTTPConnection(host)
        client.sock = connection
        client.putrequest(method, path)
        if unfinished:
            client.putheader("content-length", "1")
        client.endheaders()
        try:
            response = client.getresponse()
        except TimeoutError:
            if unfinished:
                return None
            raise
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()})
