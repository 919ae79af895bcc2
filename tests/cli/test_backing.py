"""``backing``: what one service uses, for as long as somebody asks for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from greenfield.cli.main import run
from support.platform import Platform, kill, wait_for

pytestmark = pytest.mark.e2e
DECLARATION = """
apiVersion: greenfield/v1
name: desk
services:
  clerk: {command: [python, clerk.py], uses: {memory: write, boss: call}}
  boss: {command: [python, boss.py], migrate: [python, tables.py], uses: {archive: own, memory: read}}
  auditor: {command: [python, auditor.py], uses: {archive: read}}
datastores:
  memory: {kind: redis}
  archive: {kind: postgres}
"""
TABLES = """
import os, psycopg
with psycopg.connect(os.environ["ARCHIVE_URL"]) as database:
    database.execute("CREATE TABLE file (name text)")
"""
TRIES = """
import os, psycopg
with psycopg.connect(os.environ["ARCHIVE_URL"]) as database:
    print(database.execute("SELECT count(*) FROM file").fetchone()[0])
    database.execute("DELETE FROM file")
"""
COUNT = "import os, redis; print(redis.from_url(os.environ['MEMORY_URL']).incr(os.environ['MEMORY_PREFIX'] + 'n'))"


@dataclass
class Desk:
    """A declaration, and where whatever backs its services is kept meanwhile; programs come from the usual cache."""

    platform: Platform
    cache: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def lend(self, *arguments: str) -> subprocess.Popen[str]:
        """The command without a command of its own, left running."""
        self.started.append(self.platform.start("backing", *arguments, "--format", "json", stdin=subprocess.PIPE))
        return self.started[-1]

    def kept(self) -> list[Path]:
        """The folders that are in use, or left behind."""
        return [folder for folder in (self.cache / "greenfield" / "backing").glob("*") if folder.is_dir()]

    def alive(self) -> list[int]:
        """Every process that was told a path in one of them."""
        mark = str(self.cache / "greenfield" / "backing").encode()
        return [pid for pid, line in _commands() if mark in line]


def _commands() -> Iterator[tuple[int, bytes]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), (entry / "cmdline").read_bytes()
            except OSError:
                continue


def ready(process: subprocess.Popen[str]) -> Mapping[str, Any]:
    """What the command says when everything is there."""
    assert process.stdout is not None
    found: dict[str, Any] = {}
    for line in process.stdout:
        found = json.loads(line)
        if found.get("event") == "ready":
            return found
    raise AssertionError(f"it was never ready: {found}")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Two services, one with a Redis alone; a cache of its own, but for the programs."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "greenfield"
    cache = tmp_path / "cache"
    (cache / "greenfield").mkdir(parents=True, mode=0o700)
    for each in usual.iterdir():
        if each.name not in ("backing", "ports.json", "ports.lock"):
            (cache / "greenfield" / each.name).symlink_to(each)
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "greenfield.yaml").write_text(DECLARATION)
    (tmp_path / "desk" / "tables.py").write_text(TABLES)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    found = Desk(Platform(tmp_path / "desk", environment={"XDG_CACHE_HOME": str(cache), "PATH": path}), cache)
    yield found
    for process in found.started:
        process.communicate(timeout=60)
    wait_for("nothing to be left", lambda: not found.alive())


def test_a_command_gets_the_wiring_and_passes_its_exit_code_on(desk: Desk) -> None:
    """Each time with a store that is empty, since nothing stays."""
    for _ in range(2):
        done = desk.platform.run("backing", "clerk", "--", sys.executable, "-c", f"{COUNT}; exit(7)")
        assert (done.returncode, done.stdout) == (7, "1\n"), done.stderr
        assert desk.kept() == []
    assert not (desk.platform.folder / ".greenfield").exists()


def test_without_a_command_it_lasts_until_stdin_ends(desk: Desk) -> None:
    """The wiring is on stdout; a service has its own identity, and an address of whom it calls."""
    lent = desk.lend("clerk")
    found = ready(lent)
    assert (found["name"], found["service"]) == ("desk", "clerk")
    assert found["variables"]["BOSS_URL"].startswith("http://127.0.0.1:")
    assert not {"PORT", "HOME"} & found["variables"].keys()
    certificate = found["variables"]["MEMORY_TLS_CERT"]
    subject = subprocess.run(
        ["openssl", "x509", "-in", certificate, "-noout", "-ext", "subjectAltName"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "URI:spiffe://cluster.local/ns/desk/sa/clerk" in subject
    lent.communicate(timeout=60)
    assert lent.returncode == 0
    assert desk.kept() == []


def test_a_reader_finds_the_tables_of_their_owner_and_may_only_read(desk: Desk) -> None:
    """Migrations have run, the owner's too; and the grants are the service's own."""
    done = desk.platform.run("backing", "auditor", "--", sys.executable, "-c", TRIES)
    assert (done.returncode, done.stdout) == (1, "0\n"), done.stderr
    assert "permission denied for table file" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it(desk: Desk, number: signal.Signals) -> None:
    """As the end of stdin does, and it is told apart."""
    lent = desk.lend("clerk")
    ready(lent)
    lent.send_signal(number)
    assert lent.wait(60) == 130
    assert desk.kept() == []


def test_a_command_is_asked_to_end_and_waited_for(desk: Desk) -> None:
    """It may need what it was lent until then."""
    program = "import signal, sys; signal.signal(15, lambda *_: sys.exit(5)); print('here', flush=True); signal.pause()"
    lent = desk.platform.start("backing", "clerk", "--", sys.executable, "-c", program)
    assert lent.stdout is not None
    assert lent.stdout.readline() == "here\n"
    lent.send_signal(signal.SIGTERM)
    lent.communicate(timeout=60)
    assert lent.returncode == 5
    assert desk.kept() == []


def test_several_stand_side_by_side(desk: Desk) -> None:
    """Of the same service: other ports, other data."""
    first, second = desk.lend("clerk"), desk.lend("clerk")
    urls = {ready(each)["variables"]["MEMORY_URL"] for each in (first, second)}
    assert len(urls) == 2
    for url in urls:
        done = subprocess.run(
            [sys.executable, "-c", COUNT],
            env={"MEMORY_URL": url, "MEMORY_PREFIX": "clerk:"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "1\n"


def test_killed_outright_it_takes_everything_along(desk: Desk) -> None:
    """What it ran ends by itself; the folder goes with the next one."""
    lent = desk.lend("clerk")
    ready(lent)
    assert desk.alive()
    kill(lent.pid)
    wait_for("everything to end", lambda: not desk.alive())
    (left,) = desk.kept()
    desk.platform.ok("backing", "clerk", "--", "true")
    assert not left.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("clark",), "did you mean 'clerk'?"),
        ((), "name one of auditor, boss, clerk"),
        (("clerk", "--env", "x"), "no environment"),
    ],
)
def test_a_service_that_is_not_there_is_an_error(
    arguments: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is made."""
    (tmp_path / "greenfield.yaml").write_text(DECLARATION)
    assert run(["backing", *arguments, "-f", str(tmp_path / "greenfield.yaml")]) == 2
    assert words in capsys.readouterr().err


def test_a_command_that_is_not_there_is_an_error(desk: Desk) -> None:
    """As a shell says it."""
    done = desk.platform.run("backing", "clerk", "--", "no-such-program")
    assert done.returncode == 127
    assert "no-such-program cannot be run" in done.stderr
    assert desk.kept() == []
