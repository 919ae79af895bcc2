"""What sidecars, brokers and Redis say of whom they refused, as they really said it."""

from __future__ import annotations

import pytest

from components.denials_told import PLAN, denied, told
from greenfield.cli.catalogue import catalogue
from greenfield.components.kafka import denials as of_kafka
from greenfield.components.redis import denials as of_redis
from greenfield.components.service import denials as of_service
from greenfield.model.denial import FOREIGN, NOT_ADMITTED, PLAINTEXT, PLATFORMS_OWN, UNSHOWN, Denial
from greenfield.model.plan import Plan
from greenfield.plan.compile import compile_plan
from greenfield.spec.reader import Source, read
from greenfield.targets.local.reading import time_of

# --- sidecars -------------------------------------------------------------------------------------------------------


REQUEST = (
    '{{"at":"2026-11-25T06:10:47.567Z","error":"mesh_denied","method":"GET","path":"/price/fern?by=ada",'
    '"peer":"{peer}","request_id":"16f54af4-5c52-9884-9607-6937227890b4","service":"prices",'
    '"trace_id":"965266524054f808559c22f9778255d9","why":"{why}"}}'
)
NO_TOPIC = "no topic has that name"
BY_THE_MESH = "rbac_access_denied_matched_policy[none]"


CALLS = """\
apiVersion: greenfield/v1
name: shop
telemetry: off
services:
  prices: {command: [serve], accepts: [GET /price/*]}
  clerk: {command: [serve], uses: {prices: call}}
  desk: {command: [serve]}
"""


def called() -> Plan:
    """A plan where one service may call another, for some requests."""
    kinds = catalogue()
    return compile_plan(read(Source(CALLS, "greenfield.yaml", "/site", lambda _: True), kinds, None), kinds)


def sidecar_said(peer: str, why: str = BY_THE_MESH) -> list[Denial]:
    """What is made of one line."""
    return denied(of_service, "prices", REQUEST.format(peer=peer, why=why), called())


def test_a_call_without_an_edge_is_read_without_its_query() -> None:
    """By the certificate that was shown; what stands in a query is nobody's business."""
    (found,) = sidecar_said("spiffe://cluster.local/ns/shop/sa/desk")
    assert told([found]) == [("desk", "prices", "GET /price/fern", ("call",), "")]
    assert found.last == time_of("2026-11-25T06:10:47.567Z")


def test_a_call_by_an_edge_for_what_is_not_accepted_names_the_line_that_is_missing() -> None:
    """No other edge would help."""
    line = REQUEST.format(peer="spiffe://cluster.local/ns/shop/sa/clerk", why=BY_THE_MESH).replace("GET", "PUT")
    why = "services.prices.accepts has no line for it; `PUT /price/fern` would be one"
    assert told(denied(of_service, "prices", line, called())) == [("clerk", "prices", "PUT /price/fern", (), why)]


def test_an_applications_own_403_is_no_refusal_of_the_mesh() -> None:
    """It stands in the same log."""
    assert sidecar_said("spiffe://cluster.local/ns/shop/sa/desk", "via_upstream") == []


@pytest.mark.parametrize(
    ("peer", "source"),
    [
        ("spiffe://cluster.local/ns/shop/sa/nobody-declared-", "nobody-declared-"),
        ("spiffe://cluster.local/ns/other/sa/desk", "spiffe://cluster.local/ns/other/sa/desk"),
    ],
)
def test_whoever_is_no_service_keeps_the_name_that_was_shown(peer: str, source: str) -> None:
    """A stranger of this platform by name, one of another by identity."""
    assert [each.source for each in sidecar_said(peer)] == [source]


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end", FOREIGN),
        ("TLS_error:|268435612:SSL routines:OPENSSL_internal:HTTP_REQUEST:TLS_error_end", PLAINTEXT),
    ],
)
def test_a_handshake_that_failed_is_read(reason: str, why: str) -> None:
    """Of whom, nobody knows."""
    line = f'{{"at":"2026-11-25T06:10:47.567Z","error":"handshake_denied","service":"prices","why":"{reason}"}}'
    assert told(denied(of_service, "prices", line, called())) == [("", "prices", "a connection", (), why)]


def test_half_a_line_is_none() -> None:
    """A log is begun anew wherever it stood."""
    whole = REQUEST.format(peer="spiffe://cluster.local/ns/shop/sa/desk", why=BY_THE_MESH)
    assert denied(of_service, "prices", whole[:-40], called()) == []


# --- Kafka ----------------------------------------------------------------------------------------------------------


KRAFT = (
    "2026-11-25T06:10:48.360 INFO kafka.authorizer.logger: Principal = User:{user} is Denied operation = {operation} "
    "from host = 127.0.0.1 on resource = {resource} for request = Metadata with resourceRefCount = 1 "
    "based on rule DefaultDeny"
)
ZOOKEEPER = (
    "2026-11-25T06:10:48.360 INFO kafka.authorizer.logger: Principal = User:{user} is Denied Operation = {operation} "
    "from host = 127.0.0.1 on resource = {resource} for request = Metadata with resourceRefCount = 1"
)


def broker_said(*asked: tuple[str, str, str]) -> list[tuple[str, str, str, tuple[str, ...], str]]:
    """What is made of these refusals."""
    lines = [KRAFT.format(user=user, operation=operation, resource=resource) for user, operation, resource in asked]
    return told(denied(of_kafka, "log", "\n".join(lines)))


