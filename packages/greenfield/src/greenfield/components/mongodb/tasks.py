"""Writes the grants of the stand-in; makes the users and roles of mongod so. Runs in the task process."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from greenfield.components.mongodb.accounts import ADMINISTRATORS, EXTERNAL
from greenfield.components.mongodb.roles import role, roles
from greenfield.programs.databases import ACCESSES

if TYPE_CHECKING:
    from pymongo import MongoClient

    Client = MongoClient[dict[str, Any]]

_TIMEOUT_S = 10.0
_START_S, _STOP_S = 60.0, 30.0
_POLL_S = 0.05
_SAID = 2000  # characters of a server's last words


def write_grants(input: Mapping[str, Any], secret: Callable[[str], str]) -> str:  # noqa: A002, ARG001
    """Makes the stand-in's file of grants as ``input`` says; without ``prune`` it only adds.

    ``input``: ``file``, and ``grants`` as rows of subject, database and access. The server reads the file anew for the
    command after the change.
    """
    file = Path(input["file"])
    wanted = {"|".join(row) for row in input["grants"]}
    present = set(file.read_text(encoding="utf-8").splitlines()) if file.exists() else set()
    kept = wanted if input["prune"] else wanted | present
    if kept == present:
        return "everything was as declared"
    written = file.with_name(f"{file.name}.tmp")
    written.write_text("".join(f"{line}\n" for line in sorted(kept)), encoding="utf-8")
    written.rename(file)
    return f"{len(kept - present)} grants came, {len(present - kept)} went"


# --- the first data of mongod ---------------------------------------------------------------------------------------


def make_first_data(input: Mapping[str, Any], secret: Callable[[str], str]) -> str:  # noqa: A002, ARG001
    """Makes the folder of mongod's data with its administrator in it, all or nothing.

    ``input``: ``program``, its ``environment``, ``folder``, ``socket`` (a path that ends in ``.sock``), and the subject
    of the ``administrator``. While a server has no user, who comes from its own machine may make the first one; so it
    listens on nothing but the socket until there is one.
    """
    folder, socket = Path(input["folder"]), Path(input["socket"])
    if folder.exists():
        return f"{folder.name} is there already"
    draft = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket.unlink(missing_ok=True)
    options = ("--auth", "--nounixsocket", "--dbpath", str(draft), "--bind_ip", str(socket))
    with tempfile.TemporaryFile() as said:
        server = subprocess.Popen(
            (input["program"], *options),
            env=dict(input["environment"]),
            cwd=draft,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            _await(socket, server)
            _make_administrator(socket, input["administrator"])
            server.terminate()
            server.wait(_STOP_S)
        except Exception as exc:
            raise RuntimeError(f"mongod could not be prepared: {exc}{_last_words(said)}") from exc
        finally:
            server.kill()
            server.wait()
            socket.unlink(missing_ok=True)
    draft.rename(folder)
    return f"made {folder.name}, which {input['administrator']} may administer"


def _await(socket: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while not socket.exists():
        if server.poll() is not None:
            raise RuntimeError(f"it exited with code {server.returncode}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not listen within {_START_S:.0f} s")
        time.sleep(_POLL_S)


def _make_administrator(socket: Path, subject: str) -> None:
    with _client(quote(str(socket), safe="")) as client:
        held = [{"role": role, "db": "admin"} for role in ADMINISTRATORS]
        client[EXTERNAL].command({"createUser": subject, "roles": held})


def _last_words(said: IO[bytes]) -> str:
    said.seek(0)
    words = said.read().decode(errors="replace").strip()[-_SAID:]
    return f"\n{words}" if words else ""


# --- users and roles ------------------------------------------------------------------------------------------------


def reconcile_accounts(input: Mapping[str, Any], secret: Callable[[str], str]) -> str:  # noqa: A002, ARG001
    """Makes mongod's roles and users as ``input`` says; without ``prune`` it only adds.

    ``input``: ``server`` (``host``, ``port``) and ``tls`` (paths of ``ca``, ``pem``) of the ``administrator`` (its
    subject); ``databases`` by name; ``grants`` as rows of subject, database and access. What is granted or taken holds
    from the next command on; the sessions of who lost something are ended, and what they were doing with them.
    """
    from pymongo.errors import PyMongoError

    try:
        with _connected(input) as client:
            done = [*_add_roles(client, input["databases"]), *_add_users(client, input)]
            done += _prune(client, input) if input["prune"] else ()
    except PyMongoError as exc:
        server = input["server"]
        raise RuntimeError(f"mongod at {server['host']}:{server['port']} refused a change: {exc}") from exc
    return "; ".join(done) if done else "everything was as declared"


def _connected(input: Mapping[str, Any]) -> Client:  # noqa: A002
    server, tls = input["server"], input["tls"]
    return _client(
        f"{server['host']}:{server['port']}",
        tls=True,
        tlsCAFile=tls["ca"],
        tlsCertificateKeyFile=tls["pem"],
        authMechanism="MONGODB-X509",
        authSource=EXTERNAL,
    )


def _client(at: str, **options: Any) -> Client:
    from pymongo import MongoClient

    limits = dict.fromkeys(("serverSelectionTimeoutMS", "socketTimeoutMS", "connectTimeoutMS"), int(_TIMEOUT_S * 1000))
    return MongoClient(f"mongodb://{at}", directConnection=True, retryWrites=False, **{**options, **limits})


def _add_roles(client: Client, databases: list[str]) -> Iterator[str]:
    for database in databases:
        present = {each["role"] for each in client[database].command("rolesInfo", 1)["roles"]}
        for wanted in roles(database):
            name, held = wanted["role"], {key: wanted[key] for key in ("privileges", "roles")}
            make = "updateRole" if name in present else "createRole"
            client[database].command({make: name, **held})
            if name not in present:
                yield f"made the role {name} of {database}"


def _add_users(client: Client, wanted: Mapping[str, Any]) -> Iterator[str]:
    present = _users(client, wanted["administrator"])
    for subject, declared in _declared(wanted).items():
        if subject not in present:
            client[EXTERNAL].command({"createUser": subject, "roles": _as_documents(declared)})
            yield f"added {subject}"
        elif missing := declared - present[subject]:
            client[EXTERNAL].command({"grantRolesToUser": subject, "roles": _as_documents(missing)})
            yield f"granted {_told(missing)} to {subject}"


def _prune(client: Client, wanted: Mapping[str, Any]) -> Iterator[str]:
    declared = _declared(wanted)
    for subject, held in sorted(_users(client, wanted["administrator"]).items()):
        if subject not in declared:
            client[EXTERNAL].command("dropUser", subject)
            yield f"dropped {subject}"
        elif gone := held - declared[subject]:
            client[EXTERNAL].command({"revokeRolesFromUser": subject, "roles": _as_documents(gone)})
            yield f"revoked {_told(gone)} from {subject}"
        else:
            continue
        client["admin"].command("killAllSessions", [{"user": subject, "db": EXTERNAL}])
    ours = {role(access) for access in ACCESSES}
    for found in list(client["admin"]["system.roles"].find({})):
        if found["role"] in ours and found["db"] not in wanted["databases"]:
            client[found["db"]].command("dropRole", found["role"])
            yield f"dropped the role {found['role']} of {found['db']}"


Roles = frozenset[tuple[str, str]]
"""Roles by database and name."""


def _declared(wanted: Mapping[str, Any]) -> dict[str, Roles]:
    found: dict[str, Roles] = {}
    for subject, database, access in wanted["grants"]:
        found[subject] = found.get(subject, frozenset()) | {(database, role(access))}
    return found


def _users(client: Client, administrator: str) -> dict[str, Roles]:
    """What everybody holds now, but the administrator."""
    told = client[EXTERNAL].command("usersInfo", 1)["users"]
    return {user["user"]: _as_roles(user["roles"]) for user in told if user["user"] != administrator}


def _as_roles(documents: list[dict[str, str]]) -> Roles:
    return frozenset((document["db"], document["role"]) for document in documents)


def _as_documents(held: Roles) -> list[dict[str, str]]:
    return [{"role": name, "db": database} for database, name in sorted(held)]


def _told(held: Roles) -> str:
    return ", ".join(f"{database}:{role}" for database, role in sorted(held))
