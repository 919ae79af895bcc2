"""What a consumer could not handle: ``greenfield run SERVICE -- python -m greenfield_kit.dead_letters list orders``."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from greenfield_kit.connections import WiringError
from greenfield_kit.consumer.consuming import Consumer
from greenfield_kit.consumer.subscription import Subscription
from greenfield_kit.dead_letters.replay import replay
from greenfield_kit.dead_letters.shelf import DeadLetterError, DeadLetters


def main(argv: Sequence[str] | None = None) -> int:
    """0: done; 1: it failed, or letters died again; 2: the arguments are wrong."""
    arguments = _parser().parse_args(argv)
    try:
        subscription = Subscription.wired(arguments.topic)
        if arguments.command == "list":
            return asyncio.run(_list(subscription, arguments.format))
        consumer = _consumer(arguments.app or subscription.group.replace("-", "_"), arguments.topic)
        return asyncio.run(_replay(subscription, consumer, arguments))
    except (WiringError, _ArgumentError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    except DeadLetterError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1


class _ArgumentError(Exception):
    pass


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m greenfield_kit.dead_letters", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, does in (("list", "what died, why, when, how often"), ("replay", "handle them once more")):
        command = commands.add_parser(name, help=does, description=does)
        command.add_argument("topic", help="a topic that the service consumes, as its `uses` names it")
        command.add_argument("--format", choices=("text", "json"), default="text")
        if name == "replay":
            command.add_argument("position", nargs="*", help="only these, as `list` shows them; default: all")
            command.add_argument("--app", help="the service's `app:`; default: the module named like the service")
    return parser


def _consumer(app: str, topic: str) -> Consumer:
    """That of the service's own module: the very function with its inbox."""
    module = app.partition(":")[0]
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = vars(importlib.import_module(module))
    except ModuleNotFoundError as exc:
        raise _ArgumentError(f"{module} cannot be imported ({exc}): name the service's `app:` by --app") from exc
    consumers = [each for held in found.values() for each in (held, *_held(held)) if isinstance(each, Consumer)]
    for consumer in consumers:
        if consumer.name == topic:
            return consumer
    raise _ArgumentError(f"nothing in {module} consumes {topic!r}")


def _held(held: Any) -> Sequence[Any]:
    """The consumers of a ``Service``, whose room is not imported to ask."""
    consumers = getattr(held, "consumers", ())
    return consumers if isinstance(consumers, list) else ()


async def _list(subscription: Subscription, form: str) -> int:
    letters = await DeadLetters(subscription).read()
    for letter in letters:
        _tell(letter.as_json(), form)
    if not letters and form == "text":
        print(f"There are no dead letters of {subscription.topic}.", file=sys.stderr)
    return 0


async def _replay(subscription: Subscription, consumer: Consumer, arguments: argparse.Namespace) -> int:
    shelf, wanted = DeadLetters(subscription), set(arguments.position)
    letters = [each for each in await shelf.read() if not wanted or each.message.position in wanted]
    if missing := wanted - {letter.message.position for letter in letters}:
        raise _ArgumentError(f"there is no dead letter {', '.join(sorted(missing))}")
    failed = 0
    async for letter, again in replay(shelf, consumer.handler(subscription.group), letters):
        failed += again is not None
        outcome = {"outcome": "replayed"} if again is None else {"outcome": "died again", "now": again.reason}
        _tell((again or letter).as_json() | outcome, arguments.format)
    return 1 if failed else 0


def _tell(facts: dict[str, Any], form: str) -> None:
    if form == "json":
        print(json.dumps(facts), flush=True)
        return
    tried = f"{facts['tries']} tries, {facts['replays']} replays" if facts["replays"] else f"{facts['tries']} tries"
    line = f"{facts['position']}  {facts['died_at']}  {tried}  {facts['error']}: {facts['reason']}"
    print(f"{facts['outcome']}  {line}" if "outcome" in facts else line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
