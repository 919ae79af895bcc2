"""Dead letters once more through the handler that could not take them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from greenfield_kit.consumer.failures import verdict
from greenfield_kit.dead_letters.letter import Letter
from greenfield_kit.dead_letters.shelf import DeadLetterError, DeadLetters

if TYPE_CHECKING:
    from greenfield_kit.consumer.handler import Handler


async def replay(
    shelf: DeadLetters, handler: Handler, letters: Iterable[Letter]
) -> AsyncIterator[tuple[Letter, Letter | None]]:
    """Each letter and None if it was put right, or the letter that it became by failing once more.

    One after the other, so that those of one key stay in order. A letter is ended after its effect: a replay that is
    killed between the two finds the record of the inbox when it is begun anew. DeadLetterError where what the handler
    needs is away; the rest stays as it is.
    """
    for letter in letters:
        try:
            await handler.take([letter.message])
        except Exception as exc:
            if verdict(exc) == "away":
                raise DeadLetterError(f"stopped at {letter.message.position}: {type(exc).__name__}: {exc}") from exc
            again = letter.again(exc, tries=1)
            await shelf.put(again)
            yield letter, again
        else:
            await shelf.end(letter)
            yield letter, None
