"""A service that does what its messages say, run by the tests as a process of its own: ``worker.py TOPIC``.

What it did stands in the table of the topic: one row for each effect. ``app`` is what `dead_letters replay` imports.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from greenfield_kit import connections, logs, metrics
from greenfield_kit.consumer import Consumer, Limits, Message, RejectedError

TOPIC = os.environ["WORKER_TOPIC"]
INBOX = os.environ.get("WORKER_INBOX", "yes") == "yes"
BATCH = int(os.environ.get("WORKER_BATCH", "0"))
LEDGER = os.environ.get("WORKER_LEDGER", "ledger")
MEMBER = os.environ.get("WORKER_MEMBER", "")
CURED = Path(os.environ["WORKER_CURED"])  # once it is there, what failed does no longer
LIMITS = Limits(
    tries=int(os.environ.get("WORKER_TRIES", "3")),
    first_pause_s=0.05,
    longest_pause_s=float(os.environ.get("WORKER_PAUSE", "0.2")),
    attempt_s=float(os.environ.get("WORKER_ATTEMPT", "5")),
    drain_s=float(os.environ.get("WORKER_DRAIN", "5")),
    held=int(os.environ.get("WORKER_HELD", "1000")),
)

engine = getattr(connections, "mysql" if LEDGER == "books" else "postgres")(LEDGER)
WROTE = text(f"insert into {TOPIC}_effect (k, n, member) values (:k, :n, :member)")
TRIED = text(f"insert into {TOPIC}_tried (k, n) values (:k, :n)")
failing: dict[int, int] = {}
hanging: dict[int, int] = {}


class Task(BaseModel):
    """What to do. ``fails``: so often, then it works; -1: until it is cured."""

    n: int
    fails: int = 0
    rejected: bool = False
    seconds: float = 0.0
    hangs: int = 0
    dies: bool = False
    filling: str = ""


async def take(task: Task, message: Message, transaction: AsyncConnection) -> None:
    """One effect in the transaction of the inbox."""
    await tried(task, message)
    await transaction.execute(WROTE, {"k": shown(message), "n": task.n, "member": MEMBER})
    await ended(task)


async def take_openly(task: Task, message: Message) -> None:
    """One effect in a transaction of its own."""
    await tried(task, message)
    async with engine.begin() as transaction:
        await transaction.execute(WROTE, {"k": shown(message), "n": task.n, "member": MEMBER})
    await ended(task)


async def take_many(tasks: list[Task], messages: list[Message], transaction: AsyncConnection) -> None:
    """Many effects in one transaction."""
    for task, message in zip(tasks, messages, strict=True):
        await tried(task, message)
    rows = [{"k": shown(m), "n": t.n, "member": MEMBER} for t, m in zip(tasks, messages, strict=True)]
    await transaction.execute(WROTE, rows)
    for task in tasks:
        await ended(task)


async def tried(task: Task, message: Message) -> None:
    """Fails as the task says."""
    if task.rejected and not CURED.exists():
        raise RejectedError("not in this house")
    if task.fails < 0 and not CURED.exists():
        async with engine.begin() as transaction:
            await transaction.execute(TRIED, {"k": shown(message), "n": task.n})
        raise ValueError(f"task {task.n} fails")
    if failing.setdefault(task.n, task.fails) > 0:
        failing[task.n] -= 1
        raise ValueError(f"task {task.n} fails for now")


async def ended(task: Task) -> None:
    """Takes its time, or the process down, between the effect and the end of its transaction."""
    if hanging.setdefault(task.n, task.hangs) > 0:
        hanging[task.n] -= 1
        await asyncio.Event().wait()
    await asyncio.sleep(task.seconds)
    if task.dies and not CURED.exists():
        CURED.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def shown(message: Message) -> str:
    """A key as text."""
    return "" if message.key is None else message.key.decode(errors="backslashreplace")


def tell_lag() -> None:
    """As whoever measures reads it."""
    gauge = metrics.gauge("greenfield.consumer.lag", "{message}", "", list)
    found = [(value, facts) for read in gauge.reads for value, facts in read()]
    logging.getLogger("worker").info("lag", extra={"lag": sum(value for value, _ in found), "of": found})


LISTS = os.environ.get("WORKER_LISTS", "yes") == "yes"
HANDLER = take_many if BATCH and LISTS else take if INBOX else take_openly
app = Consumer(TOPIC, HANDLER, inbox=engine if INBOX else None, batch=BATCH, limits=LIMITS)


async def main() -> None:
    """Consumes until SIGTERM."""
    logs.configure()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, app.close)
    loop.add_signal_handler(signal.SIGUSR1, tell_lag)
    await app.run()
    await engine.dispose()
    logging.getLogger("worker").info("ended in order")


if __name__ == "__main__":
    asyncio.run(main())
    sys.exit(0)
