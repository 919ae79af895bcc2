"""Names of things that are made of other names."""

from __future__ import annotations

import hashlib
from typing import Literal

LABEL = 63
"""How long a name may be that is a DNS label, or the value of a label."""
_DIGEST = 8


def short(*parts: str, limit: int = LABEL, joint: Literal["-", "."] = "-") -> str:
    """The parts in one name; where that is longer than ``limit``, its beginning and a digest of the whole."""
    whole = joint.join(parts)
    if len(whole) <= limit:
        return whole
    return f"{whole[: limit - _DIGEST - 1].rstrip('-.')}-{digest(whole)}"


def entry(resource: str, *user: str) -> str:
    """The name of what lets a user into a resource. With a dot, which no name holds, so that two pairs never meet."""
    return short(resource, *user, joint=".")


def digest(*texts: str) -> str:
    """A few characters that are others when any of the texts is."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:_DIGEST]


def addresses(service: str, namespace: str) -> tuple[str, ...]:
    """Every form in which pods may write a Service's name."""
    return (service, f"{service}.{namespace}", f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local")
