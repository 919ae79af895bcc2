"""Ports: chosen once, remembered, checked, and never the same for two platforms."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from greenfield.errors import ClaimError
from greenfield.model.local import PortClaim
from greenfield.targets.local.ports import Address, Ports, candidates, holder_of, is_free

HOST = "127.0.77.1"  # loopback, and nobody else's
GATEWAY = PortClaim("gateway-0/https", HOST, 8443)
ADMIN = PortClaim("gateway-0/admin", HOST)


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    """The ports of one checkout."""
    return checkout(tmp_path, "one")


def checkout(tmp_path: Path, name: str) -> Ports:
    """The ports of a checkout of that name; all in ``tmp_path`` share their reservations."""
    home = tmp_path / name / ".greenfield"
    home.mkdir(parents=True)
    return Ports(home, tmp_path / "shared" / "ports.json")


@pytest.fixture
def stranger() -> Iterator[Address]:
    """A listener at the preferred port, of a process that is no part of a platform."""
    with socket.create_server((HOST, 8443)) as listener:
        yield listener.getsockname()


def test_the_preferred_port_is_taken_where_it_is_free(ports: Ports) -> None:
    """Others come from outside the range in which the kernel puts outgoing connections."""
    chosen = ports.choose([GATEWAY, ADMIN], {})
    assert chosen["gateway-0/https"] == (HOST, 8443)
    assert chosen["gateway-0/admin"][1] in candidates()


def test_what_was_chosen_is_kept(ports: Ports) -> None:
    """Even where the preferred one is free again."""
    remembered = {"gateway-0/https": (HOST, 20123)}
    assert ports.choose([GATEWAY], remembered) == remembered


def test_a_preferred_port_in_use_is_passed_over(ports: Ports, stranger: Address) -> None:
    """At the first choice a stranger is no error."""
    assert ports.choose([GATEWAY], {})["gateway-0/https"] != stranger


def test_a_stranger_at_a_remembered_port_is_named(ports: Ports, stranger: Address) -> None:
    """By pid and command; and the way out is named as well."""
    with pytest.raises(
        ClaimError, match=rf"Port {HOST}:8443 of gateway-0/https is taken by pid {os.getpid()} \(.+\)"
    ) as e:
        ports.choose([GATEWAY], {"gateway-0/https": stranger})
    assert "--new-ports" in e.value.hint


def test_asked_for_it_another_port_is_chosen_instead(ports: Ports, stranger: Address) -> None:
    """Only for what is taken; the rest stays."""
    remembered = {"gateway-0/https": stranger, "gateway-0/admin": (HOST, 20123)}
    chosen = ports.choose([GATEWAY, ADMIN], remembered, anew=True)
    assert chosen["gateway-0/https"] != stranger
    assert chosen["gateway-0/admin"] == (HOST, 20123)


def test_a_port_that_our_own_process_holds_is_ours(tmp_path: Path, stranger: Address) -> None:
    """A second `up` meets its own platform."""
    one = checkout(tmp_path, "one")
    ours = Ports(one.home, one.shared, is_ours=lambda pid: pid == os.getpid())
    assert ours.choose([GATEWAY], {"gateway-0/https": stranger})["gateway-0/https"] == stranger


def test_two_checkouts_never_choose_the_same(tmp_path: Path) -> None:
    """Nor when one of them is stopped while the other chooses; each keeps its own."""
    one, two = checkout(tmp_path, "one"), checkout(tmp_path, "two")
    first = one.choose([GATEWAY, ADMIN], {})
    second = two.choose([GATEWAY, ADMIN], {})
    assert not set(first.values()) & set(second.values())
    assert one.choose([GATEWAY, ADMIN], first) == first
    assert two.choose([GATEWAY, ADMIN], second) == second


def test_a_copied_state_folder_chooses_its_own(tmp_path: Path) -> None:
    """``cp -r`` of a checkout brings the memory of the other's ports along."""
    one, two = checkout(tmp_path, "one"), checkout(tmp_path, "two")
    first = one.choose([GATEWAY], {})
    assert not set(two.choose([GATEWAY], first).values()) & set(first.values())


def test_checkouts_that_start_at_once_never_choose_the_same(tmp_path: Path) -> None:
    """The reservations are taken one by one."""
    checkouts = [checkout(tmp_path, f"checkout-{i}") for i in range(16)]
    with ThreadPoolExecutor(16) as pool:
        chosen = list(pool.map(lambda one: one.choose([GATEWAY, ADMIN], {}), checkouts))
    every = [address for one in chosen for address in one.values()]
    assert len(set(every)) == len(every)


def test_a_platform_that_is_gone_reserves_nothing(tmp_path: Path) -> None:
    """Given back, or its folder removed."""
    one, two, three = (checkout(tmp_path, name) for name in ("one", "two", "three"))
    one.choose([GATEWAY], {})
    one.release()
    assert two.choose([GATEWAY], {})["gateway-0/https"] == (HOST, 8443)
    two.home.rmdir()
    assert three.choose([GATEWAY], {})["gateway-0/https"] == (HOST, 8443)


def test_damaged_reservations_count_as_none(ports: Ports) -> None:
    """They only save a retry."""
    ports.shared.parent.mkdir()
    ports.shared.write_text("{")
    assert ports.choose([GATEWAY], {})["gateway-0/https"] == (HOST, 8443)


def test_no_two_claims_get_the_same_port(ports: Ports) -> None:
    """However many prefer it."""
    claims = [PortClaim(f"m-{i}/client", HOST, 9092) for i in range(20)]
    chosen = ports.choose(claims, {})
    assert len(set(chosen.values())) == 20


def test_a_memory_that_names_one_port_twice_is_mended(ports: Ports) -> None:
    """The first keeps it."""
    chosen = ports.choose([GATEWAY, ADMIN], {"gateway-0/https": (HOST, 20123), "gateway-0/admin": (HOST, 20123)})
    assert chosen["gateway-0/https"] == (HOST, 20123)
    assert chosen["gateway-0/admin"] != (HOST, 20123)


def test_another_host_is_another_port(ports: Ports) -> None:
    """A member that moved to another zone chooses again."""
    chosen = ports.choose([GATEWAY], {"gateway-0/https": ("127.0.76.1", 8443)})
    assert chosen["gateway-0/https"][0] == HOST


@pytest.mark.parametrize("host", ["0.0.0.0", HOST])
def test_a_listener_on_every_address_is_found(host: str) -> None:
    """It keeps the port from us as well."""
    with socket.create_server((host, 0)) as listener:
        port = listener.getsockname()[1]
        assert not is_free((HOST, port))
        holder = holder_of((HOST, port))
    assert holder is not None
    assert holder.pid == os.getpid()


def test_a_listener_on_every_ipv6_address_is_found() -> None:
    """Dual-stack sockets stand in the other table."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        holder = holder_of((HOST, listener.getsockname()[1]))
    assert holder is not None
    assert holder.pid == os.getpid()


@pytest.mark.parametrize(
    ("ephemeral", "expected"),
    [("32768 60999", range(20000, 32768)), ("1024 60999", range(61000, 65536)), ("1024 65535", range(20000, 65536))],
)
def test_candidates_lie_outside_the_ephemeral_range(ephemeral: str, expected: range) -> None:
    """Unless it is everything."""
    assert candidates(ephemeral) == expected
