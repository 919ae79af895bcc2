"""Our files behind the settings that the Redis operator writes, in a real server and a real sentinel.

The operator's lines are those of internal/agent/bootstrap at v0.26.0; ours are included after them.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from redis.retry import Retry

from components.on_kubernetes import Rendered, rendered
from components.store_platform import Stores
from greenfield.components import redis
from greenfield.components.redis.local import REDIS
from greenfield.model.binding import Leaf
from greenfield.model.content import Content, Secret
from support.platform import wait_for

pytestmark = pytest.mark.e2e

USES = {"writer": {"cache": "write"}, "reader": {"cache": "read"}}


class Operated:
    """A server and a sentinel as the operator would start them."""

    def __init__(self, stores: Stores, folder: Path) -> None:
        self.stores, self.folder = stores, folder
        self.wanted: Rendered = rendered("redis", {"nodes": 3}, USES, name="cache")
        self.server, self.sentinel = _free_port(), _free_port()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Both, until the end."""
        secret = self.wanted.manifests["Secret/cache.users.acl"]["stringData"]["user.acl"]
        users = self._written("user.acl", _joined(secret))
        common = ["masterauth default", "requirepass default", "protected-mode yes", "tls-auth-clients optional"]
        server = [f"aclfile {users}", "save 900 1", "appendonly yes", f"dir {self.folder}"]
        sentinel = ["sentinel monitor myMaster 0.0.0.0 6379 2", "sentinel resolve-hostnames no", "dir /tmp"]
        with ExitStack() as stack:
            for program, port, lines, name in (
                ("redis-server", self.server, server, "cache"),
                ("redis-sentinel", self.sentinel, sentinel, "cache.sentinel"),
            ):
                (ours,) = self.wanted.manifests[f"ConfigMap/{name}"]["data"].values()
                included = self._written(f"{name}.additional.conf", ours)
                whole = [*common, *self._tls(port), *lines, f"include {included}"]
                stack.enter_context(self._started(program, self._written(f"{name}.conf", "\n".join(whole) + "\n")))
            yield

    def client(self, port: int, user: str | None, password: str, leaf: Leaf | None) -> Redis:
        """Somebody who shows this certificate, or none, and says a password."""
        return Redis(
            "127.0.0.1",
            port,
            username=user,
            password=password,
            ssl=True,
            ssl_ca_certs=self.stores.site.leaves["cache"].ca,
            ssl_certfile=leaf.certificate if leaf else None,
            ssl_keyfile=leaf.key if leaf else None,
            ssl_check_hostname=False,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
        )

    def _tls(self, port: int) -> list[str]:
        leaf = self.stores.site.leaves["cache"]
        files = {"tls-cert-file": leaf.certificate, "tls-key-file": leaf.key, "tls-ca-cert-file": leaf.ca}
        return [
            *(f"{name} {file}" for name, file in files.items()),
            "tls-replication yes",
            "port 0",
            f"tls-port {port}",
        ]

    def _written(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.write_text(text)
        return file

    @contextmanager
    def _started(self, program: str, configuration: Path) -> Iterator[None]:
        installed = self.stores.site.tools[REDIS.name]
        argv: Sequence[str] = [installed.programs[program], str(configuration)]
        environment = {"PATH": os.environ["PATH"], **installed.environment}
        with subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL) as process:
            try:
                yield
            finally:
                process.terminate()


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    """With the certificates of a running platform."""
    stores = Stores(tmp_path_factory.mktemp("redis"), redis.COMPONENT)
    try:
        stores.up({"cache": ("redis", {"size": "small"})}, USES)
        found = Operated(stores, tmp_path_factory.mktemp("operated"))
        with found.running():
            server = stores.site.leaves["cache"]
            for port in (found.server, found.sentinel):
                wait_for("an answer", partial(answers, found.client(port, None, "default", server)))
            yield found
    finally:
        stores.close()


def test_the_file_of_users_decides_and_the_operator_may_do_anything(operated: Operated) -> None:
    """Its password is the one of the file, which ``requirepass`` does not replace."""
    operator = operated.client(operated.server, None, "default", operated.stores.site.leaves["cache"])
    assert operator.acl_whoami() == "default"
    assert operator.config_get("tls-auth-clients", "save", "maxmemory-policy") == {
        "tls-auth-clients": "yes", "save": "", "maxmemory-policy": "allkeys-lru",
    }  # fmt: skip
    with pytest.raises(AuthenticationError):
        operated.client(operated.server, None, "guess", operated.stores.site.leaves["cache"]).ping()


def test_services_enter_with_their_own_password_and_keys(operated: Operated) -> None:
    """As on this machine."""
    writer = operated.client(operated.server, "writer", "writer", operated.stores.service_leaf("writer"))
    assert writer.set("writer:key", "1")
    with pytest.raises(NoPermissionError):
        writer.set("other:key", "1")


@pytest.mark.parametrize("which", ["server", "sentinel"])
def test_nobody_enters_without_a_certificate(operated: Operated, which: str) -> None:
    """Though the operator's own line makes it optional."""
    assert not answers(operated.client(getattr(operated, which), None, "default", None))


def test_a_sentinel_watches_the_master_over_tls(operated: Operated) -> None:
    """As the operator tells it, by address."""
    sentinel = operated.client(operated.sentinel, None, "default", operated.stores.site.leaves["cache"])
    sentinel.sentinel_monitor("watched", "127.0.0.1", operated.server, 2)
    sentinel.sentinel_set("watched", "auth-pass", "default")

    def known() -> dict[str, Any]:
        found: Any = sentinel.sentinel_master("watched")
        return found if found["runid"] else {}

    assert not wait_for("the master's run id", known)["is_sdown"]


def answers(client: Redis) -> bool:
    """Whether it is served."""
    try:
        return bool(client.ping())
    except (RedisError, OSError):
        return False


def _joined(content: Content) -> str:
    """Each password is the name of its user."""
    digests = {
        piece: hashlib.sha256(piece.name.partition(".")[2].encode()) for piece in content if isinstance(piece, Secret)
    }
    return "".join(digests[piece].hexdigest() if isinstance(piece, Secret) else piece for piece in content)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
