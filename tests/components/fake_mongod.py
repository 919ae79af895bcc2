"""A program with mongod's options, commands and refusals, as far as its documentation tells and ours uses them.

No registry has mongod, so that what is made for it meets this here, by the real driver. It keeps its accounts and its
documents in one file. What it does not know, options included, it refuses.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import signal
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import bson
from cryptography import x509

VERSION = "7.0.99"
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
Document = dict[str, Any]

READ, WRITE = frozenset({"find"}), frozenset({"insert", "update", "remove"})
BUILT_IN: Mapping[str, frozenset[str]] = {
    "read": READ,
    "readWrite": READ | WRITE | {"createIndex", "dropIndex"},
    "dbAdmin": frozenset({"createIndex", "dropIndex", "dropDatabase"}),
    "userAdminAnyDatabase": frozenset({"userAdmin"}),
    "hostManager": frozenset({"killAnySession"}),
}
EVERYWHERE = frozenset({"userAdminAnyDatabase", "hostManager"})
NEEDS = {
    "find": "find", "count": "find", "insert": "insert", "update": "update", "delete": "remove",
    "createIndexes": "createIndex", "dropIndexes": "dropIndex", "killAllSessions": "killAnySession",
}  # fmt: skip
ACCOUNTS = (
    "createUser", "dropUser", "grantRolesToUser", "revokeRolesFromUser", "usersInfo", "createRole", "updateRole",
    "dropRole", "rolesInfo",
)  # fmt: skip
ANYBODY = ("hello", "isMaster", "ismaster", "buildinfo", "buildInfo", "ping", "endSessions", "authenticate")


class CommandError(Exception):
    """A command that is refused."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


