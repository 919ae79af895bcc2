"""Sidecars and the gateway: who may call, what, and whom they trust."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from support.backdoor import Policies
from support.mutations import Mutation

ANYBODY = {"any": True}


def dropped(name: str) -> Callable[[Policies], None]:
    """The policy of that name is none any more."""

    def change(policies: Policies) -> None:
        del policies[name]

    return change


def anybody(name: str) -> Callable[[Policies], None]:
    """The policy of that name lets in every identity that the authority vouches for."""
    return lambda policies: policies[name].update(principals=[ANYBODY])


def named(name: str, service: str) -> Callable[[Policies], None]:
    """The policy of that name is one service's, too."""
    identity = {"authenticated": {"principal_name": {"exact": f"spiffe://cluster.local/ns/shop/sa/{service}"}}}
    return lambda policies: policies[name]["principals"].append(identity)


def permitted(name: str, number: int, rule: dict[str, Any]) -> Callable[[Policies], None]:
    """Of a policy's method (0) and path (1) the one is another."""

    def change(policies: Policies) -> None:
        policies[name]["permissions"][0]["and_rules"]["rules"][number] = rule

    return change


def pathed(**path: str) -> dict[str, Any]:
    """A permission by path."""
    return {"url_path": {"path": path}}


def method(**match: Any) -> dict[str, Any]:
    """A permission by method."""
    return {"header": {"name": ":method", "string_match": match}}


ENVOY = [
    Mutation(
        "the caller is dropped",
        "storefront:catalog",
        "storefront may call catalog",
        lambda door: door.policies("catalog", dropped("accepts-0")),
    ),
    Mutation(
        "every identity may call",
        "storefront:catalog",
        "notifier at catalog-0",
        lambda door: door.policies("catalog", anybody("accepts-0")),
    ),
    Mutation(
        "another service may call",
        "catalog:billing",
        "projector at billing-0",
        lambda door: door.policies("billing", named("accepts-0", "projector")),
    ),
    Mutation(
        "every identity may do what the gateway may",
        "gateway:reviews",
        "an undeclared service at reviews-0",
        lambda door: door.policies("reviews", anybody("routes")),
    ),
    Mutation(
        "the gateway is dropped",
        "gateway:reviews",
        "gateway routes /api/reviews to reviews",
        lambda door: door.policies("reviews", dropped("routes")),
    ),
    Mutation(
        "every path is accepted",
        "storefront:catalog",
        "storefront may not ask more of catalog",
        lambda door: door.policies("catalog", permitted("accepts-0", 1, pathed(prefix="/"))),
    ),
    Mutation(
        "a wider path is accepted",
        "storefront:catalog",
        "storefront may not ask more of catalog",
        lambda door: door.policies("catalog", permitted("accepts-0", 1, pathed(prefix="/api/"))),
    ),
    Mutation(
        "all below the path is accepted",
        "billing:reviews",
        "billing may not ask more of reviews",
        lambda door: door.policies("reviews", permitted("accepts-0", 1, pathed(prefix="/api/ratings"))),
    ),
    Mutation(
        "every method is accepted",
        "catalog:billing",
        "catalog may not ask more of billing",
        lambda door: door.policies("billing", permitted("accepts-0", 0, method(safe_regex={"regex": ".*"}))),
    ),
    Mutation(
        "one more method is accepted",
        "catalog:billing",
        "catalog may not ask more of billing",
        lambda door: door.policies("billing", permitted("accepts-0", 0, method(safe_regex={"regex": "GET|PUT"}))),
    ),
    Mutation(
        "another method is accepted",
        "billing:reviews",
        "billing may call reviews",
        lambda door: door.policies("reviews", permitted("accepts-0", 0, method(exact="PUT"))),
    ),
    Mutation(
        "a route is dropped",
        "gateway:storefront",
        "gateway routes / to storefront",
        lambda door: door.file(
            "scratch/gateway-0/rds.json", lambda text: text.replace('"prefix": "/"', '"prefix": "/x"')
        ),
    ),
    Mutation(
        "every authority is trusted",
        "billing:reviews",
        "another authority at reviews-0",
        lambda door: door.file("scratch/reviews-0-sidecar-*/sds-trust.json", untrusting),
    ),
]


def untrusting(text: str) -> str:
    """A sidecar's word on whom to trust, that trusts whoever shows a certificate."""
    trust = json.loads(text)
    trust["resources"][0]["validation_context"]["trust_chain_verification"] = "ACCEPT_UNTRUSTED"
    return json.dumps(trust)
