"""The example of the kit's page is run, with the wiring and certificates that a service would find."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.hand_made import claims_of
from greenfield.model.local import LeafClaim
from greenfield.targets.local.pki import Pki
from support import drawn
from support.pages import ROOT, blocks

PAGES = ("kit.md", "kit/consumer.md")
_LAST = "\nassert [route.path for route in app.routes if route.path.startswith('/health')]\n"


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_the_page_are_one_service(page: str, tmp_path: Path) -> None:
    """Its connections are opened by nobody yet, so that nothing has to run."""
    plan = drawn.planned()
    leaves = [claim for claim in claims_of(plan, drawn.CATALOGUE) if isinstance(claim, LeafClaim)]
    Pki(tmp_path / ".greenfield" / "pki", plan.name).leaves(leaves)
    variables = {
        name: here.replace("/shop/", f"{tmp_path}/").replace("%2Fshop%2F", f"{tmp_path}/".replace("/", "%2F"))
        for _, known in drawn.wirings().values()
        for name, (here, _) in known.items()
    }
    text = "\n".join(block.text for block in blocks(ROOT / "docs" / page, "python"))
    done = subprocess.run(
        [sys.executable, "-c", text + _LAST],
        env={"PATH": os.environ["PATH"], "OTEL_SDK_DISABLED": "true", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
