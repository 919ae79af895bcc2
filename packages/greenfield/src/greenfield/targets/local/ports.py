"""Ports on loopback addresses: chosen once, remembered, checked, and never the same for two platforms of a user.

Two checkouts may start at the same moment, or take turns; so a user's platforms write down what they chose in one
shared file of reservations. A port is chosen outside the kernel's ephemeral range, where any outgoing connection
could sit on it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from greenfield.errors import ClaimError
from greenfield.model.local import PortClaim
from greenfield.targets.local.private import private_folder, write_private

Address = tuple[str, int]

_EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST: Final = 20000
_LEAST: Final = 1000  # candidates; fewer are no choice


@dataclass(frozen=True)
class Holder:
    """Who listens at a port. ``pid`` is 0 where that is hidden from us."""

    pid: int
    uid: int
    command: str

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.command})" if self.pid else f"a process of user {self.uid}"


@dataclass(frozen=True)
class Ports:
    """Chooses ports for the platform whose state is in ``home``; ``shared`` is the file of reservations.

    ``is_ours`` tells of a pid whether it is a process of this platform.
    """

    home: Path
    shared: Path
    is_ours: Callable[[int], bool] = lambda _: False

    def choose(
        self, claims: Iterable[PortClaim], remembered: Mapping[str, Address], *, anew: bool = False
    ) -> Mapping[str, Address]:
        """An address for each claim by name: the remembered one, else the preferred, else a free one.

        Where a stranger listens at a remembered port, another is chosen (``anew``), or ClaimError names the stranger.
        """
        wanted = {claim.name: claim for claim in claims}
        owners = Owners()
        with _reservations(self.shared) as reserved:
            others = {address for address, home in reserved.items() if home != str(self.home)}
            chosen: dict[str, Address] = {}
            for name, claim in wanted.items():
                old = remembered.get(name)
                if not old or old[0] != claim.host or old in others or old in chosen.values():
                    continue
                if (stranger := self._stranger_at(old, owners)) is None:
                    chosen[name] = old
                elif not anew:
                    raise _taken(old, name, stranger)
            for name, claim in wanted.items():
                if name not in chosen:
                    taken = others | set(chosen.values()) | set(remembered.values())
                    chosen[name] = self._free(claim, taken)
            self._withdraw(reserved)
            reserved.update(dict.fromkeys(chosen.values(), str(self.home)))
        return chosen

    def release(self) -> None:
        """Gives all ports of this platform back."""
        with _reservations(self.shared) as reserved:
            self._withdraw(reserved)

    def _withdraw(self, reserved: dict[Address, str]) -> None:
        for address in [address for address, home in reserved.items() if home == str(self.home)]:
            del reserved[address]

    def _stranger_at(self, address: Address, owners: Owners) -> Holder | None:
        if is_free(address):
            return None
        holder = holder_of(address, owners)
        if holder is None or (holder.pid and self.is_ours(holder.pid)):
            return None
        return holder

    def _free(self, claim: PortClaim, taken: set[Address]) -> Address:
        for port in self._candidates(claim):
            address = (claim.host, port)
            if address not in taken and is_free(address):
                return address
        raise ClaimError(
            f"No port is free on {claim.host} for {claim.name}.",
            hint="see what listens there: ss -ltnp",
        )

    def _candidates(self, claim: PortClaim) -> Iterator[int]:
        """The preferred port first, then all others from a place that differs by platform and claim."""
        if claim.preferred:
            yield claim.preferred
        span = candidates()
        seed = hashlib.sha256(f"{self.home}\0{claim.name}".encode()).digest()
        start = int.from_bytes(seed[:4], "big") % len(span)
        yield from span[start:]
        yield from span[:start]


def _taken(address: Address, name: str, stranger: Holder) -> ClaimError:
    return ClaimError(
        f"Port {address[0]}:{address[1]} of {name} is taken by {stranger}.",
        hint="stop that process, or choose another port for it with `greenfield up --new-ports`",
    )


def candidates(ephemeral: str | None = None) -> range:
    """The ports to choose from, outside the kernel's ephemeral range (``low high``; by default what it says now)."""
    if ephemeral is None:
        try:
            ephemeral = _EPHEMERAL.read_text()
        except OSError:
            ephemeral = "32768 60999"
    low, high = (int(word) for word in ephemeral.split())
    for span in (range(_FIRST, low), range(max(high + 1, _FIRST), 1 << 16), range(1024, low)):
        if len(span) >= _LEAST:
            return span
    return range(_FIRST, 1 << 16)


