"""Proves Kafka's grants by asking the broker what a certificate may do. Nothing is produced, consumed or joined."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from greenfield.components.kafka import CLIENT_PORT, dead_letters
from greenfield.components.kafka.local import ANSWER, QUESTION
from greenfield.components.kafka.roles import (
    dead_letter_operations,
    group_operations,
    permissions,
    topic_operations,
)
from greenfield.components.kafka.tasks import bindings, connect
from greenfield.components.kafka.topics import consumed
from greenfield.model.binding import Leaf
from greenfield.model.plan import Edge, Resource
from greenfield.model.proof import Bench, Observation, Proof
from greenfield.programs.stores import administrator, tls

if TYPE_CHECKING:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

_TIMEOUT_S = 10.0


def grants(resource: Resource, edge: Edge, bench: Bench) -> list[Proof]:
    """That the broker lets the service do what the edge says, and on that topic only what its edges say."""
    leaf = bench.service_leaf(edge.source)
    servers = _servers(resource, bench)
    mine = [other.access for other in bench.plan.edges_from(edge.source) if other.target == edge.target]
    wanted = frozenset().union(*map(topic_operations, mine))
    proofs = [
        Proof(
            name=f"{edge.source} may {edge.access} {edge.target}",
            category="edge",
            source=edge.source,
            target=edge.target,
            expected="allowed",
            attempt=partial(_may, servers, leaf, edge),
        ),
        Proof(
            name=f"{edge.source} may only {' and '.join(mine)} {edge.target}",
            category="undeclared",
            source=edge.source,
            target=edge.target,
            expected="refused",
            attempt=partial(_may_more, servers, leaf, edge.target, wanted),
        ),
    ]
    return [*proofs, *_of_dead_letters(servers, leaf, edge)] if edge.access == "consume" else proofs


def refusals(resource: Resource, bench: Bench) -> list[Proof]:
    """That no listener answers in plaintext or to another authority, and no topic to whom no edge leads there."""
    return [
        *_at_the_door(resource, bench),
        *_without_an_edge(resource, bench),
        *_at_dead_letters(resource, bench),
        _refused(
            "what no edge asks for", "undeclared", "anyone", resource.name, partial(_other_rules, resource, bench)
        ),
    ]


# --- at the door ----------------------------------------------------------------------------------------------------


def _at_the_door(resource: Resource, bench: Bench) -> Iterable[Proof]:
    service = next((service.name for service in bench.plan.of_kind("service")), "")
    for port, (host, number) in sorted(bench.site.ports.items()):
        member, _, listener = port.partition("/")
        if member not in {member.name for member in resource.members}:
            continue
        knock = partial(_knock, host, number)
        foreign = partial(knock, bench.foreign_leaf)
        yield _refused(f"plaintext at {port}", "plaintext", "anyone", resource.name, partial(knock, None))
        yield _refused(f"another authority at {port}", "authority", "anyone", resource.name, foreign)
        if listener != CLIENT_PORT and service:
            leaf = partial(bench.service_leaf, service)
            yield _refused(f"{service} at {port}", "identity", service, resource.name, partial(knock, leaf))


def _knock(host: str, port: int, leaf: Callable[[], Leaf] | None) -> Observation:
    """Whether a listener answers the question that any user may ask."""
    context = _client_context(leaf()) if leaf else None
    plaintext = socket.create_connection((host, port), _TIMEOUT_S)
    try:
        with plaintext, context.wrap_socket(plaintext) if context else plaintext as connection:
            connection.sendall(QUESTION.encode("latin-1"))
            answer = connection.recv(4096).decode("latin-1")
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError) as exc:
        return Observation("refused", str(exc))
    if re.search(ANSWER, answer):
        return Observation("allowed", "the broker answered")
    return Observation("refused", "the broker closed the connection")


def _client_context(leaf: Leaf) -> ssl.SSLContext:
    # What is proved is the broker's own refusal, so the client is one that would trust it whoever it is.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(leaf.certificate, leaf.key)
    return context


# --- behind it ------------------------------------------------------------------------------------------------------


def _without_an_edge(resource: Resource, bench: Bench) -> Iterable[Proof]:
    servers = _servers(resource, bench)
    topics = [part.name for part in resource.parts]
    edges = {(edge.source, edge.target) for edge in bench.plan.edges_to(resource.name)}
    for topic in topics:
        attempt = partial(_reaches, servers, bench.stranger_leaf, topic)
        yield _refused(f"an undeclared service at {topic}", "identity", "stranger", topic, attempt)
        for service in bench.plan.of_kind("service"):
            if (service.name, topic) not in edges:
                attempt = partial(_reaches, servers, partial(bench.service_leaf, service.name), topic)
                yield _refused(f"{service.name} at {topic}", "undeclared", service.name, topic, attempt)


def _reaches(servers: str, leaf: Callable[[], Leaf], topic: str) -> Observation:
    from confluent_kafka import KafkaException

    try:
        allowed = _topic_operations(_client(servers, leaf()), topic)
    except KafkaException as exc:
        return _unless_refused(exc)
    return Observation("allowed" if allowed else "refused", _listed(allowed))


def _of_dead_letters(servers: str, leaf: Leaf, edge: Edge) -> list[Proof]:
    """A consumer reads and writes its own, and does no more with them."""
    letters, wanted = dead_letters(edge.target, edge.source), dead_letter_operations(edge.access)
    told = Proof(
        name=f"{edge.source} may keep its dead letters of {edge.target}",
        category="edge",
        source=edge.source,
        target=edge.target,
        expected="allowed",
        attempt=partial(_may_all, servers, leaf, letters, wanted),
    )
    more = partial(_may_more, servers, leaf, letters, wanted)
    name = f"{edge.source} doing more with its dead letters of {edge.target}"
    return [told, _refused(name, "undeclared", edge.source, edge.target, more)]


def _at_dead_letters(resource: Resource, bench: Bench) -> Iterable[Proof]:
    """That nobody reaches another's, asked of all of them at once: they are as many as there are consumers."""
    owners = {dead_letters(topic, service): service for service, topic in consumed(resource, bench.plan)}
    for service, leaf in _everybody(bench).items():
        if others := [letters for letters, owner in owners.items() if owner != service]:
            attempt = partial(_reaches_any, _servers(resource, bench), leaf, others)
            category = "identity" if service == "stranger" else "undeclared"
            yield _refused(f"{service} at the dead letters of others", category, service, resource.name, attempt)


