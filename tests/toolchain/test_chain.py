"""Where a tool comes from, and what bad luck on the way does."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from greenfield.errors import ToolError
from greenfield.model.tool import Debian, Maven, Tool, VersionRule, Wheel
from greenfield.toolchain.cache import CacheError
from greenfield.toolchain.chain import Toolchain, default_cache
from greenfield.toolchain.lock import Lock
from greenfield.toolchain.progress import Silent
from greenfield.toolchain.sources import Fetchers
from greenfield.toolchain.workshop import Commands, Fetched, Manners, Workshop
from toolchain import fake_registry
from toolchain.fake_registry import LANTERN, FolderRegistry, left_in_staging

RULE = VersionRule("lantern", (), r"lit ([0-9.]+)", at_least="2", below="3")
ON_PATH = Tool(name="lantern", sources=LANTERN.sources, programs=("lantern", "wick"), version=RULE)


@pytest.fixture
def registry(tmp_path: Path) -> FolderRegistry:
    """A registry that has the lantern."""
    registry = FolderRegistry(tmp_path / "registry")
    registry.publish("lantern")
    return registry


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """An empty cache."""
    return tmp_path / "cache"


def put_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, **says: str) -> None:
    """Programs that each say something, in a folder at the head of PATH."""
    folder.mkdir()
    for name, words in says.items():
        (folder / name).write_text(f"#!/bin/sh\necho {words}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def until(question: Callable[[], bool], seconds: float = 20.0) -> None:
    """Waits until it is so; fails after the deadline."""
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def in_another_process(registry: FolderRegistry, cache: Path, dawdle_s: float) -> subprocess.Popen[bytes]:
    """A process that obtains the lantern."""
    folder = Path(fake_registry.__file__).parent.parent
    return subprocess.Popen(
        [sys.executable, "-m", "toolchain.fake_registry", str(registry.folder), str(cache), str(dawdle_s)], cwd=folder
    )


def test_a_fetched_tool_is_kept(registry: FolderRegistry, cache: Path) -> None:
    """The second time nothing is fetched, and the answer is the same."""
    first = registry.toolchain(cache).obtain([LANTERN])
    second = registry.toolchain(cache).obtain([LANTERN])
    assert first == second
    assert registry.fetches == ["lantern"]
    assert subprocess.check_output([first["lantern"].programs["lantern"]]) == b"lit\n"


def test_a_whole_set_on_path_is_used(
    registry: FolderRegistry, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every program at the right version: nothing is fetched."""
    put_on_path(tmp_path / "bin", monkeypatch, lantern="lit 2.7.1", wick="dry")
    found = registry.toolchain(cache).obtain([ON_PATH])["lantern"]
    assert (found.source, found.version, found.root) == ("PATH", "2.7.1", "")
    assert found.programs["wick"] == str(tmp_path / "bin" / "wick")
    assert registry.fetches == []


