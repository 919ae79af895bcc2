"""Proves that an ensemble is opened by certificates of the platform's own authority alone."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from functools import partial

from greenfield.model.binding import Leaf
from greenfield.model.plan import Edge, Resource
from greenfield.model.proof import Bench, Observation, Proof

_TIMEOUT_S = 10.0


def grants(resource: Resource, edge: Edge, bench: Bench) -> list[Proof]:  # noqa: ARG001
    """None: no service uses an ensemble."""
    return []


def refusals(resource: Resource, bench: Bench) -> list[Proof]:
    """That no port answers in plaintext, to a foreign authority's certificate, or to a service's.

    But for the one of the quorum, where only the leader of the moment listens: it is set as that of the election is.
    """
    members = {member.name for member in resource.members}
    services = [service.name for service in bench.plan.of_kind("service")]
    found: list[Proof] = []
    for port, (host, number) in sorted(bench.site.ports.items()):
        member, _, listener = port.partition("/")
        if member not in members or listener == "quorum":
            continue
        knock = partial(_knock, host, number)
        found += [
            _refused("plaintext", "plaintext", "anyone", port, partial(knock, None)),
            _refused("another authority", "authority", "anyone", port, partial(knock, bench.foreign_leaf)),
        ]
        found += [
            _refused(service, "identity", service, port, partial(knock, partial(bench.service_leaf, service)))
            for service in services
        ]
    return found


def _refused(name: str, category: str, source: str, port: str, attempt: Callable[[], Observation]) -> Proof:
    resource = port.partition("/")[0].rpartition("-")[0]
    return Proof(f"{name} at {port} is refused", category, source, resource, "refused", attempt)


def _knock(host: str, port: int, leaf: Callable[[], Leaf] | None) -> Observation:
    """Whether a port answers ``srvr``, which every client may ask."""
    context = _client_context(leaf()) if leaf else None
    plaintext = socket.create_connection((host, port), _TIMEOUT_S)
    try:
        with plaintext, context.wrap_socket(plaintext) if context else plaintext as connection:
            connection.sendall(b"srvr\n\n")  # longer than the head of a TLS record, so that none is waited for
            answer = connection.recv(4096).decode("latin-1")
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError) as exc:
        return Observation("refused", str(exc))
    if "ZooKeeper version" in answer:
        return Observation("allowed", "the ensemble answered")
    return Observation("refused", "the ensemble closed the connection")


def _client_context(leaf: Leaf) -> ssl.SSLContext:
    # What is proved is the ensemble's own refusal, so the client is one that would trust it whoever it is.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(leaf.certificate, leaf.key)
    return context
