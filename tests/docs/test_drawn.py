"""What the pages hold between marks is what the code says now; ``GREENFIELD_REWRITE_CASES=1`` draws it anew."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import greenfield.spec
from greenfield.cli.main import run
from greenfield.spec.schema import schema
from support import drawn
from support.pages import ROOT, blocks, holds

DECLARATION, COMMANDS = ROOT / "docs" / "declaration.md", ROOT / "docs" / "commands.md"
TABLES = {
    "accesses": (DECLARATION, drawn.accesses),
    "wiring of all": (DECLARATION, drawn.wiring_of_all),
    "besides": (DECLARATION, drawn.besides),
    "tiers": (DECLARATION, drawn.tiers),
    "codes": (DECLARATION, drawn.codes),
    "commands": (COMMANDS, drawn.commands),
    "rule tests": (ROOT / "docs" / "components" / "waf.md", drawn.rule_tests),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_drawn_table_is_as_the_code_is(name: str) -> None:
    """Of the declaration, of the commands, and of what the firewall was tried with."""
    page, draw = TABLES[name]
    assert holds(page, name, draw())


@pytest.mark.parametrize("kind", drawn.wirings())
def test_the_page_of_a_kind_shows_what_a_service_finds_of_it(kind: str) -> None:
    """Here and on Kubernetes."""
    assert holds(ROOT / "docs" / "components" / f"{kind}.md", "wiring", drawn.wiring(kind))


@pytest.mark.parametrize(("command", "language", "code"), [("check", "yml", 2), ("plan", "yaml", 0)])
def test_the_json_of_a_command_is_what_it_answers(
    command: str, language: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For the declaration that stands on the same page."""
    (block,) = blocks(COMMANDS, language)
    (tmp_path / "greenfield.yaml").write_text(block.text)
    assert run([command, "-f", str(tmp_path / "greenfield.yaml"), "--format", "json"]) == code
    assert holds(COMMANDS, f"json of {command}", drawn.answered(capsys.readouterr().out, tmp_path))


def test_every_key_of_the_grammar_stands_in_the_example_of_the_declaration() -> None:
    """Those of every kind, too: each is read by the settings that it is a key of."""
    whole = schema(drawn.CATALOGUE)
    example = yaml.safe_load(blocks(DECLARATION, "yaml")[0].text)
    seen = set(_keys(example, whole, whole["$defs"]))
    wanted = {("", key) for key in whole["properties"]}
    wanted |= {(name, key) for name, one in whole["$defs"].items() for key in one["properties"] if _own(name)}
    assert wanted - seen == set()


def _own(name: str) -> bool:
    return not name.startswith("overlay")


def _keys(value: Any, drawn_as: dict[str, Any], definitions: dict[str, Any], within: str = "") -> Iterator[Any]:
    """The keys that a piece of a declaration uses, each with the definition that it belongs to."""
    if "$ref" in drawn_as:
        within = drawn_as["$ref"].removeprefix("#/$defs/")
        drawn_as = definitions[within]
    for choice in (*drawn_as.get("anyOf", ()), *drawn_as.get("oneOf", ())):
        known = definitions[choice["$ref"].removeprefix("#/$defs/")] if "$ref" in choice else choice
        if "properties" in known or "additionalProperties" in known:
            yield from () if _is_other(value, known) else _keys(value, choice, definitions, within)
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        known = drawn_as.get("properties", {}).get(key)
        if known is not None:
            yield within, key
            yield from _keys(inner, known, definitions, within)
        elif isinstance(drawn_as.get("additionalProperties"), dict):
            yield from _keys(inner, drawn_as["additionalProperties"], definitions, within)


def _is_other(value: Any, definition: dict[str, Any]) -> bool:
    """Whether something of one kind cannot be what another kind's settings describe."""
    kind = definition.get("properties", {}).get("kind", {}).get("const")
    return kind is not None and isinstance(value, dict) and value.get("kind") != kind


def test_every_code_of_a_mistake_stands_on_the_page() -> None:
    """Those that the reading of a declaration gives."""
    text = DECLARATION.read_text()
    codes = {code for path in Path(greenfield.spec.__path__[0]).glob("*.py") for code in _codes(path)}
    assert len(codes) > 20
    assert [code for code in sorted(codes) if f"`{code}`" not in text] == []


def _codes(module: Path) -> Iterator[str]:
    """What is handed to a complaint as its code, or returned as the first of code, message and hint."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call):
            texts = [*node.args[1:2], *node.args[3:4]] if _complains(node.func) else []
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            texts = node.value.elts[:1]
        else:
            continue
        for each in texts:
            if isinstance(each, ast.Constant) and re.fullmatch("[a-z]+(-[a-z]+)*", str(each.value)):
                yield str(each.value)


def _complains(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("add", "place", "complain", "Problem")