@pytest.mark.parametrize(
    ("programs", "reason"),
    [
        ({"lantern": "lit 1.9", "wick": "dry"}, "is 1.9, older than 2"),
        ({"lantern": "lit 3.0", "wick": "dry"}, "is 3.0; below 3 is needed"),
        ({"lantern": "lit 2.1"}, "only part of the set is on PATH: lantern without wick"),
        ({"lantern": "dark", "wick": "dry"}, "names no version"),
        ({}, "lantern, wick are not on PATH"),
    ],
)
def test_programs_on_path_that_do_not_fit_are_passed_over(
    programs: dict[str, str],
    reason: str,
    registry: FolderRegistry,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wrong version or half a set is passed over, and the finding says why."""
    put_on_path(tmp_path / "bin", monkeypatch, **programs)
    finding = registry.toolchain(cache).find([ON_PATH])["lantern"]
    assert finding.installation is None
    assert reason in finding.refusals[0]
    assert registry.toolchain(cache).obtain([ON_PATH])["lantern"].source == "wheel lantern 1.0"
    later = registry.toolchain(cache).find([ON_PATH])["lantern"]
    assert later.installation is not None
    assert (reason in later.passed_over) is bool(programs)  # what is there and not used is told from then on, too


def test_programs_that_are_never_taken_from_path_are_told_where_there_are_some(
    registry: FolderRegistry, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of whatever version they are; they are not even asked."""
    tool = dataclasses.replace(LANTERN, programs=("lantern", "wick"), never_from_path="ours is brighter")
    assert registry.toolchain(cache).find([tool])["lantern"].passed_over == ""
    put_on_path(tmp_path / "bin", monkeypatch, lantern="lit 2.1")
    found = registry.toolchain(cache).find([tool])["lantern"]
    assert found.passed_over == f"{tmp_path}/bin/lantern is never used: ours is brighter"
    assert registry.toolchain(cache).obtain([tool])["lantern"].source == "wheel lantern 1.0"


def test_what_runs_a_tool_is_there_with_it_and_only_then(
    registry: FolderRegistry, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jars come with a Java; the same program as PATH has it needs none."""

    def jars(source: Maven, workshop: Workshop) -> Fetched:
        (workshop.tree / "libs").mkdir()
        return Fetched("1.0", {})

    tool = Tool("opera", (Maven(("a:opera:1.0",), needs=(LANTERN,)),), ("opera",), VersionRule("opera", (), r"(\d.*)"))
    toolchain = Toolchain(cache, Silent(), lock=Lock(), fetchers=Fetchers({Wheel: registry.fetch, Maven: jars}))
    assert set(toolchain.find([tool])) == {"opera", "lantern"}
    assert toolchain.obtain([tool])["lantern"].programs["lantern"].endswith("bin/lantern")
    put_on_path(tmp_path / "bin", monkeypatch, opera="1.1")
    assert {name: found.source for name, found in toolchain.obtain([tool]).items()} == {"opera": "PATH"}
    assert set(toolchain.find([tool])) == {"opera"}


def test_a_set_scattered_over_path_is_ignored(
    registry: FolderRegistry, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs of two folders may be of two versions."""
    put_on_path(tmp_path / "one", monkeypatch, lantern="lit 2.1")
    put_on_path(tmp_path / "two", monkeypatch, wick="dry")
    assert "scattered" in registry.toolchain(cache).find([ON_PATH])["lantern"].refusals[0]


def test_the_next_source_is_asked_when_one_fails(registry: FolderRegistry, cache: Path) -> None:
    """The registry lacks the first package; the second one is taken."""
    tool = Tool(name="lantern", sources=(Wheel("torch", "1.0", {"lantern": "bin/torch"}), *LANTERN.sources))
    assert registry.toolchain(cache).obtain([tool])["lantern"].source == "wheel lantern 1.0"


def test_every_attempt_is_told_when_all_fail(cache: Path, tmp_path: Path) -> None:
    """PATH and each source, with the reason, and a hint."""

    def fail(source: object, workshop: Workshop) -> Fetched:
        raise ToolError(f"{type(source).__name__} is shut")

    tool = Tool("lantern", (Wheel("lantern", "1"), Debian(("lantern",)), Maven(("a:b:1",))), ("lantern",), RULE)
    fetchers = Fetchers(dict.fromkeys((Wheel, Debian, Maven), fail))
    with pytest.raises(ToolError) as raised:
        Toolchain(cache, Silent(), lock=Lock(), fetchers=fetchers).obtain([tool])
    assert raised.value.message.splitlines() == [
        "lantern cannot be had:",
        "  - PATH: lantern is not on PATH",
        "  - wheel lantern 1: Wheel is shut",
        "  - Debian lantern: Debian is shut",
        "  - Maven a:b:1: Maven is shut",
    ]
    assert "lantern at least 2 and below 3" in raised.value.hint
    assert left_in_staging(cache) == []


def test_all_tools_that_fail_are_told_at_once(registry: FolderRegistry, cache: Path) -> None:
    """Two that the registry lacks: both are named."""
    tools = [Tool(name=name, sources=(Wheel(name, "1"),)) for name in ("torch", "candle")]
    with pytest.raises(ToolError, match=r"(?s)torch cannot be had.*candle cannot be had"):
        registry.toolchain(cache).obtain([*tools, LANTERN])


def test_another_digest_than_the_locked_one_is_refused(registry: FolderRegistry, cache: Path) -> None:
    """A download that came short or was changed leaves nothing behind; the right one is then fetched."""
    lock = Lock({"wheel:lantern==1.0": registry.publish("lantern")})
    registry.publish("lantern", "#!/bin/sh\nec")
    with pytest.raises(ToolError, match="refused: its digest is sha256:"):
        registry.toolchain(cache, lock).obtain([LANTERN])
    assert left_in_staging(cache) == []
    assert list((cache / "tools").glob("*")) == []
    registry.publish("lantern")
    assert registry.toolchain(cache, lock).obtain([LANTERN])["lantern"].version == "1.0"


def test_what_the_lock_does_not_know_is_held_to_its_first_fetch(registry: FolderRegistry, cache: Path) -> None:
    """The digest is recorded; the same version with other bytes is refused later."""
    root = Path(registry.toolchain(cache).obtain([LANTERN])["lantern"].root)
    (root / "bin" / "lantern").unlink()
    registry.publish("lantern", "#!/bin/sh\necho burgled\n")
    with pytest.raises(ToolError, match="was recorded"):
        registry.toolchain(cache).obtain([LANTERN])


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "sh failed: No space left on device"),
        (1, "sh failed: x.go:7:2: undefined: lamp"),
        (2, "sh was ended by SIGKILL"),
    ],
)
def test_a_client_that_fails_is_told_in_its_own_words(cache: Path, number: int, said: str) -> None:
    """The line that names the fault; a full disk by name, however the program writes it; the signal that ended it."""
    script = (
        "echo 'write /x: No space left on device' >&2; exit 1",
        "echo '# lantern\nx.go:7:2: undefined: lamp' >&2; exit 1",
        "kill -9 $$",
    )
    with pytest.raises(ToolError) as raised:
        Commands(threading.Event(), lambda: None).run(("sh", "-c", script[number]), Path("/"), {}, Manners())
    assert raised.value.message == said


