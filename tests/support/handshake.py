"""What a server shows to whoever begins to shake hands: asked without a certificate, whatever it says to that."""

from __future__ import annotations

import socket
import ssl
import struct

from cryptography import x509

POSTGRESQL_TLS = struct.pack("!ii", 8, 80877103)
"""SSLRequest: https://www.postgresql.org/docs/current/protocol-message-formats.html"""

MYSQL_TLS = struct.pack("<I", 32 | 1 << 24) + struct.pack("<IIB23x", 0x8A00, 1 << 24, 45)
"""SSLRequest, protocol 4.1: https://mariadb.com/kb/en/connection/"""


def shown(host: str, port: int, kind: str = "") -> x509.Certificate:
    """The certificate of the server at a port. ``kind``: that of its store, whose protocol may begin without TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((host, port), timeout=5) as connection:
        if kind == "postgres":
            connection.sendall(POSTGRESQL_TLS)
            assert connection.recv(1) == b"S"
        elif kind == "mysql":
            connection.recv(4096)
            connection.sendall(MYSQL_TLS)
        with context.wrap_socket(connection) as secured:
            certificate = secured.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate)