class Store:
    """Users, roles and documents, in a file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "fake.json"
        self.lock = threading.Lock()
        empty: Document = {"users": {}, "roles": {}, "documents": {}, "ended": []}
        self.data: Document = json.loads(self.path.read_text()) if self.path.exists() else empty

    def save(self) -> None:
        """Writes it all."""
        self.path.write_text(json.dumps(self.data))

    def actions(self, user: str, database: str) -> frozenset[str]:
        """What a user may do in a database."""
        found: frozenset[str] = frozenset()
        for role in self.data["users"].get(user, []):
            if role["db"] == database or role["role"] in EVERYWHERE:
                found |= self.of_role(role["db"], role["role"])
        return found

    def of_role(self, database: str, name: str) -> frozenset[str]:
        """What a role allows."""
        if name in BUILT_IN:
            return BUILT_IN[name]
        own = self.data["roles"][f"{database}.{name}"]
        allowed = frozenset(action for privilege in own["privileges"] for action in privilege["actions"])
        return allowed.union(*(self.of_role(role["db"], role["role"]) for role in own["roles"]))


class Session:
    """One connection."""

    def __init__(self, server: Server, connection: socket.socket) -> None:
        self.server, self.connection = server, connection
        self.name = f"conn{connection.fileno()}"
        self.user = ""

    def serve(self) -> None:
        """Answers until the client goes."""
        try:
            while (head := self.read(16)) is not None:
                length, number, _, code = struct.unpack("<iiii", head)
                body = self.read(length - 16) or b""
                command = self.parse(code, body)
                answer = bson.encode(self.answer(command))
                self.reply(code, number, answer)
        except OSError:
            return
        finally:
            self.connection.close()

    def read(self, size: int) -> bytes | None:
        """So many bytes; None at the end."""
        found = b""
        while len(found) < size:
            if not (part := self.connection.recv(size - len(found))):
                return None
            found += part
        return found

    def parse(self, code: int, body: bytes) -> Document:
        """A message's command, with what a second section adds."""
        if code == OP_QUERY:
            at = body.index(b"\0", 4) + 9
            return {**bson.decode(body[at:]), "$db": "admin"}
        assert code == OP_MSG
        command: Document = {}
        at = 4
        while at < len(body):
            kind, at = body[at], at + 1
            size = struct.unpack_from("<i", body, at)[0]
            if kind == 0:
                command |= bson.decode(body[at : at + size])
            else:
                end = body.index(b"\0", at + 4)
                command[body[at + 4 : end].decode()] = bson.decode_all(body[end + 1 : at + size])
            at += size
        return command

    def reply(self, code: int, number: int, answer: bytes) -> None:
        """An answer in the form of the question."""
        if code == OP_QUERY:
            body, kind = struct.pack("<iqii", 8, 0, 0, 1) + answer, OP_REPLY
        else:
            body, kind = struct.pack("<ib", 0, 0) + answer, OP_MSG
        self.connection.sendall(struct.pack("<iiii", len(body) + 16, 0, number, kind) + body)

    def answer(self, command: Document) -> Document:
        """What the server says to a command."""
        name = next(iter(command))
        database = str(command.get("$db", "admin"))
        with self.server.store.lock:
            try:
                self.check(name, database)
                return {**self.run(name, database, command), "ok": 1.0}
            except CommandError as exc:
                if exc.code == 13:
                    attributes = {"error": {"code": 13, "codeName": "Unauthorized", "errmsg": str(exc)}}
                    self.server.log("ACCESS", 20436, "Checking authorization failed", attributes, self.name)
                return {"ok": 0.0, "code": exc.code, "errmsg": str(exc)}

    def check(self, name: str, database: str) -> None:
        """Raises CommandError where the user may not."""
        store, needed = self.server.store, NEEDS.get(name, "userAdmin" if name in ACCOUNTS else "")
        first = name == "createUser" and not store.data["users"] and self.server.bypass and not self.server.tls
        if name in ANYBODY or first:
            return
        held = store.actions(self.user, database)
        if name == "find" and database == "admin" and "userAdmin" in held:
            return
        if not needed or needed not in held:
            raise CommandError(13, f"not authorized on {database} to execute command {{ {name}: 1 }}")

    def run(self, name: str, database: str, command: Document) -> Document:
        """A command that is allowed."""
        handler: Callable[[str, Document], Document] | None = getattr(self, f"on_{name.lower()}", None)
        if handler is None:
            raise CommandError(59, f"no such command: '{name}'")
        answer = handler(database, command)
        self.server.store.save()
        return answer

    # --- commands

    def on_hello(self, database: str, command: Document) -> Document:
        """Who is there; with a speculative login where one is asked for and may be."""
        told: Document = {"isWritablePrimary": True, "ismaster": True, "minWireVersion": 0, "maxWireVersion": 21}
        told |= {"maxBsonObjectSize": 16 << 20, "maxMessageSizeBytes": 48 << 20, "maxWriteBatchSize": 100_000}
        if "speculativeAuthenticate" in command and self.known():
            told["speculativeAuthenticate"] = self.on_authenticate(database, command)
        return told

    on_ismaster = on_hello

    def known(self) -> bool:
        """Whether the certificate's subject is a user, and no other member of the server's cluster."""
        subject = self.server.subject(self.connection)
        return subject in self.server.store.data["users"] and not self.server.is_member(subject)

    def on_authenticate(self, database: str, command: Document) -> Document:
        """A login by certificate."""
        subject = self.server.subject(self.connection)
        if not self.known():
            attributes = {"mechanism": "MONGODB-X509", "user": subject, "db": "$external", "result": 11}
            self.server.log("ACCESS", 5286307, "Failed to authenticate", attributes, self.name)
            raise CommandError(18, "Authentication failed.")
        self.user = subject
        attributes = {"mechanism": "MONGODB-X509", "user": subject, "db": "$external", "result": 0}
        self.server.log("ACCESS", 5286306, "Successfully authenticated", attributes, self.name)
        return {"dbname": "$external", "user": subject}

    def on_buildinfo(self, database: str, command: Document) -> Document:
        """The version."""
        return {"version": VERSION, "versionArray": [7, 0, 99, 0], "gitVersion": "0" * 40}

    def on_ping(self, database: str, command: Document) -> Document:
        """Nothing."""
        return {}

    on_endsessions = on_ping

    def on_createuser(self, database: str, command: Document) -> Document:
        """A new user, of a name that is no member's."""
        name = command["createUser"]
        if name in self.server.store.data["users"]:
            raise CommandError(51003, f'User "{name}@{database}" already exists')
        if self.server.tls and self.server.is_member(name):
            raise CommandError(2, "the subject would be taken for a member of the cluster")
        self.server.store.data["users"][name] = command["roles"]
        return {}

    def on_dropuser(self, database: str, command: Document) -> Document:
        """A user gone."""
        del self.server.store.data["users"][command["dropUser"]]
        return {}

    def on_grantrolestouser(self, database: str, command: Document) -> Document:
        """More roles."""
        held = self.server.store.data["users"][command["grantRolesToUser"]]
        held += [role for role in command["roles"] if role not in held]
        return {}

    def on_revokerolesfromuser(self, database: str, command: Document) -> Document:
        """Fewer roles."""
        name = command["revokeRolesFromUser"]
        users = self.server.store.data["users"]
        users[name] = [role for role in users[name] if role not in command["roles"]]
        return {}

    def on_usersinfo(self, database: str, command: Document) -> Document:
        """All users of the external database."""
        users = self.server.store.data["users"] if database == "$external" else {}
        return {"users": [{"user": name, "db": database, "roles": roles} for name, roles in users.items()]}

    def on_createrole(self, database: str, command: Document) -> Document:
        """A new role."""
        key = f"{database}.{command['createRole']}"
        if key in self.server.store.data["roles"]:
            raise CommandError(51002, f'Role "{key}" already exists')
        self.server.store.data["roles"][key] = {"privileges": command["privileges"], "roles": command["roles"]}
        return {}

    def on_updaterole(self, database: str, command: Document) -> Document:
        """A role made anew."""
        found = self.server.store.data["roles"][f"{database}.{command['updateRole']}"]
        found |= {"privileges": command["privileges"], "roles": command["roles"]}
        return {}

    def on_droprole(self, database: str, command: Document) -> Document:
        """A role gone."""
        del self.server.store.data["roles"][f"{database}.{command['dropRole']}"]
        return {}

    def on_rolesinfo(self, database: str, command: Document) -> Document:
        """The roles that somebody made in this database."""
        keys = [key.split(".", 1) for key in self.server.store.data["roles"]]
        return {"roles": [{"role": role, "db": of} for of, role in keys if of == database]}

    def on_killallsessions(self, database: str, command: Document) -> Document:
        """Noted down."""
        self.server.store.data["ended"] += [each["user"] for each in command["killAllSessions"]]
        return {}

    def on_find(self, database: str, command: Document) -> Document:
        """Documents by equality, or the roles."""
        documents = self.documents(database, command["find"])
        if (database, command["find"]) == ("admin", "system.roles"):
            keys = [key.split(".", 1) for key in self.server.store.data["roles"]]
            documents = [{"role": role, "db": of} for of, role in keys]
        wanted = command.get("filter", {}).items()
        first = [each for each in documents if all(each.get(key) == value for key, value in wanted)]
        return {"cursor": {"id": 0, "ns": f"{database}.{command['find']}", "firstBatch": first}}

    def on_count(self, database: str, command: Document) -> Document:
        """How many there are."""
        return {"n": len(self.documents(database, command["count"]))}

    def on_insert(self, database: str, command: Document) -> Document:
        """More documents."""
        self.documents(database, command["insert"]).extend(command["documents"])
        return {"n": len(command["documents"])}

    def on_delete(self, database: str, command: Document) -> Document:
        """Nothing is ever met by the queries of these tests."""
        return {"n": 0}

    def on_dropindexes(self, database: str, command: Document) -> Document:
        """There never is one."""
        raise CommandError(26, "ns not found")

    def documents(self, database: str, collection: str) -> list[Document]:
        """Those of a collection."""
        found: list[Document] = self.server.store.data["documents"].setdefault(f"{database}.{collection}", [])
        return found


