"""The fixture ``platform``: tests of a service, run by pytest as a person would, with the back ends it uses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.platform import wait_for

pytestmark = pytest.mark.e2e
DECLARATION = """
apiVersion: greenfield/v1
name: desk
services:
  clerk: {command: [python, clerk.py], uses: {memory: write}}
  boss: {command: [python, boss.py], uses: {safe: write}}
datastores:
  memory: {kind: redis}
  safe: {kind: redis}
"""
USES = """
import os
import redis

def counted(name):
    prefix = os.environ[f"{name}_PREFIX"]
    with redis.from_url(os.environ[f"{name}_URL"]) as client:
        return client.incr(prefix + "n")
"""


@dataclass
class Project:
    """A folder with a declaration and tests, in which pytest is run."""

    root: Path

    def write(self, name: str, text: str) -> None:
        """One file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Pytest, left running, with warnings as errors."""
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", "-v", "-W", "error", "--strict-markers", *arguments],
            cwd=self.root,
            env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(self.root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip

    def run(self, *arguments: str) -> str:
        """What pytest says, whatever the outcome."""
        return self.start(*arguments).communicate(timeout=120)[0]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Two services with a Redis each; what their tests print tells where the platform was."""
    found = Project(tmp_path)
    found.write("greenfield.yaml", DECLARATION)
    found.write("pytest.ini", "[pytest]\ngreenfield_service = clerk\n")
    found.write("uses.py", USES)
    yield found
    log = tmp_path / "homes"
    for home in log.read_text().splitlines() if log.exists() else ():
        wait_for(f"{home} to be gone", lambda home=home: not Path(home).exists())  # type: ignore[misc]


TELLS = """
import pathlib, pytest
from uses import counted

@pytest.fixture(autouse=True)
def told(platform):
    with open(pathlib.Path(__file__).parent / "homes", "a") as homes:
        print(platform.logs.parents[1], file=homes)
"""


def test_a_test_reaches_what_its_service_uses(project: Project) -> None:
    """By the environment and by the platform itself; one platform for all tests, and nothing of it afterwards."""
    project.write(
        "test_it.py",
        TELLS
        + """
def test_by_environment():
    assert counted("MEMORY") == 1

def test_again_by_the_same(platform):
    assert counted("MEMORY") == 2
    assert platform.service == "clerk"
    assert platform["memory"]["URL"] == platform.environment["MEMORY_URL"]
    assert platform["memory"]["URL"] not in repr(platform)

def test_nothing_else_is_there(platform):
    assert not [name for name in platform.environment if name.startswith("SAFE")]
""",
    )
    assert "3 passed" in project.run()


def test_a_marker_says_which_service(project: Project) -> None:
    """Of a test or of a module; the others are about the service of the settings."""
    project.write("test_clerk.py", TELLS + "def test_clerk():\n    assert counted('MEMORY') == 1\n")
    project.write(
        "test_boss.py", TELLS + "pytestmark = pytest.mark.greenfield('boss')\ndef test_boss():\n    counted('SAFE')\n"
    )
    said = project.run()
    assert "test_boss.py::test_boss[boss] PASSED" in said
    assert "2 passed" in said


def test_processes_of_a_parallel_run_have_platforms_of_their_own(project: Project) -> None:
    """Each counts from one."""
    project.write(
        "test_it.py",
        TELLS
        + """
@pytest.mark.parametrize("number", range(2))
def test_counts(number, worker_id, platform):
    import time
    counted("MEMORY")
    seen = pathlib.Path(__file__).parent / f"seen-{worker_id}"
    seen.touch()
    deadline = time.monotonic() + 60
    while len(list(seen.parent.glob("seen-*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert counted("MEMORY") == 2
""",
    )
    assert "2 passed" in project.run("-n", "2")
    assert len(set((project.root / "homes").read_text().splitlines())) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_interrupted_leaves_no_process(project: Project, number: signal.Signals) -> None:
    """Not even one that is killed; only then its folder waits for the next run."""
    project.write(
        "test_it.py",
        TELLS + "def test_waits(platform):\n    import time\n    print('here', flush=True)\n    time.sleep(600)\n",
    )
    process = project.start("-s")
    homes = project.root / "homes"
    home = wait_for("the test to be under way", lambda: homes.exists() and homes.read_text().strip(), 60)
    assert mentions(str(home))
    process.send_signal(number)
    process.communicate(timeout=60)
    wait_for("everything to end", lambda: not mentions(str(home)))
    if number == signal.SIGKILL:
        project.write("test_it.py", TELLS + "def test_next(platform):\n    pass\n")
        assert "1 passed" in project.run()


def mentions(text: str) -> list[str]:
    """The command lines that hold a text."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace") if entry.name.isdigit() else ""
        except OSError:
            continue
        if text in line:
            found.append(line)
    return found


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--greenfield-service=clark"], "did you mean 'clerk'?"),
        (["-o", "greenfield_service="], "--greenfield-service"),
        (["--greenfield-file=nowhere.yaml"], "there is no nowhere.yaml"),
        (["--greenfield-environment=test"], "there is no environment 'test'"),
    ],
)
def test_what_cannot_be_started_is_said_in_words(project: Project, arguments: list[str], words: str) -> None:
    """And nothing of the inside."""
    project.write("test_it.py", "def test_it(platform):\n    pass\n")
    said = project.run(*arguments)
    assert "1 error" in said
    assert words in said
    assert "Traceback" not in said


def test_without_a_declaration_it_says_where_it_looked(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """From the root of the tests upwards."""
    elsewhere = Project(tmp_path_factory.mktemp("elsewhere"))
    elsewhere.write("pytest.ini", "[pytest]\n")
    elsewhere.write("test_it.py", "def test_it(platform):\n    pass\n")
    assert f"There is no greenfield.yaml in {elsewhere.root}, nor above." in elsewhere.run()


def test_without_the_tool_it_says_so(project: Project, tmp_path: Path) -> None:
    """An interpreter without it, and a PATH without it."""
    project.write("test_it.py", "def test_it(platform):\n    pass\n")
    project.write(
        "conftest.py",
        "import os, sys\nos.environ['PATH'] = '/nowhere'\nsys.executable = '/nowhere/python'\n",
    )
    said = project.run()
    assert "There is no command `greenfield` beside" in said
    assert "install greenfield" in said


def test_a_run_that_does_not_ask_pays_for_nothing(project: Project) -> None:
    """Not the tool, not even the module that would start it; a fixture of the project's own wins."""
    project.write(
        "test_it.py",
        """
import sys, pytest

@pytest.fixture
def platform():
    return "mine"

def test_it(platform):
    assert platform == "mine"
    assert {name for name in sys.modules if name.startswith("greenfield")} == {
        "greenfield_kit", "greenfield_kit.testing", "greenfield_kit.testing.plugin",
    }
""",
    )
    assert "1 passed" in project.run()


def test_a_platform_that_dies_is_told_of(project: Project) -> None:
    """At the end, with the words of who ran it."""
    project.write(
        "test_it.py",
        TELLS
        + """
def test_it(platform):
    import os, json, signal, time
    home = platform.logs.parent
    state = json.loads((home / "state.json").read_text())
    os.kill(state["supervisor"]["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 60
    while home.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
""",
    )
    said = project.run()
    assert "1 passed, 1 error" in said
    assert "ended before its tests" in said
    assert "The supervisor of desk died" in said
