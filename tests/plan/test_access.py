"""What a change of the declaration lets anyone do that could not before, in words."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from greenfield.cli.catalogue import catalogue
from greenfield.cli.main import run
from greenfield.plan.access import difference, rights
from greenfield.plan.compile import compile_plan
from greenfield.spec.reader import Source, read

BASE = """\
apiVersion: greenfield/v1
name: shop
gateway: {host: shop.localhost, routes: {/: web}}
services:
  web: {app: "a:b", uses: {items: USES, billing: call}}
  billing: {app: "a:b", accepts: [GET /prices/*]}
datastores: {items: {kind: postgres}, cache: {kind: redis}}
brokers: {kafka: {kind: kafka, topics: {orders: {}}}}
"""
WRITES = BASE.replace("USES", "write")


def sentences(before: str, after: str) -> list[str]:
    """The difference between two declarations."""
    components = catalogue()
    both = [
        rights(compile_plan(read(Source(text, "f", "/f", lambda _: True), components, None), components), components)
        for text in (before, after)
    ]
    return difference(*both).sentences()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("write", "write"), []),
        (("items: write", "items: own"), ["web may now change the schema of items"]),
        (("items: write", "items: read"), ["web may no longer write items"]),
        (("items: write, ", ""), ["web may no longer read items", "web may no longer write items"]),
        (("items: write", "items: write, cache: read"), ["web may now read cache"]),
        (("items: write", "items: write, orders: [consume, produce]"),
         ["web may now consume orders", "web may now produce to orders"]),
        (("/: web", "/: web, /pay: billing"), ["people may now ask billing for /pay"]),
        ((", accepts: [GET /prices/*]", ""), ["web may now call billing for anything"]),
        (("[GET /prices/*]", "[GET /prices/*, POST /pay]"), ["web may now ask billing for POST /pay"]),
        (("[GET /prices/*]", "[GET /prices/1]"),
         ["web may now ask billing for GET /prices/1", "web may no longer ask billing for GET /prices/*"]),
    ],
)  # fmt: skip
def test_a_change_is_told_as_what_it_allows(change: tuple[str, str], expected: list[str]) -> None:
    """One sentence for each right that came or went."""
    assert sentences(WRITES, WRITES.replace(*change)) == expected


def test_who_may_ask_anything_loses_by_being_narrowed() -> None:
    """And gains nothing by it."""
    free = WRITES.replace(", accepts: [GET /prices/*]", "")
    assert sentences(free, WRITES) == ["web may no longer call billing for anything"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose declaration has changed since its one commit."""
    file = tmp_path / "greenfield.yaml"
    file.write_text(WRITES)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "a"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    file.write_text(WRITES.replace("items: write", "items: own"))
    return file


def test_the_command_compares_with_a_revision(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As text, and as JSON."""
    assert run(["plan", "-f", str(repository), "--against", "HEAD"]) == 0
    assert capsys.readouterr().out.strip() == "web may now change the schema of items"
    assert run(["plan", "-f", str(repository), "--against", "HEAD", "--format", "json"]) == 0
    assert '"gained": [{"source": "web", "access": "own", "target": "items"' in capsys.readouterr().out


def test_a_comparison_is_no_flowchart(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said, rather than answered as text."""
    assert run(["plan", "-f", str(repository), "--against", "HEAD", "--format", "mermaid"]) == 2
    assert "--against draws no flowchart" in capsys.readouterr().err


@pytest.mark.parametrize("revision", ["nowhere", "--output=x", ""])
def test_an_unknown_revision_is_told(repository: Path, capsys: pytest.CaptureFixture[str], revision: str) -> None:
    """With a hint, as a wrong argument."""
    assert run(["plan", "-f", str(repository), "--against", revision]) == 2
    assert "such as main, or HEAD~1" in capsys.readouterr().err
