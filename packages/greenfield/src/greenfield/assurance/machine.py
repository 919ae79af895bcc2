"""What the machine itself tells of a running platform: who listens where, what its processes hold, who may read files.

Read from the kernel and the disk, not from the plan: a port that nobody declared, or a secret that slipped into a log,
is found because it is there.
"""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import ssl
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from greenfield.model.component import Catalogue
from greenfield.model.content import Secret
from greenfield.model.local import PortClaim, Site
from greenfield.model.plan import Plan
from greenfield.model.proof import Observation, Proof
from greenfield.targets.local.paths import StatePaths
from greenfield.targets.local.ports import Address, Owners
from greenfield.targets.local.site import local_side
from greenfield.targets.local.spawn import stat_fields
from greenfield.targets.local.sweep import tagged

ANSWER_S = 2.0  # a port that says nothing for so long let nobody in
SHORTEST_SECRET = 16  # what is shorter stands anywhere by chance
_KEY = b"PRIVATE KEY-----"
_UNCLAIMED = Observation("allowed", "no part of the platform claimed this port")
_FAILURES = (ssl.SSLError, OSError, EOFError, http.client.HTTPException)


@dataclass(frozen=True)
class Port:
    """A claimed port: whose it is, and why everyone on this machine may come in; empty where nobody may."""

    resource: str
    open: str


@dataclass(frozen=True)
class Machine:
    """A platform as its machine shows it. ``run`` is the tag of its processes, ``names`` their names by pid."""

    paths: StatePaths
    site: Site
    run: str
    names: Mapping[int, str]
    ports: Mapping[Address, Port]

    def proofs(self) -> list[Proof]:
        """Every port that listens, every secret that must not show, every file that is private."""
        return [*self._doors(), *self._silences(), *self._files()]

    @cached_property
    def pids(self) -> Mapping[int, str]:
        """Every living process of the platform, by the name of the one that leads its session."""
        living = {pid for pid in tagged(f"{self.run}:") if pid != os.getpid()} | set(self.names)
        return {pid: self.names.get(_session(pid), self.names.get(pid, "supervisor")) for pid in living}

    def _doors(self) -> Iterator[Proof]:
        for address, process in sorted(listening(self.pids).items()):
            known = self.ports.get(address)
            target = known.resource if known else process
            name = f"{process} listens at {address[0]}:{address[1]}"
            if known is None:
                yield Proof(name, "port", "anyone", target, "refused", lambda: _UNCLAIMED)
            elif known.open:
                yield Proof(name, "port", "anyone", target, "allowed", partial(_opens, address, known.open))
            else:
                yield Proof(name, "port", "anyone", target, "refused", partial(knocked, address))

    def _silences(self) -> Iterator[Proof]:
        secrets = self._secrets()
        for pid, process in sorted(self.pids.items(), key=lambda item: (item[1], item[0])):
            resource = process.rpartition("-")[0] or process
            for what, place in (("arguments", "cmdline"), ("environment", "environ")):
                held = secrets if place == "cmdline" else self._not_granted(secrets, process)
                attempt = partial(_shows, Path(f"/proc/{pid}/{place}"), held)
                name = f"no secret in the {what} of {process} (pid {pid})"
                yield Proof(name, "secret", process, resource, "refused", attempt)
        for log in sorted(self.paths.logs.glob("*.log*")):
            attempt = partial(_shows, log, secrets)
            yield Proof(f"no secret in {log.name}", "secret", log.stem, log.stem, "refused", attempt)
        attempt = partial(_shows, self.paths.state, secrets)
        yield Proof("no secret in the state", "secret", "state", "state", "refused", attempt)

    def _secrets(self) -> Mapping[str, bytes]:
        folder = self.paths.secrets
        found = {path.name: path.read_bytes() for path in sorted(folder.glob("*")) if path.is_file()}
        return {name: value for name, value in found.items() if len(value) >= SHORTEST_SECRET}

    def _not_granted(self, secrets: Mapping[str, bytes], process: str) -> Mapping[str, bytes]:
        """Without those that stand in this very service's own URLs: of kinds that know no certificates."""
        granted = {
            part.name
            for (service, _), binding in self.site.bindings.items()
            for part in binding.url
            if isinstance(part, Secret) and process.rpartition("-")[0] == service
        }
        return {name: value for name, value in secrets.items() if name not in granted}

    def _files(self) -> Iterator[Proof]:
        """The state's own folder shuts everybody out; keys and secrets in it are shut once more."""
        for place in (self.paths.home, self.paths.sockets, self.paths.secrets, self.paths.pki):
            yield Proof(
                f"only its owner enters {place.name}", "file", "anyone", place.name, "refused", partial(_may, [place])
            )
        inside = {
            "secrets": [path for path in self.paths.secrets.rglob("*") if path.is_file()],
            "keys": [path for path in self.paths.pki.rglob("*") if path.suffix in {".key", ".pem"}],
            "sockets": [path for path in self.paths.sockets.glob("*") if path.is_dir() or path.is_socket()],
            "state": [path for path in (self.paths.state, self.paths.lock) if path.exists()],
        }
        for what, files in inside.items():
            yield Proof(f"only their owner reads {what}", "file", "anyone", what, "refused", partial(_may, files))


