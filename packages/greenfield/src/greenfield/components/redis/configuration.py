"""What a server is told alike on this machine and on a cluster, and how its files are written."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from greenfield.components.redis.users import ACTIVE
from greenfield.model.content import Content, Secret, text
from greenfield.model.quantity import TIERS
from greenfield.programs.quantities import TierName

_MEMORY_SHARE = 3 / 4  # of the tier's request; the rest is for clients' buffers and for pages copied during a rewrite


def behaviour(size: TierName) -> Mapping[str, str]:
    """How it listens, keeps and forgets. A write is in the log before it is answered, and survives a kill."""
    return {
        "tls-auth-clients": "yes",
        "tls-protocols": "TLSv1.3",
        "databases": "1",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory": f"{int(TIERS[size].memory_request * _MEMORY_SHARE)}mb",
        "maxmemory-policy": "allkeys-lru",
    }


def rendered(settings: Mapping[str, str]) -> str:
    """Settings as the file has them, every value quoted."""
    escaped = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in settings.items()}
    return "".join(f'{name} "{value}"\n' for name, value in escaped.items())


def user(name: str, password: str, rules: Collection[str]) -> Content:
    """A line of the file of users; ``password`` is the name of a secret, of which it holds the digest alone."""
    return text(f"user {name} {' '.join(ACTIVE)} #", Secret(password, "sha256"), f" {' '.join(rules)}\n")
