"""What a page shows of a terminal, run for real: commands with what they are to answer, and files that are written."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from support.pages import Block, blocks

_FILE = re.compile(r"# (\S+)\n")
_MARK = "=== step"


@dataclass(frozen=True)
class Step:
    """One command line of a page, and the answer that the page promises; ``...`` stands for anything."""

    command: str
    promised: str
    line: int

    def is_kept_by(self, answer: str) -> bool:
        """Whether that is what a terminal shows, stdout and stderr as they come."""
        pattern = "".join(".*" if part == "..." else re.escape(part) for part in re.split(r"(\.\.\.)", self.promised))
        return re.fullmatch(pattern, answer, re.DOTALL) is not None


def steps(block: Block) -> Iterator[Step]:
    """The commands of a ``console`` block."""
    for match in re.finditer(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
        line = block.line + 1 + block.text[: match.start()].count("\n")
        yield Step(match[1], match[2].rstrip("\n"), line)


def tour(page: Path) -> Iterator[Step | tuple[str, str]]:
    """All that a reader does, in order: a step, or a file to be written, as its name and its text.

    A block in another language is a file where its first line is a comment that names it.
    """
    for block in blocks(page, "console", "yaml", "python"):
        if block.language == "console":
            yield from steps(block)
        elif named := _FILE.match(block.text):
            yield named[1], block.text


def typed(
    page: Path, folder: Path, environment: Mapping[str, str], aside: Mapping[str, str], seconds: float
) -> dict[Step, str]:
    """Types it all into one shell in a folder; the answer to each step.

    ``aside`` is what the page does not show: by a command of the page, another one that is run before it.
    """
    lines, found = [], dict[int, Step]()
    for number, each in enumerate(tour(page)):
        if isinstance(each, Step):
            found[number] = each
            if each.command in aside:
                lines.append(f"{aside[each.command]} || exit $?")
            lines.append(f"echo '{_MARK} {number}'; {each.command} || exit $?")
        else:
            name, text = each
            kept = folder / f"{number}.kept"
            kept.write_text(text)
            lines.append(f"cp {kept} {name}")
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    parts = re.split(rf"^{_MARK} (\d+)\n", done.stdout, flags=re.MULTILINE)
    answers = {found[int(number)]: answer.rstrip("\n") for number, answer in zip(parts[1::2], parts[2::2], strict=True)}
    assert done.returncode == 0, f"`{list(answers)[-1].command}` exited {done.returncode}:\n{done.stdout}"
    return answers