def is_free(address: Address) -> bool:
    """Whether a program could listen there now; ClaimError where the address itself is refused."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that just ended do no harm
        try:
            probe.bind(address)
        except OSError as exc:
            if exc.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise ClaimError(
                f"Nothing can listen on {address[0]}: {exc.strerror}.",
                hint="all of 127.0.0.0/8 must belong to the loopback interface: ip addr show lo",
            ) from exc
    return True


@dataclass(frozen=True)
class Owners:
    """Who listens where, and whose every open socket is: looked up once for all."""

    proc: Path = Path("/proc")

    def __getitem__(self, inode: str) -> int:
        """The pid that holds a socket; 0 where that is hidden from us."""
        return self._pids.get(f"socket:[{inode}]", 0)

    @cached_property
    def listeners(self) -> Mapping[int, tuple[tuple[str, int, str], ...]]:
        """By port the addresses in hexadecimal, with user and socket inode. Format: proc(5), /proc/net/tcp."""
        found: dict[int, tuple[tuple[str, int, str], ...]] = {}
        for table in ("tcp", "tcp6"):
            try:
                lines = (self.proc / "net" / table).read_text().splitlines()[1:]
            except OSError:
                continue
            for words in map(str.split, lines):
                if words[3] == "0A":
                    at, _, port = words[1].partition(":")
                    found[int(port, 16)] = (*found.get(int(port, 16), ()), (at, int(words[7]), words[9]))
        return found

    @cached_property
    def _pids(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for process in self.proc.iterdir():
            if not process.name.isdigit():
                continue
            with suppress(OSError):  # somebody else's, or gone meanwhile
                for descriptor in (process / "fd").iterdir():
                    found.setdefault(os.readlink(descriptor), int(process.name))  # noqa: PTH115 - a string is wanted
        return found


def holder_of(address: Address, owners: Owners | None = None) -> Holder | None:
    """Who listens at an address, on every address included; None where nobody does any more."""
    owners = owners or Owners()
    for uid, inode in _listening(address, owners):
        pid = owners[inode]
        return Holder(pid, uid, _command(pid, owners.proc) if pid else "")
    return None


def _listening(address: Address, owners: Owners) -> Iterator[tuple[int, str]]:
    """User and socket inode of each listener that covers the address."""
    host, port = address
    hexadecimal = socket.inet_aton(host)[::-1].hex().upper()
    covering = {hexadecimal, "0" * 8, "0" * 32, f"{'0' * 16}FFFF0000{hexadecimal}"}
    for at, uid, inode in owners.listeners.get(port, ()):
        if at in covering:
            yield uid, inode


def _command(pid: int, proc: Path) -> str:
    try:
        words = (proc / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return "already gone"
    line = b" ".join(words).decode(errors="replace").strip()
    return line if len(line) <= 80 else f"{line[:79]}…"


@contextmanager
def _reservations(shared: Path) -> Iterator[dict[Address, str]]:
    """The reservations of all platforms of this user, by address the state folder; written back at the end.

    Those of platforms whose state is gone count no more. A damaged file is as good as none: ports are checked too.
    """
    private_folder(shared.parent)
    with open(shared.with_suffix(".lock"), "w") as lock:  # noqa: PTH123
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            rows = json.loads(shared.read_bytes())
            reserved = {(str(host), int(port)): str(home) for host, port, home in rows}
        except (OSError, ValueError, TypeError):
            reserved = {}
        reserved = {address: home for address, home in reserved.items() if Path(home).is_dir()}
        before = dict(reserved)
        yield reserved
        if reserved != before:
            rows = [[host, port, home] for (host, port), home in sorted(reserved.items())]
            write_private(shared, json.dumps(rows).encode())
