"""The pages of the documentation: their blocks of code, and the parts that are drawn from the code."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from greenfield.cli.catalogue import catalogue
from greenfield.model.plan import Plan
from greenfield.plan.compile import compile_plan
from greenfield.spec.reader import Source, read

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "packages").glob("*/README.md")])
REWRITE = "GREENFIELD_REWRITE_CASES" in os.environ  # then what is drawn now is written into the page
HEAD = "apiVersion: greenfield/v1\nname: example\n"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_DRAWN = "<!-- drawn: {name} -->\n{text}\n<!-- end -->"


@dataclass(frozen=True)
class Block:
    """A block of code: its language, its text, and the line of its page where it begins."""

    page: Path
    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def declaration(self) -> str:
        """A whole declaration: as it stands, or with a head."""
        return self.text if "apiVersion:" in self.text else f"{HEAD}{self.text}"

    def plan(self) -> Plan:
        """The plan of the declaration that it is; every folder is there."""
        source = Source(self.declaration, str(self), "/site", lambda _: True)
        return compile_plan(read(source, catalogue(), None), catalogue())


def blocks(page: Path, *languages: str) -> list[Block]:
    """The blocks of a page in some languages, in their order."""
    text = page.read_text()
    found = (Block(page, match[1], match[2], text[: match.start()].count("\n") + 1) for match in _BLOCK.finditer(text))
    return [block for block in found if block.language in languages]


def sections(page: Path) -> Iterator[tuple[str, str]]:
    """The headings of the second level, each with what stands below it."""
    _, *parts = re.split(r"^## ", page.read_text(), flags=re.MULTILINE)
    for part in parts:
        heading, _, text = part.partition("\n")
        yield heading.strip(), text


def holds(page: Path, name: str, text: str) -> bool:
    """Whether a page holds, between the marks of that name, exactly this; with ``REWRITE`` it does afterwards."""
    written = page.read_text()
    pattern = re.compile(re.escape(_DRAWN.format(name=name, text="@")).replace("@\\\n", ".*?"), re.DOTALL)
    wanted = _DRAWN.format(name=name, text=text.strip("\n"))
    if REWRITE:
        page.write_text(pattern.sub(lambda _: wanted, written))
        written = page.read_text()
    return wanted in written
