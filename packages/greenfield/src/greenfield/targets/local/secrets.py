"""Generated secrets: ``secrets/<name>``, 0600, made once, replaced by rotation alone and never shown."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from greenfield.errors import ClaimError
from greenfield.model.local import SecretClaim
from greenfield.targets.local.private import create_private, owned, private_folder, write_private


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


def versions(file: Path) -> Mapping[str, int]:
    """The versions of secrets that were ever rotated, by name; all others have their first."""
    try:
        found = json.loads(file.read_bytes())
        return {str(name): int(version) for name, version in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as exc:
        raise ClaimError(
            f"The versions of secrets in {file} are damaged.", hint=f"remove it and run `greenfield up`: rm {file}"
        ) from exc


def rotate(folder: Path, file: Path, claims: Iterable[SecretClaim]) -> None:
    """Another value for each. The versions are written first: a crash in between costs a restart, and no secret."""
    wanted, known = tuple(claims), versions(file)
    counted = {**known, **{claim.name: known.get(claim.name, 1) + 1 for claim in wanted}}
    write_private(file, json.dumps(counted, indent=1).encode())
    for claim in wanted:
        write_private(folder / claim.name, _generate(claim.length))


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
