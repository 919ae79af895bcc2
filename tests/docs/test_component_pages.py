"""Every kind has a page, all pages have one shape, and what they name is what the component does."""

from __future__ import annotations

import re

import pytest

from greenfield.cli.catalogue import catalogue
from greenfield.targets.kubernetes.where import cluster
from support.pages import ROOT, blocks, sections

CATALOGUE = catalogue()
FOLDER = ROOT / "docs" / "components"
SHAPE = ["Accesses", "What a service finds", "Locally", "On Kubernetes", "Limits"]
KINDS = [component.kind for component in CATALOGUE]


def test_every_kind_has_a_page_and_every_page_a_kind() -> None:
    """And all of them are on the map."""
    assert {path.stem for path in FOLDER.glob("*.md")} == set(KINDS)
    index = (ROOT / "docs" / "index.md").read_text()
    assert [kind for kind in KINDS if f"(components/{kind}.md)" not in index] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_has_the_shape_of_all(kind: str) -> None:
    """What it is, an example, and then these sections; none is empty."""
    page = FOLDER / f"{kind}.md"
    found = dict(sections(page))
    assert list(found) == SHAPE
    assert all(text.strip() for text in found.values())
    head = page.read_text().partition("\n## ")[0]
    assert head.startswith(f"# {kind}\n\n")
    assert "```yaml" in head
    if CATALOGUE[kind].section is not None:
        assert f"(../settings.md#{kind})" in head


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_a_page_is_of_its_kind_and_the_page_names_its_accesses(kind: str) -> None:
    """All that the kind understands, each in quotes of code."""
    page = FOLDER / f"{kind}.md"
    resources = blocks(page, "yaml")[0].plan().of_kind(kind)
    assert resources
    understood = {access for resource in resources for part in resource.parts for access in part.accesses}
    told = dict(sections(page))["Accesses"]
    assert [access for access in sorted(understood) if f"`{access}`" not in told] == []
    assert understood or told.startswith("\nNone")


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_names_every_object_that_its_example_becomes_on_kubernetes(kind: str) -> None:
    """By its Kubernetes kind."""
    page = FOLDER / f"{kind}.md"
    plan, side = blocks(page, "yaml")[0].plan(), CATALOGUE[kind].kubernetes()
    assert side is not None
    placed = cluster(plan, CATALOGUE)
    objects = {each["kind"] for resource in plan.of_kind(kind) for each in side.manifests(resource, plan, placed)}
    told = dict(sections(page))["On Kubernetes"]
    assert [each for each in sorted(objects) if not re.search(rf"\b{each}s?\b", told)] == []
