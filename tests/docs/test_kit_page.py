"""The examples of the kit's pages are run, with the wiring and certificates that a service would find."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.hand_made import claims_of
from greenfield.model.local import LeafClaim
from greenfield.targets.local.pki import Pki
from greenfield_kit.outbox import LARGEST
from greenfield_kit.outbox.in_order import MOST_UNDER_WAY
from greenfield_kit.outbox.lead import SILENT_S
from greenfield_kit.relay import CANDIDATE_S
from support import drawn
from support.pages import ROOT, blocks

PAGES = [ROOT / "docs" / name for name in ("kit.md", "kit/outbox.md", "kit/consumer.md")]
_LAST = "\nassert [route.path for route in app.routes if route.path.startswith('/health')]\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_are_one_service(page: Path, tmp_path: Path) -> None:
    """Its connections are opened by nobody yet, so that nothing has to run."""
    plan = drawn.planned()
    leaves = [claim for claim in claims_of(plan, drawn.CATALOGUE) if isinstance(claim, LeafClaim)]
    Pki(tmp_path / ".greenfield" / "pki", plan.name).leaves(leaves)
    variables = {
        name: here.replace("/shop/", f"{tmp_path}/").replace("%2Fshop%2F", f"{tmp_path}/".replace("/", "%2F"))
        for _, known in drawn.wirings().values()
        for name, (here, _) in known.items()
    }
    text = "\n".join(block.text for block in blocks(page, "python"))
    done = subprocess.run(
        [sys.executable, "-c", text + _LAST],
        env={"PATH": os.environ["PATH"], "OTEL_SDK_DISABLED": "true", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_page_of_the_outbox_tells_the_numbers_of_the_code() -> None:
    """What it says in bytes, seconds and messages."""
    page = (ROOT / "docs" / "kit" / "outbox.md").read_text()
    for said in (
        f"larger than {LARGEST:,} bytes",
        f"in {SILENT_S + CANDIDATE_S:g} s from one that hangs",
        f"hung for longer than {SILENT_S:g} s",
        f"once {MOST_UNDER_WAY:,} of its messages",
    ):
        assert said in page
