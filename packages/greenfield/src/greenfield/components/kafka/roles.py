"""Who is who at a broker, and what an access means there: the words of Kafka's authorizer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from greenfield.components.kafka import dead_letters


@dataclass(frozen=True, order=True)
class Permission:
    """``principal`` may do ``operation`` on the topic or group of that name, from any host."""

    principal: str
    resource: Literal["topic", "group"]
    name: str
    operation: str


def principal_rules(platform: str) -> str:
    """How a certificate's whole subject becomes a user: no service can be named like a part of the platform.

    A service is its name; a part of the platform has a colon in front, which no name can hold. Any other subject
    matches no rule, and its connection ends.
    """
    services = f"RULE:^CN=([^,]+),OU=service,O={platform}$/$1/"
    return f"{services},RULE:^CN=([^,]+),OU=platform,O={platform}$/{principal_of_platform('$1')}/"


def principal_of_platform(role: str) -> str:
    """The user that a part of the platform is."""
    return f"platform:{role}"


def topic_operations(access: str) -> frozenset[str]:
    """What an access allows on a topic."""
    return frozenset({"WRITE" if access == "produce" else "READ", "DESCRIBE"})


def group_operations(access: str) -> frozenset[str]:
    """What an access allows on the one group that a service may join, which has its name."""
    return frozenset({"READ"} if access == "consume" else ())


def dead_letter_operations(access: str) -> frozenset[str]:
    """What an access allows on the topic of the consumer's own dead letters."""
    return frozenset({"READ", "WRITE", "DESCRIBE"} if access == "consume" else ())


def permissions(grants: Iterable[tuple[str, str, str]]) -> frozenset[Permission]:
    """What grants of (service, topic, access) allow, all together."""
    found: set[Permission] = set()
    for service, topic, access in grants:
        user = f"User:{service}"
        found |= {Permission(user, "topic", topic, operation) for operation in topic_operations(access)}
        found |= {Permission(user, "group", service, operation) for operation in group_operations(access)}
        letters = dead_letters(topic, service)
        found |= {Permission(user, "topic", letters, operation) for operation in dead_letter_operations(access)}
    return frozenset(found)


def watching(user: str, consumed: Iterable[tuple[str, str]]) -> frozenset[Permission]:
    """What it takes to see how far groups are behind in topics, given as (group, topic), and no more."""
    found: set[Permission] = set()
    for group, topic in consumed:
        found |= {
            Permission(f"User:{user}", "topic", topic, "DESCRIBE"),
            Permission(f"User:{user}", "group", group, "DESCRIBE"),
        }
    return frozenset(found)
