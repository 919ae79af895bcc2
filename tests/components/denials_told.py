"""A plan of every kind of store, and what a component makes of lines of its logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.hand_made import catalogue_of, plan_of, site_of
from greenfield.components import kafka, mongodb, mysql, postgres, redis
from greenfield.model.denial import (
    Denial,
    Denials,
    Line,
)
from greenfield.model.plan import Plan
from greenfield.targets.local.reading import time_of

STORES = catalogue_of(kafka.COMPONENT, mongodb.COMPONENT, mysql.COMPONENT, postgres.COMPONENT, redis.COMPONENT)
DECLARED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "ledger": ("postgres", {"databases": ["pages", "archive"]}),
    "bills": ("mysql", {"databases": ["invoices", "receipts"]}),
    "papers": ("mongodb", {"databases": ["reviews", "drafts"]}),
    "notes": ("redis", {}),
    "log": ("kafka", {"topics": {"orders": {}, "events": {}}}),
}
USES = {
    "clerk": {"pages": "read", "invoices": "read", "reviews": "write", "notes": "write", "orders": "consume"},
    "reader": {"notes": "read"},
    "desk": {},
}
PLAN = plan_of(STORES, DECLARED, USES)
SITE = site_of(PLAN, STORES)


def denied(side: Denials, name: str, lines: str, plan: Plan = PLAN) -> list[Denial]:
    """What a component makes of the log of a resource's first member."""
    found = [Line(time_of(text) or 0.0, text) for text in lines.strip().splitlines()]
    return list(side.denied(plan.resource(name), plan, SITE, lambda _: found))


def told(found: Sequence[Denial]) -> list[tuple[str, str, str, tuple[str, ...], str]]:
    """All of it but when."""
    return [(each.source, each.target, each.asked, each.accesses, each.why) for each in found]
