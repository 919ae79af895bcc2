"""A real Redis for those that ask for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from benchmarks.redis_alone import RedisAlone, redis_alone


@pytest.fixture(scope="module")
def one_redis() -> Iterator[RedisAlone]:
    """A server for the tests of a module."""
    with redis_alone() as server:
        yield server


@pytest.fixture
def redis(one_redis: RedisAlone, monkeypatch: pytest.MonkeyPatch) -> RedisAlone:
    """That server, empty and wired as ``cache``, with the rules of a service named ``catalog``."""
    one_redis.ask("FLUSHALL")
    for name, value in one_redis.wiring.items():
        monkeypatch.setenv(name, value)
    return one_redis
