"""Two outboxes, whose messages somebody else writes."""

from __future__ import annotations

from greenfield_kit.app import Service

service = Service("post")
ledger = service.postgres("ledger")
invoices = service.mysql("invoices")
entries = service.outbox("entries", ledger)
bills = service.outbox("bills", invoices)
app = service.app()
