"""Fixtures of a real control plane, shared by all tests of a run. Whoever asks for one is marked ``cluster``.

Tests share it: each has a namespace of its own and removes what it makes outside of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from support import custom_resources as definitions
from support import operators, pretended_operators
from support.control_plane import Cluster, running

OPERATORS = {"real_operators", "real_mongodb_operator"}
FIXTURES = {"cluster", "custom_resources", "answering_operators", "real_operators", "bare_cluster"}


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Marks the tests that ask for a control plane, and of those the ones that ask for operators, too."""
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        if FIXTURES & asked:
            item.add_marker("cluster")
        if OPERATORS & asked:
            item.add_marker("operators")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A whole control plane with fake nodes in three zones. Operators' definitions may be in it or not."""
    with running(tmp_path_factory.mktemp("cluster") / "plane") as found:
        yield found


@pytest.fixture(scope="session")
def custom_resources(cluster: Cluster) -> Cluster:
    """The same with the resource definitions of every operator."""
    definitions.install(cluster)
    return cluster


@pytest.fixture(scope="session")
def answering_operators(custom_resources: Cluster) -> Cluster:
    """The same, and whatever an operator would look after is ready soon; from here on in every test of the run."""
    pretended_operators.start(custom_resources)
    return custom_resources


@pytest.fixture(scope="session")
def real_operators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Another with nodes and all definitions, looked after by the real istiod, controller of Sealed Secrets and
    operator of Prometheus. Pods of namespaces labelled ``istio-injection: enabled`` get their sidecar."""
    with running(tmp_path_factory.mktemp("operated") / "plane") as found:
        definitions.install(found)
        operators.istiod(found)
        operators.sealed_secrets(found)
        operators.prometheus_operator(found)
        yield found


@pytest.fixture(scope="session")
def real_mongodb_operator(real_operators: Cluster) -> Cluster:
    """The same with that of MongoDB besides."""
    operators.mongodb_operator(real_operators)
    return real_operators


@pytest.fixture(scope="session")
def bare_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Another, without nodes and where no operator was ever installed."""
    with running(tmp_path_factory.mktemp("bare") / "plane", nodes=False) as found:
        yield found
