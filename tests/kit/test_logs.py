"""What a line of the log holds, and what it never does."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from greenfield_kit import logs

WIRING = {"CACHE_URL": "redis://catalog:s3cret%2Fword@127.0.0.1:6379/0", "PRODUCTS_URL": "postgresql://127.0.0.1/p"}


@pytest.mark.parametrize("shown", ["s3cret/word", "s3cret%2Fword", WIRING["CACHE_URL"]])
def test_a_password_of_the_wiring_is_blotted_out(shown: str) -> None:
    """In a message, in what stands beside it, and in a traceback."""
    formatter = logs.JsonLines(logs.secrets(WIRING))
    try:
        raise RuntimeError(f"cannot reach {shown}")
    except RuntimeError:
        exc_info = sys.exc_info()
    record = logging.LogRecord("shop", logging.ERROR, __file__, 1, "failed: %s", (shown,), exc_info)
    record.reason = shown
    line = formatter.format(record)
    assert "s3cret" not in line
    read = json.loads(line)
    assert read["message"].startswith("failed: ")
    assert "***" in read["message"]
    assert "***" in read["error"]
    assert "***" in read["reason"]


def test_a_short_word_is_no_secret_and_neither_is_a_url_without_a_password() -> None:
    """Else half the log would be blotted out."""
    assert (
        logs.secrets({"A_URL": "redis://a:short@h/0", "B_URL": "http://b:1/x", "C": "redis://a:long-enough@h"}) == set()
    )
