"""Text to tree: YAML 1.1, one document, bounded in size, depth and expansion, every fault with its place."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from greenfield.errors import Problem
from greenfield.model.declaration import Position
from greenfield.spec.complaints import Problems, TooManyError
from greenfield.spec.tree import Entry, Items, Node, Scalar, Table

LARGEST_BYTES: Final = 1 << 20
MOST_NODES: Final = 400_000  # after aliases are expanded
DEEPEST: Final = 60
_TAG: Final = "tag:yaml.org,2002:"
_CALLED: Final = {"int": "whole number", "float": "number", "bool": "boolean"}
_KINDS: Final = frozenset({"str", "int", "float", "bool", "null", "timestamp", "value", "merge"})
_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MOST_UNPRINTABLE: Final = 20
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class _Reading:
    file: str
    problems: Problems = field(default_factory=Problems)
    nodes: int = 0

    def complain(self, position: Position, code: str, message: str, hint: str = "") -> None:
        self.problems.place(position, code, message, hint)

    def at(self, mark: Any) -> Position:
        return Position(self.file, mark.line + 1, mark.column + 1) if mark else Position(self.file, 1, 1)


def parse(text: str, file: str) -> tuple[Table | None, list[Problem]]:
    """The tree of a declaration, as far as it could be read, and what is wrong with it."""
    reading = _Reading(file)
    node = None
    try:
        node = _read(text, reading)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        reading.complain(reading.at(mark), "yaml", *_words(exc, text, mark))
    except yaml.YAMLError as exc:
        reading.complain(Position(file, 1, 1), "yaml", f"this is no YAML: {exc}", "write the file as UTF-8")
    except TooManyError:
        pass
    except RecursionError:
        reading.complain(Position(file, 1, 1), "yaml", f"it is nested deeper than {DEEPEST} levels")
    if node is not None and not isinstance(node, Table):
        message = "a declaration is a mapping of keys to values"
        reading.complain(node.position, "wrong-type", message, "`greenfield init` writes one that runs")
        return None, reading.problems.found
    if node is None and not reading.problems.found:
        reading.complain(Position(file, 1, 1), "yaml", "the file is empty", "`greenfield init` writes one that runs")
    return node, reading.problems.found


def _read(text: str, reading: _Reading) -> Node | None:
    if len(text) > LARGEST_BYTES:
        message = f"the file is larger than {LARGEST_BYTES >> 20} MiB"
        reading.complain(Position(reading.file, 1, 1), "yaml", message, "is it a declaration?")
        return None
    root = _single_document(_printable(text, reading), reading)
    return _node(root, reading, depth=0, above=()) if root else None


def _printable(text: str, reading: _Reading) -> str:
    """The text with a space for each control character, which are complained of; it is read on if they are few."""
    found = [match for _, match in zip(range(_MOST_UNPRINTABLE), _UNPRINTABLE.finditer(text), strict=False)]
    for match in found if len(found) < _MOST_UNPRINTABLE else found[:1]:
        begin = text.rfind("\n", 0, match.start())
        place = Position(reading.file, text.count("\n", 0, match.start()) + 1, match.start() - begin)
        message = f"this is no text: here stands the control character U+{ord(match[0]):04X}"
        reading.complain(place, "yaml", message, "remove it, or save the file as UTF-8 text")
    if len(found) == _MOST_UNPRINTABLE:
        raise TooManyError
    return _UNPRINTABLE.sub(" ", text) if found else text


def _single_document(text: str, reading: _Reading) -> yaml.Node | None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            reading.complain(reading.at(event.start_mark), "yaml", f"it is nested deeper than {DEEPEST} levels")
            raise TooManyError
    first: yaml.Node | None = None
    for number, document in enumerate(yaml.compose_all(text, Loader=_Loader)):
        if number == 1:
            message = "a second document begins here; a declaration is one document"
            reading.complain(reading.at(document.start_mark), "yaml", message, "remove the `---` before it")
            break
        first = document
    return first


def _words(fault: yaml.MarkedYAMLError, text: str, mark: yaml.Mark | None) -> tuple[str, str]:
    """Message and hint for what the parser says."""
    said, context = fault.problem or "it cannot be read", fault.context or ""
    line = text.split("\n")[mark.line] if mark and mark.line <= text.count("\n") else ""
    began = f" in line {fault.context_mark.line + 1}" if fault.context_mark else ""
    within = context and context != said and fault.context_mark and mark and fault.context_mark.line < mark.line
    if "duplicate anchor" in context:
        return f"an anchor stands here for the second time; the first is{began}", "give one of the two another name"
    message = f"this is no YAML: {said}{f', {context}{began}' if within else ''}"
    if "\\t" in said or "\t" in line[: len(line) - len(line.lstrip())]:
        return message, "YAML does not indent with tabs: use spaces"
    if "cannot start any token" in said:
        return message, "quote a value that begins with @, `, % or a tab"
    if "mapping values are not allowed" in said:
        return message, "quote a value that holds `: `, and look at the indentation"
    if "undefined alias" in said:
        return message, "an alias `*name` needs an anchor `&name` before it; quote a text that begins with `*`"
    if "expected" in said:
        return message, "look at indentation, brackets and quotes here and in the line before"
    return message, ""


def _node(node: yaml.Node, reading: _Reading, *, depth: int, above: tuple[int, ...]) -> Node:
    position = reading.at(node.start_mark)
    reading.nodes += 1
    if reading.nodes > MOST_NODES:
        reading.complain(
            position, "yaml", f"aliases make this more than {MOST_NODES:,} values", "write less, or plainly"
        )
        raise TooManyError
    if depth > DEEPEST:
        reading.complain(position, "yaml", f"with its aliases it is nested deeper than {DEEPEST} levels")
        raise TooManyError
    if id(node) in above:
        reading.complain(position, "yaml", "an alias contains itself", "write out what is meant")
        return Scalar(None, "", position)
    if isinstance(node, yaml.CollectionNode) and node.tag not in {f"{_TAG}map", f"{_TAG}seq"}:
        reading.complain(position, "yaml", f"the tag {node.tag!r} means nothing here", "remove it")
    if isinstance(node, yaml.MappingNode):
        return _table(node, reading, depth=depth, above=(*above, id(node)))
    if isinstance(node, yaml.SequenceNode):
        inside = (*above, id(node))
        return Items(tuple(_node(item, reading, depth=depth + 1, above=inside) for item in node.value), position)
    assert isinstance(node, yaml.ScalarNode)
    return _scalar(node, reading, position)


def _table(node: yaml.MappingNode, reading: _Reading, *, depth: int, above: tuple[int, ...]) -> Table:
    entries: dict[str, Entry] = {}
    inherited: dict[str, Entry] = {}
    for key, value in node.value:
        place = reading.at(key.start_mark)
        if key.tag == f"{_TAG}merge":
            for table in _merged_in(value, reading, depth=depth, above=above):
                inherited = {**table.entries, **inherited}
            continue
        read = _node(value, reading, depth=depth + 1, above=above)
        if not isinstance(key, yaml.ScalarNode):
            reading.complain(place, "wrong-type", "a key is text, not a list or mapping")
        elif key.value in entries:
            first = entries[key.value].key
            message = f"the key {key.value!r} stands here for the second time; the first is in line {first.line}"
            reading.complain(place, "duplicate-key", message, "remove one of the two")
        else:
            _check_key(key, place, reading)
            entries[key.value] = Entry(place, read)
    return Table({**inherited, **entries}, reading.at(node.start_mark))


def _check_key(key: yaml.ScalarNode, place: Position, reading: _Reading) -> None:
    if not key.style and key.tag == f"{_TAG}bool":
        message = f"the key {key.value} is a boolean in YAML, and a name is wanted"
        reading.complain(place, "unquoted-boolean", message, f'quote it: "{key.value}"')


def _merged_in(value: yaml.Node, reading: _Reading, *, depth: int, above: tuple[int, ...]) -> list[Table]:
    nodes = value.value if isinstance(value, yaml.SequenceNode) else [value]
    tables = [_node(node, reading, depth=depth + 1, above=above) for node in nodes]
    for table in tables:
        if not isinstance(table, Table):
            reading.complain(table.position, "wrong-type", "`<<` merges mappings, and this is none")
    return [table for table in tables if isinstance(table, Table)]


def _scalar(node: yaml.ScalarNode, reading: _Reading, position: Position) -> Scalar:
    kind = node.tag.removeprefix(_TAG)
    if "\0" in node.value:
        reading.complain(position, "yaml", "a text holds a NUL character", "no program takes one: remove it")
    if kind not in _KINDS:
        reading.complain(position, "yaml", f"the tag {node.tag!r} means nothing here", "remove it")
        return Scalar(node.value, node.value, position)
    try:
        return Scalar(_value(kind, node.value), node.value, position)
    except (ValueError, OverflowError):
        reading.complain(
            position, "wrong-type", f"{node.value!r} is no {_CALLED[kind]} that can be read", "quote it, if it is text"
        )
        return Scalar(node.value, node.value, position)


def _value(kind: str, text: str) -> str | int | float | bool | None:
    if kind == "null":
        return None
    if kind == "bool":
        return _boolean(text)
    if kind == "int":
        return _integer(text)
    if kind == "float":
        value = float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan").lower())
        if not math.isfinite(value):
            raise ValueError(text)
        return value
    return text


def _boolean(text: str) -> bool:
    if text.lower() not in {"yes", "true", "on", "no", "false", "off"}:
        raise ValueError(text)
    return text.lower() in {"yes", "true", "on"}


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    if ":" in digits or len(digits) > 18:
        raise ValueError(text)
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    if digits.startswith(("0x", "0b")):
        return sign * int(digits, 0)
    return sign * int(digits, 8 if digits.startswith("0") and len(digits) > 1 else 10)
