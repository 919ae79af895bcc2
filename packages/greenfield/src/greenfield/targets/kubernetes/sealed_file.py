"""Sealed values as a file beside the declaration: ``secrets/ENVIRONMENT.sealed.yaml``, to be committed with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from greenfield.errors import OutputError, UnsealedError
from greenfield.targets.kubernetes.sealing import SCOPES, Sealed
from greenfield.targets.kubernetes.text import document

_HEAD = "# Sealed by `greenfield secrets seal`: only the cluster that holds the key of this certificate can open it.\n"


def place(root: str, environment: str) -> Path:
    """Where the sealed values of an environment are; those of the base are named so."""
    return Path(root) / "secrets" / f"{environment or 'base'}.sealed.yaml"


def read(file: Path) -> Sealed | None:
    """What the file holds; None where there is none. UnsealedError where it cannot be understood."""
    try:
        held = yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)
        return _understood(held)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as exc:
        raise UnsealedError(
            f"{file} cannot be read as sealed values: {exc}.",
            hint="restore it, or remove it and seal again: what nobody has in clear is made anew",
        ) from exc


def _understood(held: Any) -> Sealed:
    if held["scope"] not in SCOPES:
        raise ValueError(f"there is no scope {held['scope']!r}")
    values = {str(s): {str(n): str(v) for n, v in names.items()} for s, names in (held["sealed"] or {}).items()}
    return Sealed(str(held["namespace"]), held["scope"], str(held["certificate"]), str(held.get("note", "")), values)


def write(file: Path, sealed: Sealed) -> None:
    """Replaces the file by rename; OutputError where that cannot be."""
    held = {
        "certificate": sealed.fingerprint,
        **({"note": sealed.note} if sealed.note else {}),
        "namespace": sealed.namespace,
        "scope": sealed.scope,
        "sealed": sealed.values,
    }
    new = file.with_name(f"{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(_HEAD + document(held), encoding="utf-8")
        new.replace(file)
    except OSError as exc:
        raise OutputError(f"{file} cannot be written: {exc.strerror}.") from exc
