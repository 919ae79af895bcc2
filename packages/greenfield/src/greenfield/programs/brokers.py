"""What others than services need to know of a Kafka cluster that Strimzi runs."""

from __future__ import annotations

from typing import Final

from greenfield.model.manifest import Key, Mount

CLIENT_PORT: Final = 9093
"""Of the listener for services: TLS with a client certificate."""


def bootstrap(kafka: str) -> str:
    """The Service by which clients find the brokers."""
    return f"{kafka}-kafka-bootstrap"


def scaler(kafka: str) -> str:
    """The user that asks how far consumers are behind, and nothing else."""
    return f"{kafka}-keda"


def login(kafka: str, user: str) -> Mount:
    """The files by which a user enters: those that Strimzi's user operator makes. It makes no PEM of both."""
    return {
        "ca.crt": Key(f"{kafka}-cluster-ca-cert", "ca.crt"),
        "tls.crt": Key(user, "user.crt"),
        "tls.key": Key(user, "user.key"),
    }