class Server:
    """The listening program."""

    def __init__(self, options: argparse.Namespace) -> None:
        parameters = dict(each.split("=", 1) for each in options.setParameter)
        self.store = Store(Path(options.dbpath))
        self.bypass = parameters.get("enableLocalhostAuthBypass", "true") == "true"
        self.separation = parameters.get("enforceUserClusterSeparation", "true") == "true"
        self.options = options
        self.tls: ssl.SSLContext | None = None
        self.own = ""
        if options.tlsMode == "requireTLS":
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(options.tlsCertificateKeyFile)
            self.tls.load_verify_locations(options.tlsCAFile)
            self.tls.verify_mode = ssl.CERT_REQUIRED
            pem = Path(options.tlsCertificateKeyFile).read_bytes()
            certificate = x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERTIFICATE") :])
            self.own = certificate.subject.rfc4514_string()

    def subject(self, connection: socket.socket) -> str:
        """Whom a connection's certificate names."""
        if not isinstance(connection, ssl.SSLSocket):
            return ""
        shown = connection.getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(shown).subject.rfc4514_string() if shown else ""

    def is_member(self, subject: str) -> bool:
        """Whether a subject is one of the cluster: all but its CN is the server's, and that is looked at."""
        return self.separation and subject.split(",")[1:] == self.own.split(",")[1:]

    def log(self, component: str, number: int, words: str, attributes: Document, where: str = "listener") -> None:
        """A line of a log; ``where``: on which connection."""
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        line = {"t": {"$date": now}, "s": "I", "c": component, "id": number, "ctx": where, "msg": words}
        line["attr"] = attributes
        print(json.dumps(line, separators=(",", ":")), flush=True)

    def serve(self) -> None:
        """Listens until it is ended."""
        where = self.options.bind_ip
        if where.startswith("/"):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(where)
            listener.listen()
        else:
            listener = socket.create_server((where, self.options.port))
        self.log("NETWORK", 23016, "Waiting for connections", {"address": where})
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self.enter, args=(connection,), daemon=True).start()

    def enter(self, connection: socket.socket) -> None:
        """One client."""
        try:
            served = self.tls.wrap_socket(connection, server_side=True) if self.tls else connection
        except OSError:
            connection.close()
            return
        Session(self, served).serve()


def arguments() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser("mongod", allow_abbrev=False)
    for name in ("version", "auth", "nounixsocket"):
        parser.add_argument(f"--{name}", action="store_true")
    for name in ("dbpath", "bind_ip", "tlsMode", "tlsCAFile", "tlsCertificateKeyFile", "wiredTigerCacheSizeGB"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--port", type=int, default=27017)
    parser.add_argument("--setParameter", action="append", default=[])
    return parser


def end(number: int, frame: FrameType | None) -> None:
    """A clean end."""
    sys.exit(0)


if __name__ == "__main__":
    given = arguments().parse_args()
    if given.version:
        print(f'db version v{VERSION}\nBuild Info: {{\n    "version": "{VERSION}"\n}}')
        sys.exit(0)
    signal.signal(signal.SIGTERM, end)
    Server(given).serve()
