"""One module for each registry: fetches a source into a folder by the registry's ordinary client.

None names a host: mirrors, proxies and credentials are those of the caller's own configuration. Each checks what it
fetched against the lock before it unpacks it, and fails with a ToolError that says why, for the next source's turn.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from greenfield.model.tool import Debian, GoBuild, GoModule, Maven, Source, Wheel
from greenfield.toolchain.workshop import Fetched, Workshop

_PLACES: Mapping[type[Any], tuple[str, str]] = {
    Wheel: ("wheel", "fetch"),
    Maven: ("maven", "fetch"),
    Debian: ("debian", "fetch"),
    GoModule: ("go", "fetch_module"),
    GoBuild: ("go", "build"),
}

Fetcher = Callable[[Any, Workshop], Fetched]
"""Fetches a source of its own type into the workshop's tree."""


@dataclass(frozen=True)
class Fetchers:
    """The fetcher of each type of source; by default one of this package, imported when it is needed."""

    by_type: Mapping[type[Any], Fetcher] = field(default_factory=dict)

    def __call__(self, source: Any, workshop: Workshop) -> Fetched:
        """Fetches the source."""
        fetcher = self.by_type.get(type(source)) or _fetcher(source)
        return fetcher(source, workshop)


def _fetcher(source: Source) -> Fetcher:
    module, function = _PLACES[type(source)]
    found: Fetcher = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    return found
