"""The JSON schema that editors read says what `check` says, as far as a schema can."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from greenfield.cli.catalogue import catalogue
from greenfield.spec.reader import Source, check
from greenfield.spec.schema import schema
from support.schema import faults

ROOT = Path(__file__).parents[2]
SCHEMA = schema(catalogue())
PLACES = ("examples", "packages/greenfield/src", "tests/cases/platforms", "tests/e2e")
RIGHT = sorted(file for place in PLACES for file in (ROOT / place).rglob("*.yaml") if ".sealed" not in file.suffixes)
WRONG = sorted((ROOT / "tests/cases/wrong").glob("*.yaml"))
SEEN = {"unknown-key", "missing-key", "wrong-type", "unknown-kind", "out-of-range", "unquoted-boolean"}
"""Mistakes that a schema sees without a look at other lines."""
YAML_ONLY = re.compile(r"that can be read|`<<` merges|a key is text|the key .* is a boolean")
"""Mistakes that are gone, or make the file unreadable, once YAML has become JSON."""


def said(file: Path) -> list[str]:
    """The problems that a schema should see, too."""
    problems, _ = check(Source(file.read_text(), str(file), "/shop", lambda _: True), catalogue())
    return [str(each) for each in problems if each.code in SEEN and not YAML_ONLY.search(each.message)]


def as_json(file: Path) -> Any:
    """The file as an editor hands it to a schema; None where it cannot be read."""
    try:
        text = file.read_text().replace("NAME", "name")  # `init` fills that in
        return json.loads(json.dumps(yaml.safe_load(text), default=str))
    except (yaml.YAMLError, ValueError, TypeError):
        return None


@pytest.mark.parametrize("file", RIGHT, ids=lambda file: str(file.relative_to(ROOT)))
def test_it_accepts_every_declaration_of_the_repository(file: Path) -> None:
    """Those that `check` accepts."""
    assert "apiVersion: greenfield" in file.read_text()
    assert faults(as_json(file), SCHEMA) == []


@pytest.mark.parametrize("file", [file for file in WRONG if as_json(file) and said(file)], ids=lambda file: file.stem)
def test_it_refuses_what_check_refuses(file: Path) -> None:
    """Where the mistake shows without a look at other lines."""
    assert faults(as_json(file), SCHEMA) != []


def test_every_field_is_described() -> None:
    """An editor shows it where somebody types."""
    for name, definition in SCHEMA["$defs"].items():
        for key, field in definition["properties"].items():
            assert field.get("description"), f"{name}.{key}"


def test_an_overlay_may_say_one_key_of_a_thing() -> None:
    """What the base says need not be repeated."""
    head = {"apiVersion": "greenfield/v1", "name": "shop", "environments": {}}
    overlay: dict[str, Any] = {"services": {"catalog": {"replicas": "2..4"}}, "datastores": {"cache": {"nodes": 3}}}
    assert faults({**head, "environments": {"prod": overlay}}, SCHEMA) == []
    assert faults({**head, **overlay}, SCHEMA) != []
    assert faults({**head, "environments": {"prod": {"services": {"catalog": {"replics": 2}}}}}, SCHEMA) != []
