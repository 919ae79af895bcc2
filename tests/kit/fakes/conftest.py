"""What the fakes are held against: a service's real database and topics, by the kit's own fixture's means."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from greenfield_kit.testing.platform import Platform, Wanted, lent

TOPICS = 24
DECLARATION = """
apiVersion: greenfield/v1
name: desk
services:
  clerk:
    command: [python, clerk.py]
    uses: {{ledger: own, {uses}}}
datastores:
  postgres: {{kind: postgres, databases: [ledger]}}
brokers:
  kafka: {{kind: kafka, topics: {{{topics}}}}}
"""


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A PostgreSQL and a Kafka with many topics, wired in the environment."""
    names = [f"topic-{number}" for number in range(TOPICS)]
    folder = tmp_path_factory.mktemp("desk")
    uses = ", ".join(f"{name}: [produce, consume]" for name in names)
    topics = ", ".join(f"{name}: {{partitions: 1}}" for name in names)
    (folder / "greenfield.yaml").write_text(DECLARATION.format(uses=uses, topics=topics))
    with lent(Wanted(folder / "greenfield.yaml")) as platform, pytest.MonkeyPatch.context() as patch:
        for name, value in platform.environment.items():
            patch.setenv(name, value)
        yield platform


@pytest.fixture(scope="session")
def unused(desk: Platform) -> Iterator[str]:
    """Names of topics, each of which is taken once: `next(unused)`."""
    return iter([f"topic-{number}" for number in range(TOPICS)])
