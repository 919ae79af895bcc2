"""What brokers are told alike on this machine and on a cluster."""

from __future__ import annotations

from collections.abc import Mapping

from greenfield.components.kafka import Settings
from greenfield.model.quantity import TIERS
from greenfield.programs.quantities import TierName

# The heap's share of the tier: the rest is the page cache, where Kafka keeps what is read soon. Below 192 MiB the
# broker's own caches do not fit.
_HEAP_SHARE, _LEAST_HEAP_MIB = 4, 192


def durability(settings: Settings) -> Mapping[str, int | bool]:
    """How many copies there are of everything, and how many must be written before a producer is answered."""
    copies = min(3, settings.nodes)
    return {
        "auto.create.topics.enable": False,
        "unclean.leader.election.enable": False,
        "default.replication.factor": copies,
        "min.insync.replicas": max(1, copies - 1),
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": max(1, copies - 1),
    }


def heap_mib(size: TierName) -> int:
    """The heap of a broker."""
    return max(_LEAST_HEAP_MIB, TIERS[size].memory_request // _HEAP_SHARE)
