"""What the pages show can be run, links lead somewhere, and what is drawn from the code is as the code is."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from contracts.hand_made import site_of
from greenfield.cli.catalogue import catalogue
from greenfield.cli.main import COMMANDS, greenfield
from greenfield.model.declaration import Declaration
from greenfield.plan.compile import compile_plan
from greenfield.spec.reader import Reader, Source
from greenfield.spec.reference import reference
from greenfield.targets.local.graph import build
from support.pages import PAGES, ROOT, Block, blocks

CATALOGUE = catalogue()
EXAMPLES = [pytest.param(block, id=str(block)) for page in PAGES for block in blocks(page, "yaml")]
CALLS = [
    pytest.param(page, command, words, id=f"{page.relative_to(ROOT)}: {command}{words}")
    for page in PAGES
    for command, words in re.findall(
        r"(?:`|\$ |^    |bin/)greenfield ([a-z]+)([^`\n|#]*)", page.read_text(), re.MULTILINE
    )
]
NOT_HERE_YET = {"etcd"}
LINKS = [
    pytest.param(page, link, id=f"{page.relative_to(ROOT)}: {link}")
    for page in PAGES
    for link in re.findall(r"\]\(([^):]+)\)", page.read_text())
]


def declared(block: Block) -> Declaration:
    """The environment that `up` would take."""
    reader = Reader(Source(block.declaration, str(block), "/site", lambda _: True), CATALOGUE)
    assert reader.check() == []
    return reader.read("local" if "local" in reader.environments else None)


@pytest.mark.parametrize(("page", "command", "words"), CALLS)
def test_every_command_line_on_a_page_can_be_typed(page: Path, command: str, words: str) -> None:
    """There is such a command, and it has such options."""
    assert isinstance(greenfield, click.Group)
    found = greenfield.get_command(click.Context(greenfield), command)
    assert found is not None
    known = {name for each in _with_inner(found) for param in each.params for name in param.opts}
    asked = re.findall(r"(?<!\S)--[a-z][a-z-]*", words.partition(" -- ")[0])
    assert [option for option in asked if option not in known] == []


def _with_inner(command: click.Command) -> list[click.Command]:
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    return [command, *inner]


@pytest.mark.parametrize("block", EXAMPLES)
def test_every_example_is_a_plan_and_where_all_of_it_runs_here_a_graph(block: Block) -> None:
    """Whole, or with a head. Patches for this target match what is there."""
    declaration = declared(block)
    plan = compile_plan(declaration, CATALOGUE)
    assert plan.refusals == ()
    if absent := {resource.kind for resource in plan.resources if CATALOGUE[resource.kind].local() is None}:
        assert absent <= NOT_HERE_YET
        return
    graph = build(declaration, plan, CATALOGUE, site_of(plan, CATALOGUE))
    assert {process.resource for process in graph.processes} == {r.name for r in plan.resources if r.members}


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_every_link_leads_somewhere(page: Path, link: str) -> None:
    """Relative to the page it stands on; to a heading where it names one."""
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    assert target.exists()
    assert not anchor or anchor in anchors(target)


def anchors(page: Path) -> set[str]:
    """Those of the headings of a page, as they are made of them where Markdown is shown."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_can_be_reached_from_the_map() -> None:
    """By links alone, from the first page of the documentation."""
    reached, left = set[Path](), [ROOT / "docs" / "index.md"]
    while left:
        page = left.pop()
        if page.suffix == ".md" and page not in reached:
            reached.add(page)
            found = re.findall(r"\]\(([^):#]+)", page.read_text())
            left += [each for link in found for each in below((page.parent / link).resolve())]
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} <= reached


def below(path: Path) -> list[Path]:
    """A page, or the pages of a folder."""
    return sorted(path.glob("*.md")) if path.is_dir() else [path]


def test_the_settings_are_those_of_the_code() -> None:
    """Else: `greenfield schema --format markdown > docs/settings.md`."""
    assert (ROOT / "docs/settings.md").read_text().rstrip() == reference(CATALOGUE).rstrip()


def test_every_command_has_its_place_in_the_documentation() -> None:
    """Under its own heading."""
    text = (ROOT / "docs/commands.md").read_text()
    assert [name for name in COMMANDS if f"\n### {name}\n" not in text] == []
