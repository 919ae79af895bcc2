"""``--help`` answers at once: it loads the words of a command, and nothing that the command does."""

from __future__ import annotations

import json
import subprocess
import sys

from greenfield.cli.main import COMMANDS

ASKING = """
import contextlib, io, json, sys
from greenfield.cli.main import run
for command in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as told:
        assert run([*command.split(), "--help"]) == 0
    assert "Usage: greenfield" in told.getvalue()
print(json.dumps(sorted(sys.modules)))
"""
GROUPS = {"secrets": ("list", "seal")}


def test_help_of_no_command_imports_what_the_command_needs() -> None:
    """No model, no plan, no target; of other packages click alone, which writes it."""
    commands = ["", *COMMANDS, *(f"{group} {name}" for group, names in GROUPS.items() for name in names)]
    line = [sys.executable, "-I", "-c", ASKING, json.dumps(commands)]
    loaded = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
    ours = {name for name in loaded if name.startswith("greenfield.") and not name.startswith("greenfield.cli.")}
    assert ours <= {"greenfield.cli", "greenfield.errors"}
    heavy = {"asyncio", "pydantic", "yaml", "msgspec", "rich", "cryptography", "httpx", "aiohttp", "importlib.metadata"}
    assert heavy & set(loaded) == set()
