"""Sealed values as a file beside the declaration: ``secrets/ENVIRONMENT.sealed.yaml``, to be committed with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from greenfield.errors import OutputError, UnsealedError
from greenfield.targets.kubernetes.sealing import SCOPES, Sealed
from greenfield.targets.kubernetes.text import document

_HEAD = "# Sealed by `greenfield secrets seal`: only the cluster that holds the key of this certificate can open it.\n"
_DEEPEST = 3  # the file, a Secret, its values


def place(root: str, environment: str) -> Path:
    """Where the sealed values of an environment are; those of the base are named so."""
    return Path(root) / "secrets" / f"{environment or 'base'}.sealed.yaml"


def read(file: Path) -> Sealed | None:
    """What the file holds; None where there is none. UnsealedError where it cannot be understood."""
    try:
        if file.exists() and not file.is_file():
            raise ValueError("it is no regular file")
        return _understood(_loaded(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError, yaml.YAMLError, ValueError) as exc:
        raise UnsealedError(
            f"{file} cannot be read as sealed values: {exc.strerror if isinstance(exc, OSError) else exc}.",
            hint="restore it, or remove it and seal again: what nobody has in clear is made anew",
        ) from exc


def _loaded(text: str) -> Any:
    """The data of a text; ValueError where it does what no file of ours does, and what may take for ever to read."""
    depth = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it has aliases")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ValueError(f"it is nested deeper than {_DEEPEST} levels")
    return yaml.load(text, yaml.CSafeLoader)


def _understood(held: Any) -> Sealed:
    if not isinstance(held, dict) or not held.keys() >= {"certificate", "namespace", "scope", "sealed"}:
        raise ValueError("it needs `certificate`, `namespace`, `scope` and `sealed`")
    if held["scope"] not in SCOPES:
        raise ValueError(f"there is no scope {held['scope']!r}")
    values = held["sealed"] or {}
    if not isinstance(values, dict) or not all(map(_is_texts, values.values())):
        raise ValueError("`sealed` holds a mapping of names to texts for each Secret")
    return Sealed(str(held["namespace"]), held["scope"], str(held["certificate"]), str(held.get("note", "")), values)


def _is_texts(names: Any) -> bool:
    return isinstance(names, dict) and all(isinstance(text, str) for item in names.items() for text in item)


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
