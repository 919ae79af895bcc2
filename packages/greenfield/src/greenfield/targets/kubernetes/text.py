"""Manifests as YAML. Written here because a library takes over a second for each thousand objects, and this a tenth.

Only what manifests are made of: mappings with text keys, lists, text, numbers, booleans, nothing. A text stands plain
where no reader of YAML 1.1 or 1.2 could take it for anything else, as a block where it has lines, quoted otherwise.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+-]*(?: [A-Za-z0-9_./@+-]+)*")
_NOT_TEXT = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"]) | {"~"}
_PAIR = re.compile(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}")  # how JSON writes one character beyond 16 bits
_BLOCK = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]*")


def documents(manifests: Iterable[Mapping[str, Any]]) -> str:
    """Several manifests as one stream."""
    return "---\n".join(document(manifest) for manifest in manifests)


def document(manifest: Mapping[str, Any]) -> str:
    """One manifest, with a line end at its end. TypeError for what no manifest is made of."""
    if not manifest:
        return "{}\n"
    pieces: list[str] = []
    _mapping(pieces, manifest, "", "")
    return "".join(pieces)


def _mapping(pieces: list[str], mapping: Mapping[str, Any], indent: str, first: str) -> None:
    """Appends the lines of a mapping; ``first`` stands in front of the first key, the indent in front of the others."""
    lead = first
    for key, value in mapping.items():
        pieces.append(f"{lead}{_text(key)}:")
        lead = indent
        if isinstance(value, str):
            pieces.append(_lines(value, f"{indent}  ") if "\n" in value and _block(value) else f" {_text(value)}\n")
        elif value and isinstance(value, dict | Mapping):  # the first of them is quickly told
            pieces.append("\n")
            _mapping(pieces, value, f"{indent}  ", f"{indent}  ")
        elif value and isinstance(value, list | tuple):
            pieces.append("\n")
            _list(pieces, value, indent)
        else:
            pieces.append(f" {_scalar(value)}\n")


def _list(pieces: list[str], values: Iterable[Any], indent: str) -> None:
    for value in values:
        if isinstance(value, str):
            pieces.append(f"{indent}- {_text(value)}\n")
        elif value and isinstance(value, dict | Mapping):
            _mapping(pieces, value, f"{indent}  ", f"{indent}- ")
        elif value and isinstance(value, list | tuple):
            pieces.append(f"{indent}-\n")
            _list(pieces, value, f"{indent}  ")
        else:
            pieces.append(f"{indent}- {_scalar(value)}\n")


def _block(value: str) -> bool:
    """Whether a literal block gives it back as it is: no lone control character, no blank where indents are counted."""
    return value[0] not in " \n\t" and bool(_BLOCK.fullmatch(value)) and not re.search(r"[ \t]\n|[ \t]\Z|\n\n\Z", value)


def _lines(value: str, indent: str) -> str:
    lines = value.removesuffix("\n").split("\n")
    head = " |\n" if value.endswith("\n") else " |-\n"
    return head + "".join(f"{indent}{line}\n" if line else "\n" for line in lines)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        whole, e, power = repr(value).partition("e")
        return f"{whole}{'' if '.' in whole else '.0'}{e}{power}"  # YAML 1.1 takes 1e9 for text
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, Mapping) and not value:
        return "{}"
    if isinstance(value, list | tuple) and not value:
        return "[]"
    raise TypeError(f"{value!r} cannot stand in a manifest")


@functools.lru_cache(maxsize=65_536)
def _text(value: str) -> str:
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    return _PAIR.sub(_one, json.dumps(value))


def _one(pair: re.Match[str]) -> str:
    """YAML writes that character as one."""
    character = ord(json.loads(f'"{pair[0]}"'))
    return f"\\U{character:08x}"
