"""Bad input of every kind, to every service of the shop that answers requests: no error of ours, nothing undocumented.

What the mesh and the firewall would refuse reaches the services here: each is asked on its own socket.
"""

from __future__ import annotations

import pytest

from support.fuzz import Run, fuzzed
from support.platform import Platform

pytestmark = pytest.mark.e2e

ANSWERING = ("storefront", "catalog", "billing", "reviews")
SHORT, LONG = Run(examples=20), Run(examples=1000, phases="examples,coverage,fuzzing,stateful")


@pytest.mark.parametrize("service", ANSWERING)
def test_a_service_holds_what_its_document_promises(shop: Platform, service: str) -> None:
    """A few dozen requests of each operation, as they should be and as they should not."""
    found = fuzzed(address(shop, service), SHORT)
    assert not found, found


@pytest.mark.soak
@pytest.mark.parametrize("service", ANSWERING)
def test_it_holds_for_long(shop: Platform, service: str) -> None:
    """The same with a thousand of each."""
    found = fuzzed(address(shop, service), LONG)
    assert not found, found


def address(shop: Platform, service: str) -> str:
    """Where the program itself listens."""
    return next(str(row["address"]) for row in shop.status()["processes"] if row["name"] == f"{service}-0")