def _everybody(bench: Bench) -> Mapping[str, Callable[[], Leaf]]:
    """Every service with its leaf, and one that is not declared."""
    services = [service.name for service in bench.plan.of_kind("service")]
    return {**{name: partial(bench.service_leaf, name) for name in services}, "stranger": bench.stranger_leaf}


def _other_rules(resource: Resource, bench: Bench) -> Observation:
    """Whether the broker keeps rules that no edge asked for, of anybody on anything: groups, transactions, the cluster.

    Who may do something to the cluster may not even ask what, so an administrator does.
    """
    declared = permissions((edge.source, edge.target, edge.access) for edge in bench.plan.edges_to(resource.name))
    client = _client(_servers(resource, bench), bench.site.leaves[administrator(resource)])
    surplus = [binding for binding, permission in bindings(client).items() if permission not in declared]
    told = [f"{each.principal} may {each.operation.name} {each.restype.name} {each.name}".lower() for each in surplus]
    return Observation("allowed" if surplus else "refused", ", ".join(sorted(told)) or "there is none")


def _reaches_any(servers: str, leaf: Callable[[], Leaf], topics: Iterable[str]) -> Observation:
    from confluent_kafka import KafkaException, TopicCollection

    client = _client(servers, leaf())
    asked = TopicCollection(list(topics))
    answers = client.describe_topics(asked, include_authorized_operations=True, request_timeout=_TIMEOUT_S)
    for topic, answer in answers.items():
        try:
            allowed = {operation.name for operation in answer.result().authorized_operations or ()}
        except KafkaException as exc:
            _unless_refused(exc)
            continue
        if allowed:
            return Observation("allowed", f"{topic}: {_listed(allowed)}")
    return Observation("refused", f"none of {len(answers)}")


def _may_all(servers: str, leaf: Leaf, topic: str, wanted: frozenset[str]) -> Observation:
    from confluent_kafka import KafkaException

    try:
        allowed = _topic_operations(_client(servers, leaf), topic)
    except KafkaException as exc:
        return _unless_refused(exc)
    missing = wanted - allowed
    if missing:
        return Observation("refused", f"{_listed(missing)} is missing")
    return Observation("allowed", _listed(allowed))


def _may(servers: str, leaf: Leaf, edge: Edge) -> Observation:
    from confluent_kafka import KafkaException

    client = _client(servers, leaf)
    try:
        allowed = _topic_operations(client, edge.target)
        missing = topic_operations(edge.access) - allowed
        if edge.access == "consume":
            missing |= group_operations(edge.access) - _group_operations(client, edge.source)
    except KafkaException as exc:
        return _unless_refused(exc)
    if missing:
        return Observation("refused", f"{_listed(missing)} is missing")
    return Observation("allowed", _listed(allowed))


def _may_more(servers: str, leaf: Leaf, topic: str, wanted: frozenset[str]) -> Observation:
    from confluent_kafka import KafkaException

    try:
        allowed = _topic_operations(_client(servers, leaf), topic)
    except KafkaException as exc:
        return _unless_refused(exc)
    surplus = allowed - wanted
    return Observation("allowed" if surplus else "refused", _listed(surplus or allowed))


def _topic_operations(client: AdminClient, topic: str) -> set[str]:
    from confluent_kafka import TopicCollection

    answers = client.describe_topics(
        TopicCollection([topic]), include_authorized_operations=True, request_timeout=_TIMEOUT_S
    )
    return {operation.name for operation in answers[topic].result().authorized_operations or ()}


def _group_operations(client: AdminClient, group: str) -> set[str]:
    """A broker that has just started takes a moment to know which groups it looks after, and says so."""
    from confluent_kafka import KafkaError, KafkaException

    moment = {KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS}
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        asked = client.describe_consumer_groups([group], include_authorized_operations=True, request_timeout=_TIMEOUT_S)
        try:
            return {operation.name for operation in asked[group].result().authorized_operations or ()}
        except KafkaException as exc:
            if exc.args[0].code() not in moment or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _unless_refused(error: KafkaException) -> Observation:
    """A refusal is an observation; any other error proves nothing and breaks the attempt."""
    from confluent_kafka import KafkaError

    fault = error.args[0]
    if fault.code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED):
        return Observation("refused", fault.str())
    raise error


def _client(servers: str, leaf: Leaf) -> AdminClient:
    return connect(servers, tls(leaf))


def _servers(resource: Resource, bench: Bench) -> str:
    return ",".join(bench.site.endpoint(f"{member.name}/{CLIENT_PORT}") for member in resource.members)


def _refused(name: str, category: str, source: str, target: str, attempt: Callable[[], Observation]) -> Proof:
    return Proof(f"{name} is refused", category, source, target, "refused", attempt)


def _listed(operations: Iterable[str]) -> str:
    return ", ".join(sorted(operations)).lower() or "nothing"
