"""Files and folders that only their owner may read, made and replaced so that a crash leaves the old or the new."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from greenfield.errors import ClaimError


def private_folder(path: Path) -> Path:
    """The folder, made 0700 with its parents where it is missing; refused where somebody else owns it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_IMODE(owned(path).st_mode) != 0o700:
            path.chmod(0o700)
    except OSError as exc:
        raise ClaimError(
            f"The folder {path} cannot be made: {exc.strerror}.",
            hint="make the folder of the declaration writable for you, or copy the project to one that is",
        ) from exc
    return path


def owned(path: Path) -> os.stat_result:
    """The state of a file or folder that belongs to the caller; ClaimError where it is somebody else's."""
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise ClaimError(
            f"{path} belongs to user {found.st_uid}, and greenfield runs as user {os.geteuid()}.",
            hint=f"run it as that user, or hand the folder over: chown -R {os.geteuid()} {path.parent}",
        )
    return found


def write_private(path: Path, data: bytes) -> None:
    """Writes a file (0600) beside its place and renames it there."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write_new(draft, data)
        draft.replace(path)
    except OSError as exc:
        draft.unlink(missing_ok=True)
        raise ClaimError(f"{path} cannot be written: {exc.strerror}.", hint=_room(path)) from exc


def create_private(path: Path, data: bytes) -> bool:
    """Writes a file (0600) unless there is one; whether it did. Of several callers at once, one wins."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write_new(draft, data)
        os.link(draft, path)
    except FileExistsError:
        return False
    except OSError as exc:
        raise ClaimError(f"{path} cannot be written: {exc.strerror}.", hint=_room(path)) from exc
    finally:
        draft.unlink(missing_ok=True)
    return True


def write_new(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Writes a file (0600) that must not exist yet. ``durable``: it has reached the disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fdatasync(file.fileno())


def _room(path: Path) -> str:
    return f"see that the disk has room and {path.parent} is writable: df -h {path.parent}"
