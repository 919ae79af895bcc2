"""The page that people see: one file, under a policy that lets nothing but its own style and script run."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

CONTENT = Path(__file__).with_name("page.html").read_bytes()


def _hashes(element: bytes) -> str:
    """The digests of all such elements, as a policy names them."""
    inside = re.findall(rb"<%b>(.*?)</%b>" % (element, element), CONTENT, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(each).digest()).decode()}'" for each in inside)


_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_hashes(b'style')}",
        f"script-src {_hashes(b'script')}",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)

HEADERS = {"content-security-policy": _POLICY, "x-content-type-options": "nosniff", "cache-control": "no-cache"}
