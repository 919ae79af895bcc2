"""``state.json``: what is remembered from run to run. One writer, the supervisor; replaced by rename."""

from __future__ import annotations

from pathlib import Path

import msgspec

from greenfield.errors import StateError
from greenfield.targets.local.files import write

VERSION = 1


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A process for good: its pid as people see it, and its start time in ticks after boot."""

    pid: int
    born: int


class State(msgspec.Struct, kw_only=True):
    """Everything remembered. ``done``: the fingerprint of each task that succeeded; ``run`` is empty when stopped."""

    version: int = VERSION
    name: str = ""
    environment: str = ""
    file: str = ""
    run: str = ""
    supervisor: Mark | None = None
    guardian: Mark | None = None
    ports: dict[str, tuple[str, int]] = {}
    scale: dict[str, int] = {}
    slots: dict[str, int] = {}
    done: dict[str, str] = {}
    processes: dict[str, Mark] = {}


def load(path: Path) -> State:
    """The remembered state, or an empty one; StateError where it is from a newer version or damaged."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return State()
    except OSError as exc:
        raise StateError(f"{path} cannot be read: {exc.strerror}.") from exc
    try:
        version = msgspec.json.decode(data, type=dict[str, msgspec.Raw]).get("version")
        if version is not None and int(bytes(version)) > VERSION:
            raise StateError(
                f"{path} was written by a newer greenfield (state version {int(bytes(version))}, known is {VERSION}).",
                hint="use that version, or remove the platform with it: greenfield down --volumes",
            )
        return msgspec.json.decode(data, type=State)
    except (msgspec.DecodeError, ValueError) as exc:
        raise StateError(
            f"{path} is damaged: {exc}.",
            hint=f"data is not touched; move the file away and run `greenfield up`: mv {path} {path}.damaged",
        ) from exc


def save(path: Path, state: State) -> None:
    """Replaces the file."""
    write(path, msgspec.json.format(msgspec.json.encode(state), indent=1).decode())
