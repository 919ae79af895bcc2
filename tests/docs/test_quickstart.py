"""The quick start, typed as it stands by somebody who has nothing yet."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.pages import ROOT, blocks
from support.platform import GREENFIELD
from support.shown import Step, tour, typed

pytestmark = pytest.mark.e2e
PAGE = ROOT / "docs" / "quickstart.md"
COMMANDS = ROOT / "docs" / "commands.md"
FIELDS = {"status": "processes", "verify": "checks"}
ASIDE = " && ".join(
    [
        "greenfield status --format json > ../status.json",
        "greenfield verify --edge hello:cache --format json > ../verify.json",
    ]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where it is done; nothing that ran there lives on, whatever failed."""
    place = tmp_path_factory.mktemp("tour")
    place.chmod(0o700)
    yield place
    if (place / "hello").exists():
        subprocess.run(
            [GREENFIELD, "down", "--volumes", "--yes", "-f", place / "hello" / "greenfield.yaml"], check=True
        )


@pytest.fixture(scope="module")
def answers(folder: Path) -> dict[Step, str]:
    """What a terminal shows after each command."""
    own = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "LOG_LEVEL")}
    path = os.pathsep.join([str(Path(GREENFIELD).parent), own["PATH"]])
    return typed(PAGE, folder, {**own, "PATH": path, "NO_COLOR": "1"}, {"greenfield down": f"{{ {ASIDE}; }}"}, 600)


@pytest.mark.parametrize(
    "step", [pytest.param(each, id=f"{each.line}: {each.command}") for each in tour(PAGE) if isinstance(each, Step)]
)
def test_every_command_answers_as_the_page_says(step: Step, answers: dict[Step, str]) -> None:
    """All of them in one shell, one after the other."""
    assert step.is_kept_by(answers[step]), answers[step]


@pytest.mark.parametrize("command", ["status", "verify"])
def test_the_json_on_the_page_of_commands_has_the_shape_of_what_is_answered(
    command: str, folder: Path, answers: dict[Step, str]
) -> None:
    """The same fields, no more and no less, with values of the same types."""
    (shown,) = [block for block in blocks(COMMANDS, "json") if f'"{FIELDS[command]}"' in block.text]
    assert_same_shape(json.loads(shown.text), json.loads((folder / f"{command}.json").read_text()))


def assert_same_shape(shown: Any, answered: Any, place: str = "$") -> None:
    """Mappings have the same keys; lists hold what the first shown entry is like; null may be anything."""
    if isinstance(shown, dict) and place != "$.urls":
        assert isinstance(answered, dict), place
        assert answered.keys() == shown.keys(), place
        for key, value in shown.items():
            assert_same_shape(value, answered[key], f"{place}.{key}")
    elif isinstance(shown, list) and shown:
        assert isinstance(answered, list), place
        assert answered, place
        for value in answered:
            assert_same_shape(shown[0], value, f"{place}[]")
    elif shown is not None and answered is not None:
        assert type(answered) is type(shown), place
