"""What is found on the machine because it is there, whatever the plan says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

from greenfield.assurance.junit import document
from greenfield.assurance.machine import Machine, Port
from greenfield.assurance.verify import Check, prove
from greenfield.model.binding import Binding
from greenfield.model.content import Secret
from greenfield.model.local import Site
from greenfield.targets.local.paths import StatePaths
from greenfield.targets.local.spawn import TAG
from support.engine import free_port

SECRET = "correct-horse-battery-staple"
SERVE = """
import http.server, sys
with http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler) as server:
    print("serving", flush=True)
    server.serve_forever()
"""


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatePaths:
    """A state folder as a run leaves it: a secret, a key, a log, sockets."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    paths = StatePaths(tmp_path)
    for folder in (paths.home, paths.secrets, paths.pki, paths.logs, paths.sockets):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, content in {paths.secrets / "cache.a": SECRET, paths.pki / "a.key": "k", paths.state: "{}"}.items():
        path.write_text(content)
        path.chmod(0o600)
    (paths.logs / "a-0.log").write_text("ready\n")
    return paths


@contextmanager
def serving(port: int, *words: str, **variables: str) -> Iterator[int]:
    """A process of the run ``r`` that serves files at that port; its pid."""
    environment = {**os.environ, TAG: "r:a-0:0:", **variables}
    command = [sys.executable, "-c", SERVE, str(port), *words]
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield process.pid
        finally:
            process.kill()


def checks(
    paths: StatePaths, pid: int = 0, ports: dict[tuple[str, int], Port] | None = None, granted: str = ""
) -> dict[str, Check]:
    """All checks, by name without pid."""
    binding = Binding((Secret("cache.a", "url"),), {})
    site = Site(str(paths.root), "", "", "", "", "", "", bindings={(granted, "cache"): binding} if granted else {})
    found = prove(Machine(paths, site, "r", {pid: "a-0"} if pid else {}, ports or {}).proofs())
    return {check.name.partition(" (pid")[0]: check for check in found}


def test_a_port_that_nobody_claimed_is_found(paths: StatePaths) -> None:
    """By asking the kernel, which knows of all of them."""
    port = free_port()
    with serving(port) as pid:
        check = checks(paths, pid)[f"a-0 listens at 127.0.0.1:{port}"]
    assert check.ok is False
    assert "no part of the platform claimed this port" in check.observed


def test_a_claimed_port_that_answers_anybody_fails(paths: StatePaths) -> None:
    """A server without TLS where nobody said that it may be open."""
    port = free_port()
    with serving(port) as pid:
        check = checks(paths, pid, {("127.0.0.1", port): Port("a", "")})[f"a-0 listens at 127.0.0.1:{port}"]
    assert check.ok is False
    assert "in plaintext a request was answered 200" in check.observed


def test_a_port_that_is_open_for_a_reason_tells_it(paths: StatePaths) -> None:
    """And is expected to be open."""
    port = free_port()
    with serving(port) as pid:
        check = checks(paths, pid, {("127.0.0.1", port): Port("a", "people look here")})[
            f"a-0 listens at 127.0.0.1:{port}"
        ]
    assert (check.expected, check.ok) == ("allowed", True)
    assert "people look here" in check.observed


def test_a_secret_in_arguments_is_found_and_not_repeated(paths: StatePaths) -> None:
    """The report names the secret by its file."""
    with serving(free_port(), SECRET) as pid:
        check = checks(paths, pid)["no secret in the arguments of a-0"]
    assert check.ok is False
    assert "cache.a" in check.observed
    assert SECRET not in str(check.as_json())


def test_a_secret_stands_in_the_environment_of_its_own_service_alone(paths: StatePaths) -> None:
    """Where a kind knows no certificates, the URL holds the password: of that service, in its own process."""
    with serving(free_port(), CACHE_URL=f"rediss://a:{SECRET}@h") as pid:
        assert checks(paths, pid)["no secret in the environment of a-0"].ok is False
        assert checks(paths, pid, granted="b")["no secret in the environment of a-0"].ok is False
        assert checks(paths, pid, granted="a")["no secret in the environment of a-0"].ok


@pytest.mark.parametrize("said", [SECRET, "-----BEGIN PRIVATE KEY-----"])
def test_a_secret_or_a_key_in_a_log_is_found(paths: StatePaths, said: str) -> None:
    """Whoever wrote it there."""
    assert checks(paths)["no secret in a-0.log"].ok
    (paths.logs / "a-0.log").write_text(f"using {said}\n")
    assert checks(paths)["no secret in a-0.log"].ok is False


@pytest.mark.parametrize(
    ("what", "path"), [("secrets", "secrets/cache.a"), ("keys", "pki/a.key"), ("state", "state.json")]
)
def test_a_file_that_others_may_read_is_found(paths: StatePaths, what: str, path: str) -> None:
    """By its mode, though its folder is shut as well."""
    assert checks(paths)[f"only their owner reads {what}"].ok
    (paths.home / path).chmod(0o640)
    assert checks(paths)[f"only their owner reads {what}"].ok is False


def test_a_folder_that_others_may_enter_is_found(paths: StatePaths) -> None:
    """The state's own folder, for one."""
    paths.home.chmod(0o711)
    assert checks(paths)["only its owner enters .greenfield"].ok is False


def test_junit_tells_failed_and_skipped_checks_and_survives_any_character() -> None:
    """A case for each check, a suite for each category, sums that fit."""
    listed = [
        Check("good", "edge", "a", "b", "allowed", "allowed: 200", ok=True, seconds=0.5),
        Check("bad \x00<&>", "edge", "a", "b", "refused", "allowed: \x1b[31m", ok=False, seconds=0.25),
        Check("not here", "telemetry", "a", "b", "allowed", "skipped: no", ok=None, seconds=0.0),
    ]
    root = ElementTree.fromstring(document("shop", listed))
    assert {name: root.get(name) for name in ("tests", "failures", "skipped")} == {
        "tests": "3",
        "failures": "1",
        "skipped": "1",
    }
    assert [suite.get("name") for suite in root] == ["edge", "telemetry"]
    assert [[child.tag for child in case] for case in root.iter("testcase")] == [[], ["failure"], ["skipped"]]
