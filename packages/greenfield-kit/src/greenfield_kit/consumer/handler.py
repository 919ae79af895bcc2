"""A service's function: what it asks for is read from its annotations, once, when it is registered."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from greenfield_kit.consumer.failures import UndecodableError
from greenfield_kit.message import Message

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from greenfield_kit.inbox import Inbox

Function = Callable[..., Awaitable[None]]
_TOLD = 5  # mistakes of a body that a reason lists


class Handler:
    """What a function does with messages, their bodies decoded, with an inbox in one transaction with its record.

    The function's first argument is the body: ``bytes`` as it came, anything else is JSON that pydantic makes the
    annotated type of. Others are found by annotation: ``Message``, and with an inbox ``AsyncConnection``, the
    transaction. With ``batch`` many messages share one transaction: a function whose first argument is a list gets all
    of them (``messages: list[Message]``, too), any other each in turn.
    """

    def __init__(self, function: Function, inbox: Inbox | None, batch: bool) -> None:
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"{_name(function)} consumes messages, so it must be an `async def`.")
        self._function, self.inbox = function, inbox
        hints = _hints(function)
        body, *others = [name for name in inspect.signature(function).parameters if name in hints] or [""]
        if not body:
            raise TypeError(f"{_name(function)} takes no body: its first argument, annotated, is one.")
        element = _element(hints[body]) if batch else None
        self._lists, self._body = element is not None, hints[body] if element is None else element
        if batch and inbox is None and not self._lists:
            raise TypeError(f"{_name(function)} takes one message, so a batch gains nothing without `inbox=`.")
        self._adapter: TypeAdapter[Any] | None = None if self._body is bytes else TypeAdapter(self._body)
        self._asks = {name: self._asked(name, hints[name]) for name in others}

    async def take(self, messages: Sequence[Message]) -> None:
        """Returns when all have had their effect; raises ``UndecodableError``, or what the function raises.

        With an inbox those that had theirs before are left out.
        """
        bodies = {id(message): self._decoded(message) for message in messages}

        async def effect(new: Sequence[Message], transaction: AsyncConnection | None) -> None:
            await self._call(new, [bodies[id(message)] for message in new], transaction)

        if self.inbox is None:
            await effect(messages, None)
        else:
            await self.inbox.once(messages, effect)

    async def _call(self, messages: Sequence[Message], bodies: list[Any], transaction: AsyncConnection | None) -> None:
        shares: list[tuple[Any, Any]] = [(bodies, list(messages))]
        for body, message in shares if self._lists else zip(bodies, messages, strict=True):
            given = {"message": message, "transaction": transaction}
            await self._function(body, **{name: given[what] for name, what in self._asks.items()})

    def _decoded(self, message: Message) -> Any:
        if self._adapter is None:
            if message.value is None:
                raise UndecodableError("there is no value, and the handler takes none: annotate it as `bytes | None`")
            return message.value
        try:
            if message.value is None:
                return self._adapter.validate_python(None)
            if _takes_bytes(self._body):
                return message.value
            return self._adapter.validate_json(message.value)
        except ValidationError as exc:
            raise UndecodableError(_reason(exc)) from None  # whose text has the body in it

    def _asked(self, name: str, hint: Any) -> str:
        if _element(hint) is Message if self._lists else hint is Message:
            return "message"
        if f"{getattr(hint, '__module__', '')}".startswith("sqlalchemy.") and hint.__name__ == "AsyncConnection":
            if self.inbox is None:
                words = f"{_name(self._function)} asks for a transaction ({name}), which comes with an inbox"
                raise TypeError(f"{words}: name one by `inbox=`.")
            return "transaction"
        raise TypeError(f"{_name(self._function)} asks for {name}: {hint}; a handler gets Message and AsyncConnection.")


def _hints(function: Function) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(function)
    except NameError as exc:
        words = f"{_name(function)} has an annotation that is not there at run time ({exc})"
        raise TypeError(f"{words}: import it outside `if TYPE_CHECKING`.") from exc
    hints.pop("return", None)
    return hints


def _element(hint: Any) -> Any:
    """What a list is of; None for what is no list."""
    found = typing.get_args(hint) if typing.get_origin(hint) in (list, Sequence) else ()
    return found[0] if found else None


def _takes_bytes(hint: Any) -> bool:
    return hint is bytes or bytes in typing.get_args(hint)


def _reason(error: ValidationError) -> str:
    """What is wrong with a body, and nothing of what is in it: the reason is logged."""
    mistakes = error.errors(include_url=False, include_input=False, include_context=False)
    told = [f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in mistakes[:_TOLD]]
    more = len(mistakes) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more > 0 else "")


def _name(function: Function) -> str:
    return getattr(function, "__qualname__", repr(function))
