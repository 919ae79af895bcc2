"""Consuming from a real broker with an inbox in a real database: order, retries, dead letters, poison."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator

import pytest

from greenfield_kit.consumer.subscription import Subscription
from greenfield_kit.dead_letters import DeadLetters
from kit.consuming.stage import Stage, in_order, tasks
from support.platform import wait_for

pytestmark = pytest.mark.e2e

TOPICS = ("ordered", "parallel", "poison", "hostile", "killed", "batched", "together", "invoiced", "replayed", "plain")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """All servers."""
    running = Stage(tmp_path_factory.mktemp("consuming"), TOPICS)
    try:
        yield running
    finally:
        running.close()


def test_each_key_keeps_its_order_while_one_of_it_is_tried_again(stage: Stage) -> None:
    """And all have their effect once."""
    stage.produce("ordered", tasks(20, 20, fails=2))
    stage.work("ordered")
    effects = stage.wait_for_effects("ordered", 400)
    assert len(effects) == 400
    assert in_order(effects)
    assert stage.letters("ordered") == []


def test_a_key_that_fails_does_not_hold_up_the_others(stage: Stage) -> None:
    """They are all done while it is tried again and again, those of its own partition, too."""
    stage.produce("parallel", tasks(40, 10, fails=-1))
    stage.work("parallel", tries=100_000)
    others = stage.wait_for_effects("parallel", 390)
    assert {key for key, _, _ in others} == {f"k{key}" for key in range(1, 40)}
    assert len(others) == 390
    stage.cure("parallel")
    assert in_order(stage.wait_for_effects("parallel", 400))


HUGE = b'{"n": "' + b"x" * 900_000 + b'"}'
POISON: list[tuple[bytes | None, str]] = [
    (b"\xff\xfe\x00", "Invalid JSON"),
    (b"", "Invalid JSON"),
    (b'{"n": 1', "Invalid JSON"),
    (b"[" * 100_000, "Invalid JSON"),
    (b'{"n": "secret-of-a-customer"}', "n: Input should be a valid integer"),
    (b'{"m": 1}', "n: Field required"),
    (HUGE, "n: Input should be a valid integer"),
    (None, "Input should be a valid dictionary"),
]


def test_what_cannot_be_read_becomes_a_dead_letter_at_once(stage: Stage) -> None:
    """With the reason, and nothing of the body in it; with all that came with the message; and all else goes on."""
    headers = [("trace", b"\xff\x00"), ("empty", None), ("twice", b"1"), ("twice", b"2"), ("dead-letter-id", b"forged")]
    bodies = [{"key": None, "value": value, "headers": headers} for value, _ in POISON]
    stage.produce("poison", [*bodies, {"key": b"\xff", "value": {"n": 7}}, {"key": b"", "value": {"n": 8}}])
    stage.work("poison", tries=50)
    assert {(key, n) for key, n, _ in stage.wait_for_effects("poison", 2)} == {("\\xff", 7), ("", 8)}
    letters = wait_for("the letters", lambda: found if len(found := stage.letters("poison")) == len(POISON) else [])
    assert {letter["tries"] for letter in letters} == {1}
    reasons = [letter["reason"] for letter in letters]
    assert all(any(reason.find(wanted) >= 0 for reason in reasons) for _, wanted in POISON)
    assert "secret" not in " ".join(reasons) + stage.log("poison").read_text()
    assert {letter["bytes"] for letter in letters} == {None if body is None else len(body) for body, _ in POISON}
    assert all(letter["id"] == letter["position"] for letter in letters)
    kept = asyncio.run(shelf(stage, "poison").read())
    assert {letter.message.headers for letter in kept} == {tuple(headers[:-1])}
    assert {letter.message.value for letter in kept} == {body for body, _ in POISON}
    assert {letter.message.key for letter in kept} == {None}


def shelf(stage: Stage, topic: str) -> DeadLetters:
    """The dead letters as the service's own code reads them."""
    told = stage.environment(topic)
    part = {name: told[f"{topic.upper()}_{name}"] for name in ("TOPIC", "GROUP", "DEAD_LETTERS", "BOOTSTRAP_SERVERS")}
    tls = {
        "security.protocol": "ssl",
        "ssl.ca.location": told[f"{topic.upper()}_TLS_CA"],
        "ssl.certificate.location": told[f"{topic.upper()}_TLS_CERT"],
        "ssl.key.location": told[f"{topic.upper()}_TLS_KEY"],
    }
    connection = {"bootstrap.servers": part["BOOTSTRAP_SERVERS"], **tls}
    return DeadLetters(Subscription(topic, part["TOPIC"], part["GROUP"], part["DEAD_LETTERS"], connection))


def test_a_message_that_comes_again_has_its_effect_once(stage: Stage) -> None:
    """Known by its id, wherever it comes from: published twice, late, in another partition, as an event."""
    again = {"key": b"a", "value": {"n": 1}, "headers": {"message-id": "once"}}
    event = {"specversion": "1.0", "id": "7", "source": "shop", "type": "ordered", "n": 2}
    binary = {"key": b"c", "value": {"n": 3}, "headers": {"ce_id": "7", "ce_source": "elsewhere"}}
    late = again | {"key": b"b", "timestamp": 1_000_000}
    stage.produce("hostile", [again, again, {"key": b"a", "value": event}, binary, late])
    stage.produce("hostile", [{"key": b"b", "value": event}, binary, again, {"key": b"z", "value": {"n": 4}}])
    stage.work("hostile")
    wait_for("the last", lambda: 4 in [n for _, n, _ in stage.effects("hostile")])
    stage.wait_until_committed("hostile")
    assert sorted(n for _, n, _ in stage.effects("hostile")) == [1, 2, 3, 4]


