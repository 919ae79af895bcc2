"""Proves Redis' grants by trying commands on keys that are not there: nothing is written, and nothing is found."""

from __future__ import annotations

import hashlib
import secrets
import socket
import ssl
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path

from greenfield.components.redis import CLIENT_PORT
from greenfield.components.redis.tasks import as_redis_writes, connect, written
from greenfield.components.redis.users import ACTIVE, DRAFT, prefix, rules_by_service
from greenfield.model.binding import Leaf
from greenfield.model.plan import Edge, Resource
from greenfield.model.proof import Bench, Observation, Proof
from greenfield.programs.stores import administration, administrator

_TIMEOUT_S = 10.0
_REFUSALS = ("NOAUTH", "NOPERM", "WRONGPASS")

Command = tuple[str, ...]


def grants(resource: Resource, edge: Edge, bench: Bench) -> list[Proof]:
    """That a service may do what its edge says, with its own password alone, and nothing beyond all its edges."""
    held = [each.access for each in bench.plan.edges_from(edge.source) if each.target == edge.target]
    password = Path(bench.site.secret_file(f"{resource.name}.{edge.source}"))
    session = partial(_session, resource, bench, edge.source, password)
    target = (edge.source, edge.target)
    works = Proof(
        f"{edge.source} may {edge.access} {edge.target}",
        "edge",
        *target,
        "allowed",
        partial(_all_allowed, session, _within(edge)),
    )
    if edge.access != held[0]:
        return [works]
    more = Proof(
        f"{edge.source} may only {' and '.join(held)} {edge.target}",
        "undeclared",
        *target,
        "refused",
        partial(_any_more, resource, bench, edge.source, partial(_any_allowed, session, _beyond(edge.source, held))),
    )
    name = f"anybody else as {edge.source} at {edge.target}"
    posing = partial(_posing, resource, bench, edge.source)
    return [works, more, Proof(name, "identity", "anyone", edge.target, "refused", posing)]


def refusals(resource: Resource, bench: Bench) -> list[Proof]:
    """That nobody is answered in plaintext, with another authority's certificate, or without a password of its own."""
    users = {edge.source for edge in bench.plan.edges_to(resource.name)}
    services = [service.name for service in bench.plan.of_kind("service")]
    knock = partial(_knock, *bench.site.ports[f"{resource.members[0].name}/{CLIENT_PORT}"])
    guess = secrets.token_urlsafe(24)

    def refused(name: str, category: str, source: str, attempt: Callable[[], Observation]) -> Proof:
        return Proof(f"{name} at {resource.name}", category, source, resource.name, "refused", attempt)

    def stranger() -> Observation:
        return knock(bench.stranger_leaf(), [("AUTH", "stranger", guess), ("PING",)])

    proofs = [
        refused("plaintext", "plaintext", "anyone", partial(knock, None, [("PING",)])),
        refused("another authority", "authority", "anyone", lambda: knock(bench.foreign_leaf(), [("PING",)])),
        refused("an undeclared service", "identity", "stranger", stranger),
    ]
    for service in services:
        leaf = bench.service_leaf(service)
        without = partial(knock, leaf, [("PING",)])
        proofs.append(refused(f"{service} without a password", "identity", service, without))
        if service not in users:
            guessed = partial(knock, leaf, [("AUTH", service, guess), ("PING",)])
            proofs.append(refused(service, "undeclared", service, guessed))
    return proofs


# --- what is tried --------------------------------------------------------------------------------------------------


def _within(edge: Edge) -> list[Command]:
    mine = f"{prefix(edge.source)}{_nothing()}"
    if edge.access == "read":
        return [("GET", mine), ("GET", _nothing())]
    return [("GET", mine), ("DEL", mine), ("SET", mine, "", "XX"), ("PUBLISH", mine, ""), ("EVAL", "return 1", "0")]


def _beyond(service: str, held: Collection[str]) -> list[Command]:
    """The nearest things that no edge gives, none of which would harm if it were allowed."""
    others, mine = _nothing(), f"{prefix(service)}{_nothing()}"
    commands: list[Command] = [("DEL", others), ("CONFIG", "GET", "port"), ("ACL", "LIST")]
    if "write" not in held:
        commands.append(("DEL", mine))
    if "read" not in held:
        commands += [("GET", others), ("SCAN", "0")]
    return commands


def _nothing() -> str:
    """The name of a key that is not there."""
    return f"nothing-{secrets.token_hex(12)}"


# --- how ------------------------------------------------------------------------------------------------------------


