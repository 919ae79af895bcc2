"""Rules of the running shop, each dropped or widened: what `verify --edge` has to notice.

Data, and a word for each way in; how it is gone through is ``support.backdoor``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from support.backdoor import Backdoor

Made = Callable[[Backdoor], AbstractContextManager[None]]


@dataclass(frozen=True)
class Mutation:
    """``made``: the rule of ``edge`` is another one inside of it. ``fails``: the check that has to notice."""

    what: str
    edge: str
    fails: str
    made: Made
