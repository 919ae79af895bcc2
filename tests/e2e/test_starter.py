"""What ``init`` writes, taken at its word: it runs, is proved, passes its own tests, and becomes objects."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from greenfield.cli.main import run
from support.pages import ROOT
from support.platform import GREENFIELD, Platform, tagged, wait_for

pytestmark = pytest.mark.e2e


def started(folder: Path) -> Platform:
    """The files, without telemetry, whose building is another test's."""
    assert run(["init", str(folder)]) == 0
    platform = Platform(folder)
    platform.edit(lambda data: data.update(telemetry="off"))
    return platform


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform, running."""
    platform = started(tmp_path_factory.mktemp("starter") / "hello")
    try:
        platform.ok("up", "-d", timeout=600)
        yield platform
    finally:
        tag = platform.run_tag
        platform.ok("down", "--volumes", "--yes")
        assert tagged(tag) == {}


def guests(client: httpx.Client) -> dict[str, Any]:
    """The book, as anybody may read it."""
    found: dict[str, Any] = client.get("/").raise_for_status().json()["guests"]
    return found


def test_who_signs_is_welcomed(hello: Platform) -> None:
    """The whole way: gateway, service, database, topic, consumer, cache."""
    with hello.client() as client:
        assert client.put("/guests/Ada").status_code == 201
        wait_for("a welcome", lambda: guests(client)["Ada"] == "Welcome, Ada!")


def test_everything_that_is_declared_is_proved(hello: Platform) -> None:
    """And everything else refused."""
    report = hello.json("verify")
    assert report["ok"]
    allowed = {(each["source"], each["target"]) for each in report["checks"] if each["expected"] == "allowed"}
    assert {("hello", "guests"), ("hello", "cache"), ("hello", "signed"), ("gateway", "hello")} <= allowed


def test_a_new_replica_goes_on_where_the_old_one_was(hello: Platform) -> None:
    """What the old one was told is in what the service uses, so that the new one knows it at once."""
    with hello.client() as client:
        client.put("/guests/Grace").raise_for_status()
        before = hello.pids()["hello-0"]
        hello.ok("restart", "hello")
        assert hello.pids()["hello-0"] != before
        assert "Grace" in guests(client)


def test_a_line_of_the_log_is_an_event_that_names_its_request(hello: Platform) -> None:
    """Written to standard output, and found again by the id that the caller had."""
    with hello.client() as client:
        client.put("/guests/Jean", headers={"x-request-id": "a-request-of-ours"}).raise_for_status()

    def events() -> list[dict[str, Any]]:
        lines = [json.loads(line)["line"] for line in hello.ok("logs", "hello-0", "--format", "json").splitlines()]
        return [json.loads(line) for line in lines if '"signed"' in line and '"Jean"' in line]

    (event,) = wait_for("the line", events)
    assert event["message"] == "signed"
    assert event["request_id"]
    assert event.keys() >= {"time", "level", "logger", "guest"}


def test_a_one_off_process_has_the_wiring_and_the_identity_of_its_service(hello: Platform) -> None:
    """It acts as the service does, and may do no more: not what nobody allowed the service."""
    script = "import os, psycopg; d = psycopg.connect(os.environ['GUESTS_URL']); print(d.execute({!r}).fetchone()[0])"
    assert hello.ok("run", "hello", "--", "python", "-c", script.format("SELECT session_user")) == "hello\n"
    assert hello.run(
        "run", "hello", "--", "python", "-c", script.format("SELECT pg_read_file('/etc/passwd')")
    ).returncode


def test_what_cannot_be_read_is_kept_and_replayed_once_it_can(hello: Platform) -> None:
    """By the commands that the kit's page names, beside the running consumer, with the handler as it is by then."""
    command = ("run", "hello", "--", "python", "-m", "greenfield_kit.dead_letters")
    publishes = "from greenfield_kit.topic import Topic; topic = Topic('signed')"
    publishes += "; asyncio.run(topic.publish('Hedy', b'{}')); asyncio.run(topic.close())"
    hello.ok("run", "hello", "--", "python", "-c", f"import asyncio; {publishes}")
    (letter,) = wait_for("the letter", lambda: lines(hello.ok(*command, "list", "signed", "--format", "json")))
    assert (letter["key"], letter["reason"]) == ("Hedy", "name: Field required")
    again = hello.run(*command, "replay", "signed", "--format", "json")
    assert (again.returncode, [each["outcome"] for each in lines(again.stdout)]) == (1, ["died again"])
    code = hello.folder / "services/hello/hello.py"
    before = code.read_text()
    try:
        code.write_text(before.replace("    name: str\n", '    name: str = "Hedy"\n'))
        assert [each["outcome"] for each in lines(hello.ok(*command, "replay", "signed", "--format", "json"))] == [
            "replayed"
        ]
    finally:
        code.write_text(before)
    assert hello.ok(*command, "list", "signed") == ""


def lines(text: str) -> list[dict[str, Any]]:
    """JSON objects, one a line."""
    return [json.loads(line) for line in text.splitlines()]


def test_its_own_tests_pass_beside_it(hello: Platform) -> None:
    """As its README says, with warnings as errors, by stores of their own: the book of the platform stays as it is."""
    with hello.client() as client:
        before = guests(client)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-W", "error"],
            cwd=hello.folder,
            env={**os.environ, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert " passed" in done.stdout
        assert guests(client) == before


def test_with_an_image_it_renders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An image and a seal are all that Kubernetes wants besides."""
    platform = started(tmp_path / "hello")
    file, out = str(platform.file), str(tmp_path / "cluster")
    assert run(["render", "-f", file, "-o", out]) == 2
    assert "hello has no image" in capsys.readouterr().err
    platform.edit(lambda data: data["services"]["hello"].update(image="registry.example/hello:1.0.0"))
    certificate = ROOT / "examples" / "shop" / "secrets" / "demonstration.crt"
    assert run(["secrets", "seal", "-f", file, "--cert", str(certificate)]) == 0
    assert run(["render", "-f", file, "-o", out]) == 0
    assert list(Path(out).rglob("*deployment*"))


def test_the_readme_has_two_commands_that_are_there(tmp_path: Path) -> None:
    """Both can be typed, and a page of the files is all of them."""
    platform = started(tmp_path / "hello")
    text = (platform.folder / "README.md").read_text()
    commands = [line.split("#")[0].split() for line in text.splitlines() if line.startswith("    ")]
    assert commands == [["greenfield", "up"], ["pytest"]]
    for command in ("greenfield", "pytest"):
        assert shutil.which(command, path=str(Path(GREENFIELD).parent))
