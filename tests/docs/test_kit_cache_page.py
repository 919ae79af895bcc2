"""The examples of the cache's page are run, on a real Redis; its numbers are those of the code."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from benchmarks.redis_alone import redis_alone

from greenfield_kit.cache import Policy
from support.pages import ROOT, blocks

PAGE = ROOT / "docs" / "kit" / "cache.md"


def test_the_examples_of_the_page_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product is found once, and then is in the cache."""
    found: list[str] = []
    names: dict[str, Any] = {}

    async def find(sku: str) -> Any:
        found.append(sku)
        return names["Product"](sku=sku, price=1290)

    async def story() -> None:
        names["find"] = find
        for block in blocks(PAGE, "python"):
            exec(compile(block.text, str(block), "exec"), names)
        try:
            assert await names["product"]("fern") == await names["product"]("fern")
        finally:
            await names["cache"].close()

    with redis_alone() as server:
        for name, value in server.wiring.items():
            monkeypatch.setenv(name, value)
        asyncio.run(story())
    assert found == ["fern"]


def test_the_page_tells_the_numbers_of_the_policy() -> None:
    """What it says in seconds is what `Policy` has."""
    page = " ".join(PAGE.read_text().split())
    policy = Policy()
    for said in (
        f"waited for {policy.answer:g} s",
        f"{policy.lease:g} s to live",
        f"does so for {policy.patience:g} s",
        f"over {policy.slow:g} s or fails",
        f"for {policy.absent:g} s or `ttl`",
    ):
        assert said in page
    assert policy.jitter == 0.1
