"""Makes the users of a Redis server so, while it runs. Runs in the task process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from greenfield.components.redis.users import ACTIVE, ADMINISTRATOR, DRAFT

if TYPE_CHECKING:
    from redis import Redis

_TIMEOUT_S = 10.0


def reconcile(input: Mapping[str, Any], secret: Callable[[str], str]) -> str:  # noqa: A002
    """Makes the services' users as ``input`` says; without ``prune`` it only adds.

    ``input``: ``server`` (``host``, ``port``), ``tls`` (paths of ``ca``, ``certificate``, ``key``) and ``password``
    (the name of a secret) of the administrator; ``users`` by service with ``password`` (the name of a secret), the
    ``version`` of that, and ``rules``. Rules hold from the next command on, in open sessions, too; removing a user ends
    its sessions. A new password holds beside the old one until ``prune``.
    """
    from redis.exceptions import RedisError

    server = input["server"]
    try:
        with connect(input, secret(input["password"])) as administrator:
            done = list(_reconcile(administrator, input, secret))
    except RedisError as exc:
        raise RuntimeError(f"Redis at {server['host']}:{server['port']} refused a change: {exc}") from exc
    return "; ".join(done) if done else "everything was as declared"


def show_leaf(input: Mapping[str, Any], secret: Callable[[str], str]) -> str:  # noqa: A002
    """Has the server read its certificate again; sessions stay.

    ``input``: ``server``, ``tls`` and ``password`` as above; ``settings`` of TLS by name, which are set all at once.
    """
    from redis.exceptions import RedisError

    server = input["server"]
    words = [word for pair in input["settings"].items() for word in pair]
    try:
        with connect(input, secret(input["password"])) as administrator:
            administrator.execute_command("CONFIG", "SET", *words)
    except RedisError as exc:
        raise RuntimeError(f"Redis at {server['host']}:{server['port']} kept its old certificate: {exc}") from exc
    return "the server shows its present certificate"


def connect(input: Mapping[str, Any], password: str) -> Redis:  # noqa: A002
    """The administrator's session: records are mappings in every version of the library, keys need not be text."""
    from redis import Redis

    server, tls = input["server"], input["tls"]
    return Redis(
        host=server["host"],
        port=server["port"],
        username=ADMINISTRATOR,
        password=password,
        ssl=True,
        ssl_ca_certs=tls["ca"],
        ssl_certfile=tls["certificate"],
        ssl_keyfile=tls["key"],
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        protocol=3,
        decode_responses=True,
        encoding_errors="backslashreplace",
    )


def _reconcile(administrator: Redis, wanted: Mapping[str, Any], secret: Callable[[str], str]) -> Iterator[str]:
    users: Mapping[str, Mapping[str, Any]] = wanted["users"]
    present = {name for name in _acl(administrator, "USERS") if ":" not in name and name != "default"}
    for name, user in users.items():
        password = f"#{hashlib.sha256(secret(user['password']).encode()).hexdigest()}"
        rules = [*ACTIVE, password, *user["rules"]]
        if name not in present:
            _acl(administrator, "SETUSER", name, "reset", *rules)
            yield f"added user {name}"
        elif written(administrator, name) != as_redis_writes(administrator, rules, DRAFT):
            if wanted["prune"]:
                _acl(administrator, "SETUSER", name, "reset", *rules)
                yield f"set the rules of user {name}"
            else:  # what it may do now, beside what it could do before
                selector = [rule for rule in user["rules"] if not rule.startswith("reset")]
                _acl(administrator, "SETUSER", name, password, f"({' '.join(selector)})")
                yield f"extended the rules of user {name}"
    if wanted["prune"] and (gone := sorted(present - users.keys())):
        _acl(administrator, "DELUSER", *gone)
        yield f"removed user{'s' if len(gone) > 1 else ''} {', '.join(gone)}"


def written(administrator: Redis, name: str) -> str:
    """A user's rules as Redis writes them, without the name; empty where there is no such user."""
    start = f"user {name} "
    lines: list[str] = _acl(administrator, "LIST")
    return next((line.removeprefix(start) for line in lines if line.startswith(start)), "")


def as_redis_writes(administrator: Redis, rules: Iterable[str], draft: str) -> str:
    """How Redis would write these rules: it sorts, merges and expands them, each version in its own way.

    ``draft`` is the name of a user that nobody else makes meanwhile; it is gone afterwards.
    """
    _acl(administrator, "SETUSER", draft, "reset", *rules)
    try:
        return written(administrator, draft)
    finally:
        _acl(administrator, "DELUSER", draft)


def _acl(administrator: Redis, *words: str) -> Any:
    return administrator.execute_command("ACL", *words)  # type: ignore[no-untyped-call]
