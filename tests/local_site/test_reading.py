"""Logs of several processes, read as one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from greenfield.targets.local.reading import chosen, follow, last_lines, names, time_of, zone_of_programs

MOMENT = 1795495786.5  # 2026-11-24T04:49:46.5Z


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-24T04:49:46.500Z started",
        "2026-11-24 04:49:46.500 UTC [12] LOG:  started",
        "[2026-11-24 05:49:46,500+01:00] INFO started",
        '{"level": "info", "time": "2026-11-23T23:49:46.5-05:00", "msg": "started"}',
    ],
)
def test_times_are_read_in_the_forms_of_real_programs(line: str) -> None:
    """With their zones."""
    assert time_of(line) == MOMENT


def test_a_time_without_a_zone_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Kafka, Envoy, MariaDB and Redis write it; all forms agree."""
    assert time_of("[2026-11-24 04:49:46.500][7][info] started") == time_of("7:M 24 Nov 2026 04:49:46.500 * started")
    assert time_of("2026-11-24  4:49:46 0 [Note] started") == time_of("[2026-11-24 04:49:46.000][7][info] started")


def test_a_time_without_a_zone_is_of_the_one_that_is_named() -> None:
    """As the platform's programs write it, whoever reads it."""
    tokyo = dt.timezone(dt.timedelta(hours=9))
    for line in ("2026-11-24  4:49:46 0 [Note] started", "7:M 24 Nov 2026 04:49:46.000 * started"):
        assert time_of(line, tokyo) == time_of("2026-11-23T19:49:46Z")
    assert time_of("2026-11-24T04:49:46Z", tokyo) == time_of("2026-11-24T04:49:46Z")


def test_the_platforms_programs_tell_the_machines_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the caller's own zone is."""
    told = dt.datetime(2026, 11, 24, tzinfo=zone_of_programs())
    before = told.utcoffset()
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    assert dt.datetime(2026, 11, 24, tzinfo=zone_of_programs()).utcoffset() == before


@pytest.mark.parametrize("line", ["", "no time", "2026-13-99 99:99:99 is none", "99 Xxx 2026 04:49:46.500"])
def test_what_is_no_time_is_none(line: str) -> None:
    """Nothing is guessed."""
    assert time_of(line) is None


@pytest.mark.parametrize(
    ("wanted", "logs"),
    [
        ("kafka", ["kafka-0", "kafka-1"]),
        ("catalog", ["catalog-0", "catalog-0-sidecar"]),
        ("catalog-0", ["catalog-0"]),
        ("kafka-zookeeper", ["kafka-zookeeper-0"]),
        ("kafka-topics", ["kafka-topics"]),
        ("nothing", []),
    ],
)
def test_a_name_stands_for_a_process_or_for_all_of_a_resource(wanted: str, logs: list[str]) -> None:
    """And never for a neighbour whose name begins alike."""
    known = ["catalog-0", "catalog-0-sidecar", "kafka-0", "kafka-1", "kafka-topics", "kafka-zookeeper-0", "catalogue-0"]
    assert chosen(wanted, known) == logs


def test_lines_are_merged_by_time_and_stay_together(tmp_path: Path) -> None:
    """A line without a time belongs to the one before it."""
    (tmp_path / "a.log").write_text("2026-11-24T04:00:01Z a1\n  trace\n2026-11-24T04:00:03Z a3\n")
    (tmp_path / "b.log").write_text("2026-11-24T04:00:02Z b2\n")
    merged = [line.text.split("Z ")[-1] for line in last_lines(tmp_path, names(tmp_path), None)]
    assert merged == ["a1", "  trace", "b2", "a3"]


@pytest.mark.parametrize(("count", "texts"), [(2, ["3", "4"]), (4, ["1", "2", "3", "4"]), (9, list("01234")), (0, [])])
def test_a_tail_reaches_back_into_what_was_rotated(tmp_path: Path, count: int, texts: list[str]) -> None:
    """The kept file holds the older lines."""
    (tmp_path / "a.log.1").write_text("0\n1\n2\n")
    (tmp_path / "a.log").write_text("3\n4\n")
    assert [line.text for line in last_lines(tmp_path, ["a"], count)] == texts


def test_a_tail_of_a_large_log_is_exact(tmp_path: Path) -> None:
    """However many blocks it takes."""
    (tmp_path / "a.log").write_text("".join(f"{i:0200}\n" for i in range(5000)))
    assert [int(line.text) for line in last_lines(tmp_path, ["a"], 3000)] == list(range(2000, 5000))


def test_following_hears_new_lines_new_logs_and_a_fresh_start(tmp_path: Path) -> None:
    """A line is told when it is whole; a log that was rotated is read from its beginning."""
    (tmp_path / "a.log").write_text("old\n")
    script: Iterator[Callable[[], object]] = iter(
        [
            lambda: append(tmp_path / "a.log", "half"),
            lambda: append(tmp_path / "a.log", " and half\n"),
            lambda: append(tmp_path / "b.log", "new log\n"),
            lambda: (tmp_path / "a.log").write_text("new\n"),
        ]
    )

    def wait(_: float) -> None:
        act = next(script, None)
        if act is None:
            raise KeyboardInterrupt
        act()

    heard: list[tuple[str, str]] = []
    with pytest.raises(KeyboardInterrupt):
        heard.extend(iter_until(tmp_path, wait, heard))
    assert heard == [("a", "half and half"), ("b", "new log"), ("a", "new")]


def iter_until(folder: Path, wait: object, heard: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Collects into ``heard`` until the wait ends it."""
    for line in follow(folder, lambda: names(folder), wait):  # type: ignore[arg-type]
        heard.append(line)
    return []


def append(path: Path, text: str) -> None:
    """Writes at the end of a file."""
    with path.open("a") as file:
        file.write(text)
