"""Past greenfield: rules that it made on a running platform, changed as its own tasks could change them, and undone.

Each way in is a context: the rule is another one inside it, and what it was after it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from greenfield.components.kafka import tasks as kafka
from greenfield.components.mysql import tasks as mysql
from greenfield.components.postgres import tasks as postgres
from greenfield.components.redis import tasks as redis
from support.platform import Platform, wait_for

Policies = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Backdoor:
    """What an administrator of each part can do to a platform of one replica and one node each."""

    platform: Platform

    @contextmanager
    def file(self, pattern: str, change: Callable[[str], str]) -> Iterator[None]:
        """Files of the platform's folder, replaced by rename as the engine does it; at least one must change."""
        before = {path: path.read_text() for path in self.platform.home.glob(pattern)}
        after = {path: change(text) for path, text in before.items()}
        assert before != after, f"nothing to change in {sorted(before)}"
        try:
            _replace(after)
            yield
        finally:
            _replace(before)

    @contextmanager
    def policies(self, service: str, change: Callable[[Policies], None]) -> Iterator[None]:
        """The policies of a service's sidecar, by name."""

        def changed(text: str) -> str:
            config = json.loads(text)
            change(config["resources"][0]["typed_config"]["rules"]["policies"])
            return json.dumps(config)

        with self.file(f"scratch/{service}-0-sidecar-*/authorization.json", changed):
            yield

    @contextmanager
    def postgres(self, *does: str, undo: Iterable[str], database: str = "template1") -> Iterator[None]:
        """Statements of the superuser."""
        with postgres.connect(self._server("postgres"), database) as session:
            try:
                for statement in does:
                    session.execute(statement.encode())
                yield
            finally:
                for statement in undo:
                    session.execute(statement.encode())

    @contextmanager
    def admission(self, file: str, change: Callable[[str], str]) -> Iterator[None]:
        """A file by which PostgreSQL admits, and its word that it reads it."""
        read_anew = "SELECT pg_reload_conf()"
        with (
            self.postgres(undo=[read_anew]),
            self.file(f"scratch/postgres-0/{file}", change),
            self.postgres(read_anew, undo=[]),
        ):
            yield

    @contextmanager
    def mysql(self, *does: str, undo: Iterable[str]) -> Iterator[None]:
        """Statements of the administrator."""
        with mysql.connect(self._server("invoices")) as session, session.cursor() as cursor:
            try:
                for statement in does:
                    cursor.execute(statement)
                yield
            finally:
                for statement in undo:
                    cursor.execute(statement)

    @contextmanager
    def redis(self, user: str, *rules: str) -> Iterator[None]:
        """More rules for a user, or none any more where none are given."""
        password = (self.platform.home / "secrets" / "cache-admin").read_text().strip()
        with redis.connect(self._server("cache"), password) as session:

            def acl(*words: str) -> Any:
                return session.execute_command("ACL", *words)

            before = next(line.split()[2:] for line in acl("LIST") if line.startswith(f"user {user} "))
            try:
                acl("SETUSER", user, *rules) if rules else acl("DELUSER", user)
                yield
            finally:
                acl("SETUSER", user, "reset", *before)

    @contextmanager
    def kafka(self, principal: str, kind: str, name: str, operation: str) -> Iterator[None]:
        """A rule that was not there; or, where it was there, none any more."""
        server = self._server("kafka")
        admin = kafka.connect(f"{server['server']['host']}:{server['server']['port']}", server["tls"])
        rule = (ResourceType[kind], name, ResourcePatternType.LITERAL, principal, "*", AclOperation[operation])
        binding = AclBinding(*rule, AclPermissionType.ALLOW)
        exactly = AclBindingFilter(*rule, AclPermissionType.ALLOW)

        def there() -> bool:
            return bool(admin.describe_acls(exactly).result())

        def turn(*, on: bool) -> None:
            answers = admin.create_acls([binding]) if on else admin.delete_acls([exactly])
            for answer in answers.values():
                answer.result()
            wait_for(f"{binding}", lambda: there() is on)

        before = there()
        try:
            turn(on=not before)
            yield
        finally:
            turn(on=before)

    def _server(self, store: str) -> Mapping[str, Any]:
        """Where a store listens, and the leaf by which its tasks enter."""
        ports = json.loads((self.platform.home / "state.json").read_text())["ports"]
        host, port = ports[f"{store}-0/client"]
        leaf = self.platform.home / "pki" / f"{store}-admin"
        tls = {"ca": f"{leaf}/ca.crt", "certificate": f"{leaf}/tls.crt", "key": f"{leaf}/tls.key"}
        return {"server": {"host": host, "port": port}, "tls": tls}


def _replace(files: Mapping[Path, str]) -> None:
    for path, text in files.items():
        draft = path.with_name(f".{path.name}.mutated")
        draft.write_text(text)
        draft.chmod(0o600)
        draft.replace(path)
