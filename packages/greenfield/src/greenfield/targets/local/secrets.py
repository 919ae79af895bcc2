"""Generated secrets: ``secrets/<name>``, 0600, made once and never shown."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path

from greenfield.errors import ClaimError
from greenfield.model.local import SecretClaim
from greenfield.targets.local.private import create_private, owned, private_folder


def fulfil(folder: Path, claims: Iterable[SecretClaim]) -> None:
    """Makes every secret that is missing; those that are there stay as they are."""
    private_folder(folder)
    for claim in claims:
        if not create_private(folder / claim.name, _generate(claim.length)):
            _check(folder / claim.name)


def value(folder: Path, name: str) -> str:
    """A secret, for the moment of use; ClaimError where it is missing or damaged."""
    path = folder / name
    if not path.is_file():
        raise ClaimError(f"The secret {path} is missing.", hint="`greenfield up` makes what is missing")
    _check(path)
    return path.read_text(encoding="ascii")


def _generate(length: int) -> bytes:
    return secrets.token_urlsafe(length)[:length].encode()


def _check(path: Path) -> None:
    found = owned(path)
    if not path.is_file() or found.st_size == 0:
        raise ClaimError(
            f"The secret {path} is damaged: it holds nothing.",
            hint=f"remove it and run `greenfield up`: rm {path}",
        )
    if found.st_mode & 0o077:
        path.chmod(0o600)