@pytest.mark.parametrize("words", [(KRAFT, "DESCRIBE"), (ZOOKEEPER, "Describe")], ids=["kraft", "zookeeper"])
def test_a_topic_is_read_in_either_authorizers_words(words: tuple[str, str]) -> None:
    """Whoever describes a topic may want either; other lines are no refusals."""
    line = words[0].format(user="desk", operation=words[1], resource="Topic:LITERAL:orders")
    expected = [("desk", "orders", "DESCRIBE of topic orders", ("consume", "produce"), "")]
    assert told(denied(of_kafka, "log", line)) == expected
    assert denied(of_kafka, "log", "INFO kafka.server.KafkaServer: started") == []


def test_a_handshake_with_kafka_that_failed_is_read() -> None:
    """It tells of no name and no cause."""
    line = (
        "2026-11-25T10:57:43.052 INFO org.apache.kafka.common.network.Selector: [SocketServer listenerType=ZK_BROKER, "
        "nodeId=0] Failed authentication with /127.0.0.1 (channelId=127.0.1.1:34353-127.0.0.1:59852-3) "
        "(SSL handshake failed)"
    )
    assert told(denied(of_kafka, "log", line)) == [("", "log", "a connection", (), NOT_ADMITTED)]


@pytest.mark.parametrize(
    ("beside", "access"),
    [
        (("desk", "DESCRIBE", "Group:LITERAL:desk"), "consume"),
        (("desk", "IDEMPOTENT_WRITE", "Cluster:LITERAL:kafka-cluster"), "produce"),
    ],
)
def test_what_is_asked_for_beside_a_topic_shows_which_access_is_wanted(
    beside: tuple[str, str, str], access: str
) -> None:
    """And is not told again by itself."""
    found = broker_said(("desk", "DESCRIBE", "Topic:LITERAL:orders"), beside)
    assert found == [("desk", "orders", "DESCRIBE of topic orders", (access,), "")]


@pytest.mark.parametrize(
    ("operation", "resource", "target", "why"),
    [
        ("READ", "Group:LITERAL:other", "log", "a service joins the group of its own name alone, clerk"),
        ("CREATE", "Cluster:LITERAL:kafka-cluster", "log", PLATFORMS_OWN),
        ("DESCRIBE", "Topic:LITERAL:order", "log", f"{NO_TOPIC}: `brokers.log.topics.order` would declare it"),
        ("ALTER", "Topic:LITERAL:orders", "orders", PLATFORMS_OWN),
    ],
)
def test_what_no_access_grants_at_a_broker_stays_refused(operation: str, resource: str, target: str, why: str) -> None:
    """And it is said why."""
    ((_, found, _, accesses, said),) = broker_said(("clerk", operation, resource))
    assert (found, accesses, said) == (target, (), why)


def test_anothers_dead_letters_stay_refused() -> None:
    """They are topics of the plan that no edge can name."""
    ((_, target, _, accesses, why),) = broker_said(("desk", "DESCRIBE", "Topic:LITERAL:orders.clerk.dead-letters"))
    assert (target, accesses, why) == ("log", (), "dead letters are open to the consumer alone whose they are")


# --- Redis ----------------------------------------------------------------------------------------------------------


CATEGORIES = {
    "read": frozenset({"get", "scan", "keys", "dbsize"}),
    "write": frozenset({"set", "del", "flushall"}),
    "pubsub": frozenset({"publish"}),
    "scripting": frozenset({"eval"}),
    "admin": frozenset({"config|get", "acl|list"}),
    "dangerous": frozenset({"keys", "flushall", "config|get", "acl|list"}),
}


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("error:0A00010B:SSL routines::wrong version number (conn: fd=8)", PLAINTEXT),
        ("error:0A000086:SSL routines::certificate verify failed", FOREIGN),
        ("error:0A0000C7:SSL routines::peer did not return a certificate", UNSHOWN),
    ],
)
def test_a_handshake_with_redis_that_failed_is_read(reason: str, why: str) -> None:
    """Those stand in its log."""
    line = f"12:M 25 Nov 2026 06:10:48.106 # Error accepting a client connection: {reason}"
    found = of_redis.not_admitted(PLAN.resource("notes"), line)
    assert found == Denial("", "notes", "a connection", why=why)
    assert of_redis.not_admitted(PLAN.resource("notes"), "12:M … * Ready to accept connections") is None


@pytest.mark.parametrize(
    ("reason", "thing", "user", "command", "accesses", "words"),
    [
        ("auth", "AUTH", "desk", "auth", ("read", "write"), ""),
        ("auth", "AUTH", "clerk", "auth", (), "another password than its own"),
        ("auth", "AUTH", "stranger", "auth", (), "no user of that name"),
        ("command", "del", "reader", "del", ("write",), ""),
        ("command", "scan", "clerk", "scan", ("read",), ""),
        ("command", "keys", "clerk", "keys", (), PLATFORMS_OWN),
        ("command", "config|get", "clerk", "config|get", (), PLATFORMS_OWN),
        ("key", "desk:page", "clerk", "get", ("read",), ""),
        ("key", "page", "clerk", "set", (), "their names begin with clerk:"),
        ("channel", "news", "clerk", "publish", (), "begin with clerk:"),
    ],
)
def test_redis_is_asked(
    reason: str, thing: str, user: str, command: str, accesses: tuple[str, ...], words: str
) -> None:
    """Each reason that it knows, by which access allows it."""
    entry = of_redis.Entry(reason, thing, user, command, 3, 2.5)
    found = of_redis.denial(PLAN.resource("notes"), PLAN, entry, CATEGORIES, 100.0)
    assert (found.source, found.target, found.count, found.last) == (user, "notes", 3, 97.5)
    assert found.accesses == accesses
    assert words in found.why
    assert bool(found.why) != bool(accesses)
