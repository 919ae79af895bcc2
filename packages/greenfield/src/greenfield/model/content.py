"""Text that may hold secrets: joined only at the moment it is written or handed to a process."""

from __future__ import annotations

from typing import Literal

import msgspec


class Secret(msgspec.Struct, frozen=True, tag="secret", omit_defaults=True):
    """A reference to a generated secret.

    ``form``: ``raw`` as generated, ``url`` percent-encoded, ``sha256`` the lower-case hex digest. ``version`` grows
    with each rotation, so that what refers to a secret is another when the secret is.
    """

    name: str
    form: Literal["raw", "url", "sha256"] = "raw"
    version: int = 1

    def as_form(self, form: Literal["raw", "url", "sha256"]) -> Secret:
        """The same secret, written in another way."""
        return msgspec.structs.replace(self, form=form)


Content = tuple[str | Secret, ...]


def text(*parts: str | Secret | Content) -> Content:
    """Joins strings, secrets and contents to one content."""
    joined: list[str | Secret] = []
    for part in parts:
        joined.extend(part if isinstance(part, tuple) else (part,))
    return tuple(joined)


def plain(content: Content) -> str:
    """The text of a content without secrets; raises ValueError where there is one."""
    for part in content:
        if isinstance(part, Secret):
            raise ValueError(f"the content refers to secret {part.name!r}")
    return "".join(part for part in content if isinstance(part, str))
