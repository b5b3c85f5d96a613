"""Replicas forget what is old side by side, and wait neither for each other nor for whoever holds a row."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, func, insert, select, text, update

from dc1.domain.access.webhooks import DeliveryStatus, WebhookEvent
from dc1.domain.providers.reports import EventSeverity
from dc1.storage.accounts import idempotency, webhooks
from dc1.storage.cluster import clocks, replicas
from dc1.storage.engine.database import Connection, Database, normalised
from dc1.storage.engine.purging import forget_all
from dc1.storage.providers import daemon_events, providers, telemetry
from dc1.storage.schema import tables
from tests.storage.market import NOW, Market

ROWS = 40
PURGES: dict[str, Callable[[Connection], Any]] = {
    "idempotent_answers": lambda conn: idempotency.purge(conn, NOW, ROWS),
    "webhook_deliveries": lambda conn: webhooks.purge(conn, NOW, ROWS),
    "daemon_events": lambda conn: daemon_events.purge(conn, NOW, ROWS),
    "provider_minutes": lambda conn: telemetry.purge(conn, NOW, ROWS),
    "replicas": replicas.purge,
    "clocks": lambda conn: clocks.note(conn, "this", NOW, NOW),
    "providers": lambda conn: providers.erase_due(conn, NOW),
}


@pytest.fixture
async def old(db: Database) -> None:
    """Old rows in every table that somebody purges."""
    market = Market(db)
    renter, provider = await market.renter(), await market.provider()

    def fill(conn: Connection) -> None:
        for n in range(ROWS):
            answer = idempotency.KeptAnswer("", 200, b"", n)
            idempotency.keep(conn, idempotency.IdempotencyKey("renter:1", "submit", str(n)), answer)
            event = daemon_events.NewDaemonEvent(provider, "started", EventSeverity.INFO, None, n)
            daemon_events.record(conn, event)
            conn.execute(insert(tables.replicas).values(replica_id=str(n), expires_at_ms=n))
            conn.execute(insert(tables.clocks).values(boot=str(n), booted_ms=0, noted_ms=n))
            delivery = {
                "delivery_id": str(n),
                "renter_id": renter,
                "event": WebhookEvent.JOB_COMPLETED,
                "url": "",
                "body": "",
            }
            ended = {"status": DeliveryStatus.FAILED, "created_at_ms": n}
            conn.execute(insert(tables.webhook_deliveries).values(**delivery, **ended))
            sums = {c.name: 0 for c in tables.provider_minutes.c if c.name.endswith(("_sum", "_count"))}
            conn.execute(insert(tables.provider_minutes).values(provider_id=provider, minute_ms=n, **sums))
        conn.execute(update(tables.providers).values(erase_at_ms=1))

    await db.write(fill)


def held(conn: Connection, name: str) -> Any:
    """Another replica, in the middle of its own purge: it has locked half of what is old."""
    half = select(tables.metadata.tables[name]).limit(ROWS // 2 or 1).with_for_update()
    return conn.execute(half).all()


def left(conn: Connection, name: str) -> int:
    return conn.execute(select(func.count()).select_from(tables.metadata.tables[name])).scalar_one()


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_a_purge_passes_over_what_another_replica_has_locked(db: Database, old: None, url: str) -> None:
    other: Engine = create_engine(normalised(url))
    for name, purge in PURGES.items():
        with other.connect() as conn, conn.begin():
            locked = await asyncio.to_thread(held, conn, name)
            assert locked, name
            begun = time.monotonic()
            await asyncio.wait_for(db.write(purge), 8)
            assert time.monotonic() - begun < 2, name
    other.dispose()


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_purges_side_by_side_forget_all_and_meet_no_deadlock(db: Database, old: None) -> None:
    deadlocks = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    for purge in PURGES.values():
        await asyncio.gather(*(db.write(purge) for _ in range(8)))
    assert await db.read(lambda conn: conn.execute(deadlocks).scalar_one()) == 0
    for name in ("idempotent_answers", "webhook_deliveries", "daemon_events", "provider_minutes", "replicas"):
        assert await db.read(partial(left, name=name)) == 0, name


async def test_everything_is_forgotten_some_at_a_time(db: Database, old: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dc1.storage.engine.purging.AT_ONCE", 7)
    turns: list[int] = []

    def forget(conn: Connection, limit: int) -> int:
        turns.append(daemon_events.purge(conn, NOW, limit))
        return turns[-1]

    await forget_all(db, forget)
    assert turns == [7, 7, 7, 7, 7, 5]
