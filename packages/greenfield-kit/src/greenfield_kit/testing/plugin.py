"""The pytest plugin: ``platform``, the real back ends of a service, for the tests that ask for them.

A run that does not ask pays for these lines alone; everything else is imported by the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from greenfield_kit.testing.platform import Platform, Wanted

_MARKER = "greenfield"
_FIXTURE = "platform"
_OPTIONS = {
    "file": "the declaration; default: the nearest greenfield.yaml from the rootdir upwards",
    "service": "whose back ends `platform` starts, where no marker says so; default: the only service",
    "environment": "the environment whose overlay applies; default: `local`, where the file has it",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Each as an option and as a setting: ``--greenfield-service``, ``greenfield_service``."""
    group = parser.getgroup("greenfield", "back ends of a service")
    for name, words in _OPTIONS.items():
        group.addoption(f"--greenfield-{name}", metavar=name.upper(), help=words)
        parser.addini(f"greenfield_{name}", words, default="")


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line("markers", f"{_MARKER}(service): whose back ends the fixture `{_FIXTURE}` starts")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A marker says of a test, a class or a module which service it is about."""
    marker = metafunc.definition.get_closest_marker(_MARKER)
    if marker is not None and _FIXTURE in metafunc.fixturenames:
        metafunc.parametrize(_FIXTURE, marker.args, indirect=True, scope="session")


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    """What a service ``uses``, and nothing else, running for real; its wiring is in ``os.environ`` meanwhile.

    The stores and topics are empty but for what migrations made, and gone at the end. Each process of a parallel run
    has its own.
    """
    from greenfield_kit.testing.platform import PlatformError, lent

    with ExitStack() as stack:
        failure = ""
        try:
            found = stack.enter_context(lent(_wanted(request.config, getattr(request, "param", ""))))
        except PlatformError as exc:
            failure = str(exc)
        if failure:
            pytest.fail(failure, pytrace=False)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in found.environment.items():
            patch.setenv(name, value)
        yield found


def _wanted(config: pytest.Config, service: str) -> Wanted:
    from greenfield_kit.testing.platform import Wanted, find

    given = _given(config, "file")
    if config.getoption("--greenfield-file") is None and given:
        given = str((config.inipath or config.rootpath / "pytest.ini").parent / given)
    file = Path(given).absolute() if given else find([config.rootpath, config.invocation_params.dir])
    return Wanted(file, service or _given(config, "service"), _given(config, "environment"))


def _given(config: pytest.Config, name: str) -> str:
    return str(config.getoption(f"--greenfield-{name}") or config.getini(f"greenfield_{name}"))
