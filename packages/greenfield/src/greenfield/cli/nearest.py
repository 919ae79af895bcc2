"""What was probably meant by a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from greenfield.errors import ArgumentError


def unknown(kind: str, name: str, known: Iterable[str]) -> ArgumentError:
    """``there is no service 'catlog'``, with the nearest name as a hint, or else all of them."""
    listed = sorted(set(known))
    near = difflib.get_close_matches(name, listed, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(listed)}" if listed else "there is none"
    return ArgumentError(f"There is no {kind} {name!r}.", hint=hint)
