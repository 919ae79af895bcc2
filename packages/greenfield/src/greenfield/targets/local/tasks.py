"""Running tasks: commands as processes, reconcilers in one helper process that is there only while it is needed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from greenfield.errors import StartError
from greenfield.model.local import Command, Reconcile, Task
from greenfield.targets.local import logs, spawn
from greenfield.targets.local.files import Joiner, write_all

TRIES = 5  # of a reconciler: the program it talks to may still be settling
FIRST_PAUSE_S = 0.3
IDLE_S = 15.0  # the helper process ends after so long without work
_LINE_LIMIT = 16 << 20


@dataclass
class Usage:
    """Processor time of everything that ended."""

    cpu_s: float = 0.0


class Tasks:
    """Runs tasks; knows where logs and secrets are, nothing of what a task is for."""

    def __init__(self, run: str, folder: Path, secrets: Path, join: Joiner) -> None:
        self.usage = Usage()
        self._run = run
        self._logs = folder
        self._join = join
        self._helper = _Helper(f"{run}:tasks:0:", folder, secrets, self.usage)

    async def run(self, task: Task) -> str:
        """Makes it so; a sentence about what was done. StartError when it failed for good."""
        write_all(task.files, self._join)
        if isinstance(task.action, Command):
            return await self._command(task, task.action)
        return await self._reconcile(task, task.action)

    async def close(self) -> None:
        """Ends the helper process."""
        await self._helper.close()

    async def _reconcile(self, task: Task, action: Reconcile) -> str:
        pause = FIRST_PAUSE_S
        for attempt in range(TRIES):
            try:
                async with asyncio.timeout(task.timeout_s):
                    answer = await self._helper.ask(action)
            except TimeoutError:
                answer = {"error": f"it took longer than {task.timeout_s:g} s"}
            if "done" in answer:
                return str(answer["done"])
            if attempt < TRIES - 1:
                await asyncio.sleep(pause)
                pause *= 2
        said = tuple(str(answer.get("trace", "")).splitlines()[-12:])
        raise StartError(f"{task.name} failed: {answer['error']}", hint="`greenfield up` tries again", log=said)

    async def _command(self, task: Task, action: Command) -> str:
        product = Path(action.produces) if action.produces else None
        if product is not None and product.exists():
            return f"{product.name} is there already"
        draft = product.with_name(f".{product.name}.new") if product else None
        if draft is not None:
            _remove(draft)
            draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = logs.size(self._logs, task.name)
        code = await self._execute(task, action, str(draft or ""))
        if code == 0 and draft is not None and product is not None:
            draft.replace(product)
        if code != 0:
            why = f"it exited with code {code}" if code is not None else f"it took longer than {task.timeout_s:g} s"
            said = logs.tail(self._logs, task.name, after=before)
            raise StartError(f"{task.name} failed: {why}.", hint=f"greenfield logs {task.name}", log=said)
        return "done"

    async def _execute(self, task: Task, action: Command, draft: str) -> int | None:
        """The exit code; None when it took too long and was killed."""
        environment = {name: self._join(content) for name, content in action.environment.items()}
        environment[spawn.TAG] = f"{self._run}:{task.name}:0:"
        argv = tuple(word.replace("{produces}", draft) for word in action.argv)
        output = logs.open_log(self._logs, task.name)
        try:
            child = spawn.start(spawn.Launch(argv, environment, action.cwd, output, action.refuses_root))
        except OSError as exc:
            raise StartError(f"{task.name} cannot be started: {exc}.", hint=f"is {argv[0]} installed?") from exc
        finally:
            os.close(output)
        return await _ended(child, task.timeout_s, self.usage)


async def _ended(child: spawn.Child, seconds: float | None, usage: Usage) -> int | None:
    """Waits for a child's end and reaps it; kills it, and answers None, when it takes too long."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(child.descriptor, over.set)
    in_time = True
    try:
        await asyncio.wait_for(over.wait(), seconds)
    except TimeoutError:
        in_time = False
    finally:
        loop.remove_reader(child.descriptor)
        if not over.is_set():
            signal.pidfd_send_signal(child.descriptor, signal.SIGKILL)
        _, status, used = os.wait4(child.pid, 0)
        os.close(child.descriptor)
        usage.cpu_s += used.ru_utime + used.ru_stime
    return os.waitstatus_to_exitcode(status) if in_time else None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class _Helper:
    """The process that runs reconcilers: started by the first question, ended after a while without one."""

    def __init__(self, tag: str, folder: Path, secrets: Path, usage: Usage) -> None:
        self._tag, self._logs, self._secrets, self._usage = tag, folder, secrets, usage
        self._child: spawn.Child | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._jobs: set[asyncio.Task[Any]] = set()
        self._open: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._asked = 0
        self._starting = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None

    async def ask(self, action: Reconcile) -> dict[str, Any]:
        """The answer: ``done`` with a sentence, or ``error`` with one."""
        async with self._starting:
            if self._writer is None:
                await self._start()
        assert self._writer is not None
        if self._idle is not None:
            self._idle.cancel()
        self._asked += 1
        number = self._asked
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        question = {"number": number, "function": action.function, "input": action.input}
        self._writer.write(msgspec.json.encode(question) + b"\n")
        try:
            return await answer
        finally:
            self._open.pop(number, None)
            if not self._open:
                self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._dismiss)

    async def close(self) -> None:
        """Ends it now."""
        if self._idle is not None:
            self._idle.cancel()
        self._dismiss()
        if self._jobs:
            await asyncio.wait(self._jobs)

    def _dismiss(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        output = logs.open_log(self._logs, "tasks")
        argv = (sys.executable, "-m", "greenfield.targets.local.task_process", str(self._secrets))
        environment = {**os.environ, spawn.TAG: self._tag}
        try:
            child = spawn.start(spawn.Launch(argv, environment, "/", output, channel=theirs.fileno()))
        finally:
            os.close(output)
            theirs.close()
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=_LINE_LIMIT)
        job = asyncio.create_task(self._listen(reader, self._writer, child))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, child: spawn.Child) -> None:
        try:
            while line := await reader.readline():
                answer = json.loads(line)
                if (future := self._open.get(answer["number"])) is not None and not future.done():
                    future.set_result(answer)
        except ConnectionError:
            pass  # it was killed; who asked is told below
        writer.close()
        if self._writer is writer:
            self._writer = None
            for future in self._open.values():
                if not future.done():
                    future.set_result({"error": "the task process ended; its output: greenfield logs tasks"})
        await _ended(child, 5.0, self._usage)
