"""Kafka's rules."""

from __future__ import annotations

from support.mutations import Made, Mutation


def rule(principal: str, kind: str, name: str, operation: str) -> Made:
    """A rule of Kafka's that is turned over: gone where it was, there where it was not."""
    return lambda door: door.kafka(f"User:{principal}", kind, name, operation)


KAFKA = [
    Mutation(
        "producing is dropped",
        "storefront:orders",
        "storefront may produce orders",
        rule("storefront", "TOPIC", "orders", "WRITE"),
    ),
    Mutation(
        "consuming is dropped",
        "invoicer:orders",
        "invoicer may consume orders",
        rule("invoicer", "TOPIC", "orders", "READ"),
    ),
    Mutation(
        "the group is dropped",
        "invoicer:orders",
        "invoicer may consume orders",
        rule("invoicer", "GROUP", "invoicer", "READ"),
    ),
    Mutation(
        "the dead letters are dropped",
        "invoicer:orders",
        "invoicer may keep its dead letters of orders",
        rule("invoicer", "TOPIC", "orders.invoicer.dead-letters", "WRITE"),
    ),
    Mutation(
        "everybody may read", "storefront:orders", "notifier at orders is refused", rule("*", "TOPIC", "orders", "READ")
    ),
    Mutation(
        "everybody may describe every topic",
        "invoicer:events",
        "storefront at events is refused",
        rule("*", "TOPIC", "*", "DESCRIBE"),
    ),
    Mutation(
        "a producer may read",
        "storefront:orders",
        "storefront may only produce orders",
        rule("storefront", "TOPIC", "orders", "READ"),
    ),
    Mutation(
        "a consumer may delete",
        "invoicer:orders",
        "invoicer may only consume orders",
        rule("invoicer", "TOPIC", "orders", "DELETE"),
    ),
    Mutation(
        "another may join the group",
        "invoicer:orders",
        "what no edge asks for is refused",
        rule("projector", "GROUP", "invoicer", "READ"),
    ),
    Mutation(
        "everybody may join every group",
        "projector:events",
        "what no edge asks for is refused",
        rule("*", "GROUP", "*", "READ"),
    ),
    Mutation(
        "a service may make topics",
        "invoicer:orders",
        "what no edge asks for is refused",
        rule("invoicer", "BROKER", "kafka-cluster", "CREATE"),
    ),
    Mutation(
        "everybody may alter the rules",
        "invoicer:orders",
        "what no edge asks for is refused",
        rule("*", "BROKER", "kafka-cluster", "ALTER"),
    ),
]
