"""Names that are made of other names, where a target bounds their length."""

from __future__ import annotations

import hashlib
from typing import Final

LONGEST: Final = 63
"""What a DNS label, and so most names and every label's value on Kubernetes, may hold."""
_DIGEST: Final = 8


def short(*parts: str, limit: int = LONGEST) -> str:
    """The parts joined by dashes; where that is longer than ``limit``, its end gives way to a digest of the whole."""
    whole = "-".join(parts)
    if len(whole) <= limit:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:_DIGEST]
    return f"{whole[: limit - _DIGEST - 1].rstrip('-.')}-{digest}"