def test_a_compiler_without_space_ends_the_search(cache: Path) -> None:
    """Go writes it small; no other source would do better."""

    def build(source: Wheel, workshop: Workshop) -> Fetched:
        workshop.run("sh", "-c", "echo 'write /x: no space left on device' >&2; exit 1")
        raise AssertionError

    tool = Tool(name="lantern", sources=(Wheel("lantern", "1"), Wheel("torch", "1")))
    with pytest.raises(CacheError, match="no space left"):
        Toolchain(cache, Silent(), lock=Lock(), fetchers=Fetchers({Wheel: build})).obtain([tool])
    assert left_in_staging(cache) == []


def test_a_client_dies_with_who_waits_for_it(tmp_path: Path) -> None:
    """kill -9 of the fetching process leaves nothing that still builds."""
    words = "import pathlib, threading; from greenfield.toolchain.workshop import Commands, Manners; "
    words += "Commands(threading.Event(), lambda: None).run("
    words += "('sh', '-c', 'echo $$ > pid; exec sleep 60'), pathlib.Path('.'), {}, Manners())"
    waiting = subprocess.Popen([sys.executable, "-c", words], cwd=tmp_path)
    until(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text().strip()))
    pid = int((tmp_path / "pid").read_text())
    waiting.kill()
    waiting.wait()
    until(lambda: not alive(pid))


