"""The grants of the stand-in for MongoDB."""

from __future__ import annotations

from support.mutations import Made, Mutation


def line(before: str, after: str) -> Made:
    """A line of the stand-in's grants is another one."""
    return lambda door: door.file(
        "data/reviews-store-0/grants", lambda text: text.replace(f"{before}\n", f"{after}\n" if after else "")
    )


PROJECTOR, READER = "CN=projector,OU=service,O=shop", "CN=storefront,OU=service,O=shop"

MONGODB = [
    Mutation(
        "the grant is dropped",
        "projector:activity",
        "projector may own activity",
        line(f"{PROJECTOR}|activity|own", ""),
    ),
    Mutation(
        "the grant is narrowed",
        "projector:activity",
        "projector may own activity",
        line(f"{PROJECTOR}|activity|own", f"{PROJECTOR}|activity|write"),
    ),
    Mutation(
        "a reader may write",
        "storefront:activity",
        "storefront may only read activity",
        line(f"{READER}|activity|read", f"{READER}|activity|write"),
    ),
    Mutation(
        "an owner is the administrator",
        "projector:activity",
        "projector may only own activity",
        line(f"{PROJECTOR}|activity|own", f"{PROJECTOR}|*|admin"),
    ),
    Mutation(
        "another service may read",
        "reviews:ratings",
        "storefront at ratings",
        line(f"{READER}|activity|read", f"{READER}|activity|read\n{READER}|ratings|read"),
    ),
    Mutation(
        "who is not declared may read",
        "reviews:ratings",
        "notifier at ratings",
        line(f"{READER}|activity|read", f"{READER}|activity|read\nCN=notifier,OU=service,O=shop|ratings|read"),
    ),
]
