"""Rows to Kafka, in order for each key: nothing of a key goes out before what came earlier has been confirmed.

The producer stops where a batch is refused for good. Then another sends the rows of that batch one at a time, until it
is known which of them is refused. A broker takes any sequence from a producer that is new to a partition, so the first
message of a key goes ahead of the others of that key.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from greenfield_kit.outbox.gapless import Gapless
from greenfield_kit.outbox.waiting import Aside, Row

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

PATIENCE_S = 0.25  # for a batch to be confirmed; then whatever else waits is sent
MOST_UNDER_WAY = 2000  # unconfirmed rows; beyond that nothing is added
MOST_KNOWN = 100_000  # keys that are remembered
LARGEST_BATCH, SMALLEST_BATCH = 1_000_000, 16_384  # bytes; librdkafka's own bound, and what any topic takes


@dataclass
class Answers:
    """What became of rows: ``confirmed`` by all in-sync replicas, or ``refused`` for good and why.

    ``broken``: why nothing can be published at all at present.
    """

    confirmed: list[int] = field(default_factory=list)
    refused: list[Aside] = field(default_factory=list)
    broken: str = ""


class InOrder:
    """Publishes to one topic. Blocking; one thread at a time. What is ``under_way`` is not to be given again."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.under_way: dict[int, str] = {}
        self._producer: Gapless | None = None
        self._known: set[str] = set()  # keys in whose partition the broker has met this producer
        self._batch_bytes = LARGEST_BATCH
        self._alone_until = 0  # rows up to this id go one at a time
        self._suspects: set[int] = set()

    def open(self) -> None:
        """Connects meanwhile, so that the first message need not wait for that."""
        self._opened()

    def publish(self, rows: Sequence[Row]) -> Answers:
        """Sends rows, which are in order. Answers for them and for those that were under way."""
        answers = Answers()
        for wave in self._waves(rows):
            self._send(wave, answers)
            self._settle(answers)
            if self._producer is None:
                break
        return answers

    def close(self) -> Answers:
        """Gives up what is under way; it may or may not have been published."""
        answers = Answers()
        self._discard(answers)
        return answers

    def _waves(self, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
        if self._alone_until and not self.under_way and (not rows or rows[0].id > self._alone_until):
            self._trust_again()
        if self._alone_until:
            yield from self._one_by_one(rows)
            return
        ahead, behind = self._parted(rows[: max(0, MOST_UNDER_WAY - len(self.under_way))])
        yield ahead
        if behind and not self.under_way:
            yield behind

    def _one_by_one(self, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
        if self.under_way:
            yield []
        ends_at = time.monotonic() + PATIENCE_S
        for row in rows:
            if self.under_way or row.id > self._alone_until or time.monotonic() > ends_at:
                return
            yield [row]

    def _parted(self, rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
        """Those to send, and those behind the first message of a key that is new to this producer."""
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        ahead: list[Row] = []
        behind: list[Row] = []
        new = {key for key in self.under_way.values() if key not in self._known}
        for row in rows:
            (behind if row.key in new else ahead).append(row)
            if row.key and row.key not in self._known:
                new.add(row.key)
        return ahead, behind

    def _send(self, rows: Sequence[Row], answers: Answers) -> None:
        from confluent_kafka import KafkaException

        halted: set[str] = set()
        for row in rows:
            if row.key in halted:
                continue
            try:
                self._opened().send(row)
                self.under_way[row.id] = row.key
            except BufferError:
                return
            except KafkaException as exc:
                if exc.args[0].fatal():
                    return
                halted.add(row.key or str(row.id))
                self._judge(row.id, row.key, exc.args[0], answers, alone=True)

    def _settle(self, answers: Answers) -> None:
        producer, alone, failed = self._opened(), bool(self._alone_until), False
        for row, error in producer.answers(PATIENCE_S):
            key = self.under_way.pop(row)
            if error is None:
                answers.confirmed.append(row)
                self._known.add(key)
            else:
                failed = True
                self._judge(row, key, error, answers, alone=alone)
        if failed or producer.stopped:
            answers.broken = answers.broken or ("" if failed else producer.stopped)
            self._discard(answers)

    def _judge(self, row: int, key: str, error: KafkaError, answers: Answers, *, alone: bool) -> None:
        if not _is_of_the_message(error):
            answers.broken = error.str()
        elif alone:
            answers.refused.append(Aside(row, key, error.str()))
            self._suspects.clear()
        else:
            self._suspects.add(row)
            self._alone_until = max(self._alone_until, row)

    def _trust_again(self) -> None:
        """All suspects are dealt with. Where none was refused alone, the batch itself was too large."""
        if self._suspects:
            self._batch_bytes = max(SMALLEST_BATCH, self._batch_bytes // 8)
            self._discard(Answers())
        self._suspects.clear()
        self._alone_until = 0

    def _opened(self) -> Gapless:
        if self._producer is None:
            self._producer = Gapless(self.name, self._batch_bytes)
        return self._producer

    def _discard(self, answers: Answers) -> None:
        """Rows that are not confirmed by now are nobody's: they still wait, and are given again."""
        if self._producer is not None:
            answers.confirmed += [row for row, error in self._producer.close() if error is None]
        self._producer = None
        self._known.clear()
        self.under_way.clear()


def _is_of_the_message(error: KafkaError) -> bool:
    """Whether the broker refuses this very message, or its batch, and will do so again."""
    from confluent_kafka import KafkaError as Codes

    own = (Codes.MSG_SIZE_TOO_LARGE, Codes.RECORD_LIST_TOO_LARGE, Codes.INVALID_RECORD, Codes.INVALID_TIMESTAMP)
    return error.code() in own
