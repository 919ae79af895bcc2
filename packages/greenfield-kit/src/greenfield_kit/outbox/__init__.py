"""The transactional outbox: a message is a row, written in the caller's own transaction and published from there.

Here are the facts and the writing: two tables, and ``Outbox.add``. ``greenfield_kit.relay`` publishes. The rooms below
are the relay's: ``lead`` (who publishes), ``waiting`` (the rows as the leader sees them), ``in_order`` (Kafka).
"""

from greenfield_kit.outbox.tables import Tables, create, drop, tables
from greenfield_kit.outbox.writing import LARGEST, Outbox

__all__ = ["LARGEST", "Outbox", "Tables", "create", "drop", "tables"]