def _session(
    resource: Resource, bench: Bench, service: str, password: Path, commands: Iterable[Command]
) -> dict[Command, str]:
    """What the server answers to each command of a service that entered as it should."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import AuthenticationError, ResponseError
    from redis.retry import Retry

    host, port = bench.site.ports[f"{resource.members[0].name}/{CLIENT_PORT}"]
    leaf = bench.service_leaf(service)
    answers: dict[Command, str] = {}
    with Redis(
        host=host,
        port=port,
        username=service,
        password=password.read_text().strip(),
        ssl=True,
        ssl_ca_certs=leaf.ca,
        ssl_certfile=leaf.certificate,
        ssl_keyfile=leaf.key,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),  # a refusal stays one
    ) as client:
        for command in commands:
            try:
                client.execute_command(*command)
            except AuthenticationError as exc:
                return {command: str(exc)}
            except ResponseError as exc:
                answers[command] = str(exc)
            else:
                answers[command] = ""
    return answers


def _all_allowed(session: Callable[[list[Command]], dict[Command, str]], commands: list[Command]) -> Observation:
    for command, refusal in session(commands).items():
        if refusal:
            return Observation("refused", f"{command[0]}: {refusal}")
    return Observation("allowed", ", ".join(command[0] for command in commands))


def _any_allowed(session: Callable[[list[Command]], dict[Command, str]], commands: list[Command]) -> Observation:
    for command, refusal in session(commands).items():
        if not refusal:
            return Observation("allowed", " ".join(command))
    return Observation("refused", ", ".join(" ".join(command[:1]) for command in commands))


def _any_more(resource: Resource, bench: Bench, service: str, tried: Callable[[], Observation]) -> Observation:
    """What was tried, and where all of that is refused whether the server keeps any other rules than those declared.

    Who is no administrator may not ask, so an administrator does.
    """
    if (met := tried()).outcome == "allowed":
        return met
    grants = [(edge.source, edge.access) for edge in bench.plan.edges_to(resource.name)]
    secret = Path(bench.site.secret_file(f"{resource.name}.{service}")).read_text().strip()
    wanted = [*ACTIVE, f"#{hashlib.sha256(secret.encode()).hexdigest()}", *rules_by_service(grants)[service]]
    server = administration(resource, resource.members[0], CLIENT_PORT, bench.site)
    password = Path(bench.site.secret_file(administrator(resource))).read_text().strip()
    with connect(server, password) as session:
        kept = set(written(session, service).split())
        declared = set(as_redis_writes(session, wanted, f"{DRAFT}:{service}").split())
    if kept == declared:
        return met
    told = [f"{rule} is there" for rule in kept - declared] + [f"{rule} is not" for rule in declared - kept]
    # A password is told by its digest, and that is nobody's business.
    return Observation("allowed", "other rules than declared: " + ", ".join(sorted(x for x in told if x[0] != "#")))


def _posing(resource: Resource, bench: Bench, service: str) -> Observation:
    """Whether a password that nobody was given makes an undeclared service this one."""
    at = bench.site.ports[f"{resource.members[0].name}/{CLIENT_PORT}"]
    return _knock(*at, bench.stranger_leaf(), [("AUTH", service, secrets.token_urlsafe(24)), ("PING",)])


def _knock(host: str, port: int, leaf: Leaf | None, commands: list[Command]) -> Observation:
    """Whether the last of the commands is answered to somebody who shows this leaf, or none, in plaintext."""
    try:
        with _connected(host, port, leaf) as connection:
            connection.sendall("".join(f"{' '.join(command)}\r\n" for command in commands).encode())
            answer = _received(connection, len(commands))
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError) as exc:
        return Observation("refused", str(exc))
    last = answer.splitlines()[-1] if answer else ""
    if last.startswith("+"):
        return Observation("allowed", last)
    if last and not last.lstrip("-").startswith(_REFUSALS):
        raise RuntimeError(f"the server answered {last!r}")
    return Observation("refused", last or "the server closed the connection")


def _received(connection: socket.socket, lines: int) -> str:
    seen = b""
    while seen.count(b"\n") < lines and (chunk := connection.recv(4096)):
        seen += chunk
    return seen.decode("latin-1")


def _connected(host: str, port: int, leaf: Leaf | None) -> socket.socket:
    plaintext = socket.create_connection((host, port), _TIMEOUT_S)
    if leaf is None:
        return plaintext
    # What is proved is the server's own refusal, so the client is one that would trust it whoever it is.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(leaf.certificate, leaf.key)
    with plaintext:  # closes it only when there was no handshake
        return context.wrap_socket(plaintext)
