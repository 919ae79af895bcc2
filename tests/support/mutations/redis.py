"""Users of Redis."""

from __future__ import annotations

from support.mutations import Made, Mutation


def user(name: str, *rules: str) -> Made:
    """More rules for a user of Redis; without any it is gone."""
    return lambda door: door.redis(name, *rules)


MAY, ONLY = "catalog may write cache", "catalog may only write cache"

REDIS = [
    Mutation("the user is gone", "catalog:cache", MAY, user("catalog")),
    Mutation("the user is off", "catalog:cache", MAY, user("catalog", "off")),
    Mutation("reading is taken", "catalog:cache", MAY, user("catalog", "-@read")),
    Mutation("setting is taken", "catalog:cache", MAY, user("catalog", "-set")),
    Mutation("its keys are taken", "catalog:cache", MAY, user("catalog", "resetkeys")),
    Mutation("its channels are taken", "catalog:cache", MAY, user("catalog", "resetchannels")),
    Mutation("every command", "catalog:cache", ONLY, user("catalog", "+@all")),
    Mutation("one dangerous command", "catalog:cache", ONLY, user("catalog", "+flushall")),
    Mutation("one more command", "catalog:cache", ONLY, user("catalog", "+keys")),
    Mutation("every key", "catalog:cache", ONLY, user("catalog", "~*")),
    Mutation("every key to read", "catalog:cache", ONLY, user("catalog", "%R~*")),
    Mutation("another's keys", "catalog:cache", ONLY, user("catalog", "~storefront:*")),
    Mutation("every channel", "catalog:cache", ONLY, user("catalog", "allchannels")),
    Mutation("a second set of rules", "catalog:cache", ONLY, user("catalog", "(+get ~*)")),
    Mutation("no password", "catalog:cache", "anybody else as catalog at cache", user("catalog", "nopass")),
    Mutation(
        "everybody may read",
        "storefront:cache",
        "notifier without a password at cache",
        user("default", "on", "nopass", "~*", "+@all"),
    ),
]
