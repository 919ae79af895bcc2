"""Members that come, go and fall, brokers and databases that are away: nothing is lost, nothing done twice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kit.consuming.stage import Gate, Stage, in_order, tasks
from support.platform import wait_for

pytestmark = pytest.mark.e2e

TOPICS = ("joined", "fallen", "drained", "hung", "outage", "broken", "large", "cut")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """All servers."""
    running = Stage(tmp_path_factory.mktemp("members"), TOPICS)
    try:
        yield running
    finally:
        running.close()


def members(stage: Stage, topic: str) -> set[str]:
    """Who has done something."""
    return {member for _, _, member in stage.effects(topic)}


def numbers(stage: Stage, topic: str) -> list[int]:
    """Of all effects."""
    return sorted(n for _, n, _ in stage.effects(topic))


class Coming:
    """Messages that keep coming in 16 keys until something is so, so that nobody runs out of work before."""

    def __init__(self, stage: Stage, topic: str) -> None:
        self.stage, self.topic, self.sent = stage, topic, 0

    def until(self, what: str, question: Callable[[], bool]) -> None:
        """Fails where it does not become so."""

        def asked() -> bool:
            if question():
                return True
            numbers = range(self.sent, self.sent + 32)
            values = [{"key": f"k{n % 16}".encode(), "value": {"n": n, "seconds": 0.02}} for n in numbers]
            self.stage.produce(self.topic, values)
            self.sent += len(values)
            return False

        wait_for(what, asked, 120)

    def all_are_done_once(self) -> None:
        """In the order of their keys."""
        self.stage.wait_for_effects(self.topic, self.sent, 120)
        self.stage.wait_until_committed(self.topic)
        assert numbers(self.stage, self.topic) == list(range(self.sent))
        assert in_order(self.stage.effects(self.topic))


def test_members_that_join_and_leave_repeat_nothing(stage: Stage) -> None:
    """Though there is no inbox: what is under way ends and is committed before another begins."""
    coming = Coming(stage, "joined")
    first = stage.work("joined", member="first", inbox="no")
    coming.until("the first to work", lambda: "first" in members(stage, "joined"))
    second = stage.work("joined", member="second", inbox="no")
    coming.until("the second to work", lambda: "second" in members(stage, "joined"))
    first.send_signal(signal.SIGTERM)
    coming.until("the first to leave", lambda: first.poll() is not None)
    third = stage.work("joined", member="third", inbox="no")
    coming.until("the third to work", lambda: "third" in members(stage, "joined"))
    second.send_signal(signal.SIGTERM)
    coming.until("the second to leave", lambda: second.poll() is not None)
    coming.all_are_done_once()
    third.send_signal(signal.SIGTERM)
    assert [first.wait(1), second.wait(1), third.wait(30)] == [0, 0, 0]


def test_a_member_that_is_killed_is_followed_by_another(stage: Stage) -> None:
    """With an inbox nothing is done twice, whatever it had not committed."""
    coming = Coming(stage, "fallen")
    first = stage.work("fallen", member="first")
    stage.work("fallen", member="second")
    coming.until("both to work", lambda: members(stage, "fallen") == {"first", "second"})
    first.kill()
    first.wait(10)
    coming.all_are_done_once()


def test_sigterm_ends_what_is_under_way_and_forgets_the_rest(stage: Stage) -> None:
    """In order, soon, and with nothing that comes again: there is no inbox."""
    stage.produce("drained", tasks(8, 5, every={"seconds": 0.7}))
    first = stage.work("drained", member="first", inbox="no")
    stage.wait_for_effects("drained", 2)
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    done = len(stage.effects("drained"))
    assert done < 40
    assert stage.left("drained") == 40 - done
    assert stage.lines("drained", "ended in order")
    stage.work("drained", member="second", inbox="no")
    stage.wait_for_effects("drained", 40)
    stage.wait_until_committed("drained")
    assert numbers(stage, "drained") == list(range(40))


def test_a_handler_that_hangs_is_ended_and_tried_again(stage: Stage) -> None:
    """Its transaction is rolled back, and its key waits for nobody for ever."""
    stage.produce("hung", tasks(3, 3, hangs=2))
    stage.work("hung", attempt=1)
    stage.wait_for_effects("hung", 9)
    stage.wait_until_committed("hung")
    assert numbers(stage, "hung") == list(range(9))
    assert in_order(stage.effects("hung"))
    assert stage.letters("hung") == []


def test_a_database_that_is_away_costs_no_message(stage: Stage) -> None:
    """For longer than all tries: none becomes a dead letter, the lag shows it, and all is done once it is back."""
    host, port = stage.stores.site.ports["pg-0/client"]
    gate = Gate(host, port)
    url = stage.environment("outage")["LEDGER_URL"].replace(f":{port}/", f":{gate.port}/")
    stage.produce("outage", tasks(4, 25))
    worker = stage.work("outage", tries=1, LEDGER_URL=url)
    try:
        stage.wait_for_effects("outage", 100)
        gate.shut()
        stage.produce("outage", [{**each, "headers": None} for each in tasks(4, 25)])
        waits = "message waits for what is away"
        wait_for("many tries", lambda: len(stage.lines("outage", waits)) > 40, 60)

        def lag() -> float:
            worker.send_signal(signal.SIGUSR1)
            told = stage.lines("outage", "lag")
            return float(told[-1]["lag"]) if told else 0.0

        wait_for("the lag to show", lambda: lag() == 100, 30)
        gate.open()
        stage.wait_for_effects("outage", 200)
        stage.wait_until_committed("outage")
        wait_for("the lag to go", lambda: lag() == 0, 30)
        assert len(stage.effects("outage")) == 200
        assert stage.letters("outage") == []
    finally:
        gate.close()


def test_a_broker_that_falls_is_waited_for(stage: Stage) -> None:
    """Under way, and with dead letters to be kept: it is back by the supervisor, and all is done once."""
    wanted = tasks(8, 40, every={"seconds": 0.05})
    for each in wanted[::20]:
        each["value"]["rejected"] = True
    stage.produce("broken", wanted)
    worker = stage.work("broken")
    stage.wait_for_effects("broken", 20)
    os.kill(stage.stores.rig.pid("kafka-0"), signal.SIGKILL)
    stage.wait_for_effects("broken", 304, 120)
    stage.wait_until_committed("broken", 60)
    assert worker.poll() is None
    assert len(stage.effects("broken")) == 304
    assert in_order(stage.effects("broken"))
    assert len(stage.letters("broken")) == 16


def test_a_member_leaves_though_the_broker_does_not_answer(stage: Stage) -> None:
    """Within the time that a service has to stop, with what nobody has confirmed; that comes again, and is known."""
    stage.produce("cut", tasks(4, 10, every={"seconds": 0.2}))
    worker = stage.work("cut")
    stage.wait_for_effects("cut", 4)
    broker = stage.stores.rig.pid("kafka-0")
    os.kill(broker, signal.SIGSTOP)
    try:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
        assert stage.lines("cut", "left without the broker's answer")
    finally:
        os.kill(broker, signal.SIGCONT)
    stage.work("cut")
    stage.wait_for_effects("cut", 40, 120)
    stage.wait_until_committed("cut", 60)
    assert numbers(stage, "cut") == list(range(40))


def test_a_backlog_of_large_messages_takes_little_memory(stage: Stage) -> None:
    """A partition with more than it may hold is not read further, and is again when there is room."""
    filling = "x" * 900_000
    wanted = [{"key": b"k", "value": {"n": n, "filling": filling, "seconds": 0.01}} for n in range(120)]
    wanted[0]["value"] |= {"hangs": 1}  # type: ignore[operator]
    stage.produce("large", wanted)
    worker = stage.work("large", attempt=8)
    wait_for("the hanging one", lambda: stage.lines("large", "message waits for what is away"), 60)
    print("peak MiB:", peak_mib(worker))
    assert peak_mib(worker) < 200, "120 messages of 900 kB are 108 MB, and twice that if all were held"
    stage.wait_for_effects("large", 120)
    stage.wait_until_committed("large")
    assert numbers(stage, "large") == list(range(120))
    assert in_order(stage.effects("large"))


def peak_mib(process: subprocess.Popen[bytes]) -> int:
    """The most memory that it ever took."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
    assert found
    return int(found[1]) // 1024
