"""A clock on the wall that a test moves, for processes that are started with it; what counts seconds goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from greenfield.model.tool import Debian, Tool
from greenfield.toolchain.chain import Toolchain, default_cache
from greenfield.toolchain.progress import Silent

_LIBRARY = "usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
FAKETIME = Tool("faketime", (Debian(("libfaketime",), {"libfaketime": _LIBRARY}),))


class Clock:
    """The clock of every process that has ``environment``. Those may not call ``time.sleep``: this breaks that."""

    def __init__(self, folder: Path) -> None:
        library = Toolchain(default_cache(os.environ), Silent()).obtain([FAKETIME])["faketime"].programs["libfaketime"]
        self._said = folder / "clock"
        self.environment = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self._said),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, hours: int) -> None:
        """So many hours from the truth, from now on; a process that looks at its clock sees it."""
        self._said.write_text(f"{hours:+d}h")
        look = [sys.executable, "-S", "-c", "import time; print(time.time())"]
        seen = float(subprocess.check_output(look, env={**os.environ, **self.environment}))
        assert abs(seen - time.time() - hours * 3600) < 600
