"""What the pages show can be run, and what is drawn from the code is as the code is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from greenfield.cli.catalogue import catalogue
from greenfield.cli.main import COMMANDS
from greenfield.spec.reader import Source, check
from greenfield.spec.reference import reference

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "packages").glob("*/README.md")])
EXAMPLES = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}:{page.read_text()[: block.start()].count(chr(10)) + 1}")
    for page in PAGES
    for block in re.finditer(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
]
LINKS = [
    pytest.param(page, link, id=f"{page.relative_to(ROOT)}: {link}")
    for page in PAGES
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
]
CONTEXT = "greenfield" + "/v1"


@pytest.mark.parametrize("block", EXAMPLES)
def test_every_example_has_no_mistake(block: re.Match[str]) -> None:
    """A whole declaration as it stands; a part of one with a head, and what it uses, left out of account."""
    text = block[1]
    whole = "apiVersion:" in text
    if not whole:
        text = f"apiVersion: {CONTEXT}\nname: example\n{text}"
    problems, _ = check(Source(text, "greenfield.yaml", "/example", lambda _: True), catalogue())
    incomplete = {"unknown-name", "route-to-nowhere", "missing-key", "invalid-value"}
    serious = [problem for problem in problems if whole or problem.code not in incomplete]
    assert serious == []


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_every_link_leads_somewhere(page: Path, link: str) -> None:
    """Relative to the page it stands on."""
    assert (page.parent / link).exists()


def test_the_settings_are_those_of_the_code() -> None:
    """Else: `greenfield schema --format markdown > docs/settings.md`."""
    assert (ROOT / "docs/settings.md").read_text().rstrip() == reference(catalogue()).rstrip()


def test_every_command_has_its_place_in_the_documentation() -> None:
    """Under its own heading."""
    text = (ROOT / "docs/commands.md").read_text()
    assert [name for name in COMMANDS if f"`{name}" not in text] == []
