"""Properties are tried without a clock: a slow machine is no mistake."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("greenfield", deadline=None, database=None)
settings.load_profile("greenfield")