def test_a_consumer_killed_between_effect_and_commit_has_the_effect_once(stage: Stage) -> None:
    """Whether the transaction had ended, or only the position was not told yet: here it had not."""
    stage.produce("killed", tasks(4, 25, dies=True, seconds=0.2))
    first = stage.work("killed", member="first")
    assert first.wait(30) == -signal.SIGKILL
    stage.work("killed", member="second")
    effects = stage.wait_for_effects("killed", 100)
    stage.wait_until_committed("killed")
    assert sorted(n for _, n, _ in stage.effects("killed")) == list(range(100))
    assert in_order(effects)
    assert stage.letters("killed") == []


@pytest.mark.parametrize(
    ("topic", "store", "lists"),
    [("batched", "ledger", "yes"), ("together", "ledger", "no"), ("invoiced", "books", "yes")],
)
def test_batches_keep_order_and_leave_out_what_is_at_fault(stage: Stage, topic: str, store: str, lists: str) -> None:
    """One at fault takes none of its batch along, and holds up its own key alone; PostgreSQL and MariaDB."""
    wanted = tasks(10, 60, fails=-1)
    wanted[55]["value"] = b"no task"
    wanted[56]["headers"] = {"message-id": "m0-1"}  # of an earlier one, perhaps of the same batch
    stage.produce(topic, wanted)
    stage.work(topic, batch=50, ledger=store, lists=lists)
    effects = stage.wait_for_effects(topic, 597, store=store)
    stage.wait_until_committed(topic)
    assert in_order(effects)
    assert sorted(n for _, n, _ in stage.effects(topic, store)) == sorted(set(range(600)) - {0, 55, 56})
    assert sorted(letter["error"] for letter in stage.letters(topic)) == ["UndecodableError", "ValueError"]


def test_letters_are_replayed_by_the_handler_once(stage: Stage) -> None:
    """Those that are asked for, or all; what fails again says so and stays; what was put right is gone."""
    wanted = tasks(2, 3, fails=-1)
    wanted[3]["value"]["rejected"] = True
    wanted[4]["value"] = b"no task"
    stage.produce("replayed", wanted)
    stage.work("replayed")
    stage.wait_for_effects("replayed", 3)
    letters = wait_for("the letters", lambda: found if len(found := stage.letters("replayed")) == 3 else [])
    errors = {letter["error"]: letter for letter in letters}
    failed, rejected, garbage = errors["ValueError"], errors["RejectedError"], errors["UndecodableError"]
    assert (failed["key"], failed["id"], failed["tries"], failed["reason"]) == ("k0", "m0-0", 3, "task 0 fails")
    assert stage.tries("replayed") == 3
    assert (rejected["tries"], garbage["tries"]) == (1, 1)
    again = stage.command("replayed", "replay", "replayed", "--app", "worker:app", "--format", "json")
    assert again.returncode == 1, again.stderr
    assert {json.loads(line)["outcome"] for line in again.stdout.splitlines()} == {"died again"}
    assert {(x["position"], x["replays"]) for x in stage.letters("replayed")} == {(x["position"], 1) for x in letters}

    stage.cure("replayed")
    one = stage.command("replayed", "replay", "replayed", failed["position"], "--app", "worker:app")
    assert (one.returncode, one.stdout[:8]) == (0, "replayed"), one.stderr
    assert {x["position"] for x in stage.letters("replayed")} == {rejected["position"], garbage["position"]}
    rest = stage.command("replayed", "replay", "replayed", "--app", "worker:app")
    assert rest.returncode == 1
    (left,) = stage.letters("replayed")
    assert (left["position"], left["replays"]) == (garbage["position"], 2)
    assert sorted(n for _, n, _ in stage.effects("replayed")) == [0, 1, 2, 3, 5]


def test_the_command_says_what_it_cannot_do(stage: Stage) -> None:
    """A topic that is not wired, a module that is not there, a letter that nobody has: exit 2 and the remedy."""
    for arguments, words in (
        (("list", "unknown"), "UNKNOWN_TOPIC is not set"),
        (("replay", "plain"), "plain_taker cannot be imported"),
        (("replay", "plain", "--app", "json:app"), "nothing in json consumes 'plain'"),
        (("replay", "plain", "plain/0/7", "--app", "worker:app"), "there is no dead letter plain/0/7"),
    ):
        done = stage.command("plain", *arguments)
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr


def test_without_an_inbox_each_message_comes_at_least_once(stage: Stage) -> None:
    """Plain handlers need no database of the kit's."""
    stage.produce("plain", tasks(4, 25, fails=1))
    stage.work("plain", inbox="no")
    effects = stage.wait_for_effects("plain", 100)
    assert in_order(effects)
    stage.wait_until_committed("plain")