def alive(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("damage", ["cut", "gone", "manifest", "garbled manifest", "rewritten"])
def test_a_damaged_cache_is_noticed_and_fetched_again(registry: FolderRegistry, cache: Path, damage: str) -> None:
    """A program cut short, missing, rewritten, or a manifest that is gone or garbled."""
    program = Path(registry.toolchain(cache).obtain([LANTERN])["lantern"].programs["lantern"])
    manifest = program.parents[2] / "manifest.json"
    match damage:
        case "cut":
            os.truncate(program, 3)
        case "gone":
            program.unlink()
        case "manifest":
            manifest.unlink()
        case "garbled manifest":
            manifest.write_text("{")
        case "rewritten":
            os.utime(program, (0, 0))
    finding = registry.toolchain(cache).find([LANTERN])["lantern"]
    assert finding.installation is None
    assert finding.refusals[0].startswith("cache: ")
    registry.toolchain(cache).obtain([LANTERN])
    assert program.read_text() == "#!/bin/sh\necho lit\n"
    assert left_in_staging(cache) == []


def test_a_source_without_its_promised_program_is_refused(registry: FolderRegistry, cache: Path) -> None:
    """It is said which file was expected; nothing is kept."""
    tool = Tool(name="lantern", sources=(Wheel("lantern", "1.0", {"lantern": "sbin/lantern"}),))
    with pytest.raises(ToolError, match="no sbin/lantern, where the program lantern should be"):
        registry.toolchain(cache).obtain([tool])
    assert registry.toolchain(cache).find([tool])["lantern"].installation is None


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "no space left"), (errno.EDQUOT, "no space left"), (errno.EROFS, "written")]
)
def test_a_cache_that_cannot_be_written_is_told_once(cache: Path, number: int, words: str) -> None:
    """A full disk or a read-only one: no other source is asked, and what was fetched in part is gone."""
    asked: list[str] = []

    def fill(source: Wheel, workshop: Workshop) -> Fetched:
        asked.append(source.package)
        (workshop.tree / "half").write_bytes(b"\0" * 4096)
        raise OSError(number, os.strerror(number), str(workshop.tree / "half"))

    tool = Tool(name="lantern", sources=(Wheel("lantern", "1"), Wheel("torch", "1")))
    with pytest.raises(CacheError, match=words) as raised:
        Toolchain(cache, Silent(), lock=Lock(), fetchers=Fetchers({Wheel: fill})).obtain([tool])
    assert "XDG_CACHE_HOME" in raised.value.hint
    assert asked == ["lantern"]
    assert left_in_staging(cache) == []


def test_a_fetch_that_was_killed_is_done_anew(registry: FolderRegistry, cache: Path) -> None:
    """kill -9 midway: its lock is free, its remains are swept, nothing half is used."""
    process = in_another_process(registry, cache, dawdle_s=60)
    until(lambda: any((cache / "staging").glob("*/tree/bin/lantern")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(left_in_staging(cache)) == 1
    found = registry.toolchain(cache).obtain([LANTERN])["lantern"]
    assert subprocess.check_output([found.programs["lantern"]]) == b"lit\n"
    assert left_in_staging(cache) == []


def test_two_processes_fetch_a_tool_once(registry: FolderRegistry, cache: Path) -> None:
    """The second waits for the first and takes what it brought."""
    processes = [in_another_process(registry, cache, dawdle_s=0.3) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert registry.fetches == ["lantern"]


def test_a_changed_lock_is_another_folder(registry: FolderRegistry, cache: Path) -> None:
    """A new release of ours never takes what an older one trusted."""
    before = registry.toolchain(cache).obtain([LANTERN])["lantern"]
    lock = Lock({"wheel:lantern==1.0": registry.publish("lantern")})
    assert registry.toolchain(cache, lock).obtain([LANTERN])["lantern"].root != before.root


def test_a_toolchain_that_learns_takes_and_tells_every_digest(registry: FolderRegistry, cache: Path) -> None:
    """What a lock is written from."""
    toolchain = Toolchain(cache, Silent(), lock=Lock(), fetchers=Fetchers({Wheel: registry.fetch}), learn=True)
    toolchain.obtain([LANTERN])
    assert toolchain.learnt == Lock({"wheel:lantern==1.0": registry.publish("lantern")})


def test_everybody_may_read_a_cached_tool(registry: FolderRegistry, cache: Path) -> None:
    """Programs that refuse root run as another id, whatever our umask is."""
    before = os.umask(0o077)
    try:
        root = Path(registry.toolchain(cache).obtain([LANTERN])["lantern"].root)
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (root, root.parent, root / "bin")] == [0o755] * 3
    assert (root / "bin" / "lantern").stat().st_mode & 0o777 == 0o755


def test_the_cache_follows_the_environment() -> None:
    """XDG_CACHE_HOME, else the home folder."""
    assert default_cache({"XDG_CACHE_HOME": "/elsewhere"}) == Path("/elsewhere/greenfield")
    assert default_cache({}) == Path.home() / ".cache" / "greenfield"
