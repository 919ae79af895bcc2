"""Properties are tried without a clock, and alike each time: neither a slow machine nor bad luck is a mistake."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = ["support.cluster_fixtures"]

settings.register_profile("greenfield", deadline=None, database=None, derandomize=True)
settings.load_profile("greenfield")
