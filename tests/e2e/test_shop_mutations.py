"""One rule of the running shop at a time is dropped or widened behind greenfield's back: `verify --edge` fails.

Two are among the daily tests; the others take minutes, and are for `make soak`.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from support.backdoor import Backdoor
from support.mutations import Mutation
from support.mutations.envoy import ENVOY
from support.mutations.kafka import KAFKA
from support.mutations.mariadb import MARIADB
from support.mutations.mongodb import MONGODB
from support.mutations.postgres import POSTGRES
from support.mutations.redis import REDIS
from support.platform import Platform, wait_for

pytestmark = pytest.mark.e2e

DAILY = ("storefront:catalog: every identity may call", "catalog:cache: no password")


def named_in_report(mutation: Mutation) -> str:
    """As a test's name shows it."""
    return f"{mutation.edge}: {mutation.what}"


@pytest.mark.parametrize(
    "mutation",
    [
        pytest.param(each, id=named_in_report(each), marks=() if named_in_report(each) in DAILY else pytest.mark.soak)
        for each in (*ENVOY, *POSTGRES, *REDIS, *MARIADB, *KAFKA, *MONGODB)
    ],
)
def test_verify_fails_for_a_rule_that_is_not_what_it_was(shop: Platform, mutation: Mutation) -> None:
    """By the check that is meant, and no more once the rule is back."""
    with mutation.made(Backdoor(shop)):
        found = wait_for("verify to fail", partial(failures, shop, mutation.edge), 10)
    said = {check["name"]: check["observed"] for check in found}
    assert mutation.fails in said, said
    assert not said[mutation.fails].startswith("the attempt broke")
    wait_for("verify to succeed", lambda: shop.run("verify", "--edge", mutation.edge).returncode == 0, 10)


def failures(shop: Platform, edge: str) -> list[dict[str, Any]]:
    """The checks of an edge that fail; by them alone does the command."""
    done = shop.run("verify", "--edge", edge, "--format", "json")
    report = json.loads(done.stdout)
    found = [check for check in report["checks"] if check["ok"] is False]
    assert done.returncode == (1 if found else 0), done.stderr
    return found
