"""An outbox inside a service: it relays by itself, is ready without Kafka, carries the trace on, and shows its lag."""

from __future__ import annotations

import asyncio
import os
import signal

import httpx
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import Connection, inspect

from greenfield_kit import outbox, relay, telemetry
from greenfield_kit.app import Service
from greenfield_kit.relay import Relay
from kit.outbox_stage import BROKER, Author, Reader, Scene, scene, stage, until
from kit.test_telemetry import PARENT

__all__ = ["scene", "stage"]
pytestmark = pytest.mark.e2e


def test_a_service_relays_what_it_writes_and_is_ready_without_a_broker(scene: Scene) -> None:
    """Requests write while the broker hangs; the messages come once it is back, and the service stops in order."""

    async def story(author: Author, reader: Reader) -> None:
        service = Service("shop")
        engine = (service.postgres if scene.database == "ledger" else service.mysql)(scene.database)
        events = service.outbox(scene.topic, engine)
        app = service.app()

        @app.post("/orders")
        async def order() -> None:
            async with engine.begin() as connection:
                await events.add(connection, "a", b"ordered")

        broker = scene.stage.pid(BROKER)
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop")
        async with app.router.lifespan_context(app), client:
            os.kill(broker, signal.SIGSTOP)
            try:
                assert (await client.post("/orders", headers={"x-request-id": "mine"})).status_code == 200
                ready = await client.get("/health/ready")
            finally:
                os.kill(broker, signal.SIGCONT)
            assert ready.json() == {"ready": True, "connections": {scene.database: "ok"}}
            (message,) = await asyncio.to_thread(reader.until, "ordered")
            assert message.headers["x-request-id"] == "mine"
        assert await scene.waiting(author) == 0

    scene.play(story)


def test_the_trace_goes_on_through_the_relay(scene: Scene, spans: InMemorySpanExporter) -> None:
    """The message is sent within the trace of whoever wrote it, and says so to whoever consumes it."""

    async def story(author: Author, reader: Reader) -> None:
        telemetry.configure()
        with telemetry.span("POST", "server", {}, {"traceparent": PARENT}):
            await author.write("a", "traced")
        async with Relay(author.outbox, author.engine).running():
            (message,) = await asyncio.to_thread(reader.until, "traced")
        telemetry.close()
        written, sent = spans.get_finished_spans()
        assert sent.name == f"send {scene.topic}"
        assert sent.parent is not None
        assert sent.parent.span_id == written.context.span_id
        assert message.headers["traceparent"].split("-")[1:3] == [PARENT.split("-")[1], f"{sent.context.span_id:016x}"]

    scene.play(story)


def test_the_lag_is_shown_by_whoever_leads(scene: Scene) -> None:
    """How many wait and for how long, while the broker takes none; nothing where nobody leads."""

    def shown(part: str) -> dict[str, float]:
        return {attributes["outbox"]: value for value, attributes in relay._read(part)}

    async def story(author: Author, reader: Reader) -> None:
        relaying, broker = Relay(author.outbox, author.engine), scene.stage.pid(BROKER)
        os.kill(broker, signal.SIGSTOP)
        try:
            await author.write("a", "one", "two")
            async with relaying.running():
                await until("both to wait", lambda: shown("waiting").get(scene.topic) == 2)
                await until("a second to pass", lambda: shown("oldest_s")[scene.topic] > 1)
                os.kill(broker, signal.SIGCONT)
                await until("none to wait", lambda: shown("waiting")[scene.topic] == 0)
                assert shown("oldest_s")[scene.topic] == 0
        finally:
            os.kill(broker, signal.SIGCONT)
        assert scene.topic not in shown("waiting")

    scene.play(story)


def test_a_migration_takes_back_what_it_made(scene: Scene) -> None:
    """No table of the outbox is left."""

    def downgrade(connection: Connection) -> None:
        outbox.drop(Operations(MigrationContext.configure(connection)), scene.topic)

    async def story(author: Author, reader: Reader) -> None:
        ours = {table.name for table in author.outbox.tables}
        async with author.engine.begin() as connection:
            assert ours <= set(await connection.run_sync(lambda made: inspect(made).get_table_names()))
            await connection.run_sync(downgrade)
            assert not ours & set(await connection.run_sync(lambda made: inspect(made).get_table_names()))

    scene.play(story)