def listening(pids: Mapping[int, str]) -> Mapping[Address, str]:
    """By address the TCP ports at which these processes listen, with the name of each."""
    owners = Owners()
    return {
        (_host(hexadecimal), port): pids[owners[inode]]
        for port, listeners in owners.listeners.items()
        for hexadecimal, _, inode in listeners
        if owners[inode] in pids
    }


def knocked(address: Address) -> Observation:
    """Whether somebody without a certificate is answered there, in plaintext or by TLS."""
    refusals = []
    for how, connect in (("in plaintext", _plaintext), ("by TLS without a certificate", _tls)):
        try:
            status = _status(connect(address))
        except _FAILURES as exc:
            refusals.append(f"{how}: {str(exc) or type(exc).__name__}")
            continue
        if status < 400:
            return Observation("allowed", f"{how} a request was answered {status}")
        refusals.append(f"{how} a request was answered {status}")
    return Observation("refused", "; ".join(refusals))


def _plaintext(address: Address) -> socket.socket:
    return socket.create_connection(address, ANSWER_S)


def _tls(address: Address) -> socket.socket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with _plaintext(address) as plaintext:
        return context.wrap_socket(plaintext)


def _status(connection: socket.socket) -> int:
    with connection:
        client = http.client.HTTPConnection("localhost")
        client.sock = connection
        client.request("GET", "/")
        return client.getresponse().status


def _opens(address: Address, reason: str) -> Observation:
    try:
        _plaintext(address).close()
    except OSError as exc:
        return Observation("refused", str(exc))
    return Observation("allowed", f"open to everyone on this machine: {reason}")


def _shows(place: Path, secrets: Mapping[str, bytes]) -> Observation:
    """Whether a secret, or any private key, stands there. The answer names it and never shows it."""
    try:
        data = place.read_bytes()
    except FileNotFoundError:
        return Observation("refused", "it is gone")
    except OSError as exc:
        return Observation(None, f"it cannot be read: {exc.strerror}", skipped=True)
    if _KEY in data:
        return Observation("allowed", "a private key stands in it")
    if found := [name for name, value in secrets.items() if value in data]:
        return Observation("allowed", f"it holds {', '.join(found)}")
    return Observation("refused", f"none of {len(secrets)} secrets and no private key is in it")


def _may(places: Sequence[Path]) -> Observation:
    """Whether anybody but the owner has any right to one of these."""
    for place in places:
        mode = stat.S_IMODE(place.stat().st_mode)
        if mode & 0o077:
            return Observation("allowed", f"{place.name} has mode {mode:04o}")
    return Observation("refused", f"{len(places)} looked at: nobody but their owner has a right to any")


def _session(pid: int) -> int:
    fields = stat_fields(pid)
    return int(fields[3]) if fields else 0


def _host(hexadecimal: str) -> str:
    """An address as /proc/net/tcp writes it: words of 32 bits in the order of this machine. Format: proc(5)."""
    words = bytes.fromhex(hexadecimal)
    address = ipaddress.ip_address(b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4)))
    return str(getattr(address, "ipv4_mapped", None) or address)


def claimed(plan: Plan, catalogue: Catalogue, site: Site) -> Mapping[Address, Port]:
    """The ports of a site by address: whose each is, and to whom it is open."""
    return {
        site.ports[claim.name]: Port(resource.name, claim.open)
        for resource in plan.resources
        for claim in local_side(resource, catalogue).claims(resource, plan)
        if isinstance(claim, PortClaim)
    }
