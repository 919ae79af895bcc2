"""What Redis does for the cache in one step each, and how an entry is written there.

A lease on a key is the right to fill it: a key of its own that holds its holder's token and runs out by itself. To
forget a key takes its lease along, so a load that began before cannot fill it afterwards. (Leases of this kind:
Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013.)
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

FAILED = b"!"
"""Holds the lease where a load has just failed and an old value is there to give."""

_HEAD = struct.Struct(">cBII")  # the mark, whether there is a value, milliseconds it may be stale and its load took
_MARK = b"\x01"  # the form of an entry; another is no entry
_LONGEST_MS = 2**32 - 1


@dataclass(frozen=True)
class Script:
    """A program for Redis, and the digest by which it is known there."""

    text: bytes

    @property
    def digest(self) -> bytes:
        """As EVALSHA takes it."""
        return hashlib.sha1(self.text, usedforsecurity=False).hexdigest().encode()


LOOK = Script(b"""
local held = redis.pcall('GET', KEYS[1])
local left = 0
if type(held) ~= 'string' or #held < 10 or string.byte(held) ~= 1 or ARGV[4] == '1' then
  held = false
else
  local stale, cost = struct.unpack('>I4I4', held, 3)
  left = redis.call('PTTL', KEYS[1]) - stale
  if left > cost * ARGV[3] then return held end
end
local holder = redis.pcall('SET', KEYS[2], ARGV[1], 'NX', 'GET', 'PX', ARGV[2])
if type(holder) == 'table' then return {held, left, '', holder.err} end
return {held, left, holder or ARGV[1]}
""")
"""KEYS entry, lease. ARGV token, lease ms, early factor, 1 to take no entry for one.

An entry that is fresh comes alone. Else ``{entry or nil, ms it is still fresh, token of the lease's holder}``: the
asker's own where it got the lease, empty where Redis takes no writes, and then it says why.

An entry is loaded anew early with a likelihood that grows as its end comes near and with what its load cost: the
factor is -beta * ln(a random number in (0, 1]).
(Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015.)
"""

FILL = Script(b"""
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local kept = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return kept.ok and 1 or kept
""")
"""KEYS entry, lease. ARGV token, entry, ms to keep it. 1 where the token held the lease, which ends so; else 0."""

PASS = Script(b"""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
""")
"""KEYS lease. ARGV token, the next holder's token, ms: renews a lease, hands it on, or gives it back after 0 ms."""


@dataclass(frozen=True)
class Name:
    """The keys of one entry in Redis. No two entries share one, whatever bytes their keys are made of."""

    entry: bytes
    lease: bytes


def name(prefix: str, key: str) -> Name:
    """The keys for a key of the service; ``prefix`` is the one its access list allows."""
    raw = key.encode("utf-8", "surrogatepass")
    return Name(f"{prefix}cache:".encode() + raw, f"{prefix}lease:".encode() + raw)


def entry(value: bytes | None, stale_s: float, cost_s: float) -> bytes:
    """An entry of a value, or of there being none."""
    return _HEAD.pack(_MARK, value is not None, _ms(stale_s), _ms(cost_s)) + (value or b"")


def held(entry: bytes) -> bytes | None:
    """The value in an entry, or None for there being none."""
    return entry[_HEAD.size :] if entry[1] else None


def _ms(seconds: float) -> int:
    return min(_LONGEST_MS, round(seconds * 1000))
