"""The Core Rule Set's own tests, through our nginx and our configuration, each at the paranoia level that it wants."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.guarded import LOG, behind_firewall, port, trust, written
from support.platform import Platform, wait_for
from support.rule_tests import UNEXPLAINED, Log, Trial, cause, fetched, holds, level_of, levels, logged, sent, trials

pytestmark = pytest.mark.e2e

CASES = Path(__file__).parents[1] / "cases" / "firewall"
RECORD, EXPLAINED = CASES / "rule_tests.yaml", CASES / "explained.yaml"
SAMPLE = {911100, 913100, 921110, 930120, 931100, 932230, 933100, 934100, 941100, 942100, 943100, 944100}
"""Rules of each of the files that look at requests, all of the first paranoia level."""
NAME = "localhost"  # the host that nearly all tests ask for
LAST = f"GET /?last=../../../../etc/passwd HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode()

Failures = Mapping[str, str]
"""Of the tests that failed, by name, why."""


@pytest.fixture(scope="module")
def explained() -> Failures:
    """What was looked into by hand."""
    return {name: why for why, names in yaml.safe_load(EXPLAINED.read_text()).items() for name in names}


@pytest.fixture(scope="module")
def record() -> Mapping[str, Any]:
    """How many tests there are of each file, and which failed why."""
    return dict(yaml.safe_load(RECORD.read_text()))


@pytest.fixture(scope="module")
def by_level() -> Mapping[int, list[Trial]]:
    """Every test of the rule set, by the paranoia level that it wants."""
    tests, rules = fetched()
    known, found = levels(rules), defaultdict(list)
    for trial in trials(tests):
        found[level_of(trial, known)].append(trial)
    return found


def failures(platform: Platform, these: Iterable[Trial], explained: Failures) -> Iterator[tuple[str, str]]:
    """The tests that fail, each with its reason. A few at a time, so that the log is never rotated meanwhile."""
    by_rule = defaultdict(list)
    for trial in these:
        by_rule[trial.rule].append(trial)
    at, trusted = port(platform), trust(platform)
    for few in by_rule.values():
        os.truncate(platform.home / "logs" / LOG, 0)
        seen = {trial.name: sent(trial.request, at, trusted, NAME) for trial in few}
        logs = wait_for("the last line", partial(until, platform, sent(LAST, at, trusted, NAME).identity))
        for trial in few:
            outcome = seen[trial.name]
            log = logs.get(outcome.identity, Log())
            if not holds(trial, outcome, log):
                yield trial.name, explained.get(trial.name) or cause(trial, outcome, log)


def until(platform: Platform, last: str) -> Mapping[str, Log]:
    """What was written down, by the id of the request; nothing until the last one is there."""
    found = {each["unique_id"]: logged(each) for each in written(platform)}
    return found if last in found else {}


def test_a_sample_of_the_rule_sets_own_tests_ends_as_recorded(
    tmp_path: Path, by_level: Mapping[int, list[Trial]], explained: Failures, record: Mapping[str, Any]
) -> None:
    """A rule of each file that looks at requests; what is not caught here was not caught before, and why not."""
    these = [trial for trial in by_level[1] if trial.rule in SAMPLE]
    assert {trial.rule for trial in these} == SAMPLE
    with behind_firewall(tmp_path / "guarded", {"mode": "detect"}) as platform:
        found = dict(failures(platform, these, explained))
    names = {trial.name for trial in these}
    assert found == {name: why for name, why in known(record) if name in names}


def known(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The failures that are recorded."""
    for each in record.values():
        for why, names in each["failed"].items():
            yield from ((name, why) for name in names)


@pytest.mark.soak
def test_all_of_the_rule_sets_own_tests_end_as_recorded(
    tmp_path: Path, by_level: Mapping[int, list[Trial]], explained: Failures
) -> None:
    """Every failure has a reason, and none is new. ``GREENFIELD_REWRITE_CASES=1`` records them anew."""
    found: dict[str, str] = {}
    for level, these in sorted(by_level.items()):
        with behind_firewall(tmp_path / f"level-{level}", {"mode": "detect", "paranoia": level}) as platform:
            found |= dict(failures(platform, these, explained))
    told = summary([trial for these in by_level.values() for trial in these], found)
    if "GREENFIELD_REWRITE_CASES" in os.environ:
        RECORD.write_text(yaml.safe_dump(told, width=120))
    assert told == yaml.safe_load(RECORD.read_text())
    assert [name for name, why in found.items() if why == UNEXPLAINED] == []
    assert set(explained) <= set(found), "what was explained does not fail any more"


def summary(these: Iterable[Trial], found: Failures) -> dict[str, Any]:
    """As it is recorded: by file the tests, and the names of those that failed by reason."""
    counted = Counter(trial.file for trial in these)
    told: dict[str, Any] = {file: {"tests": count, "failed": {}} for file, count in sorted(counted.items())}
    for trial in these:
        if why := found.get(trial.name):
            told[trial.file]["failed"].setdefault(why, []).append(trial.name)
    return told
