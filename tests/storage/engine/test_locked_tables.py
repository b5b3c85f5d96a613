"""A table that somebody locks, and writes that hang: told soon, refused early, and over by itself."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from dc1.storage.engine import postgres, write_probe
from dc1.storage.engine.database import Connection, Database, normalised
from dc1.storage.engine.unwritable import UnwritableError, unwritable_reason

on_postgresql = pytest.mark.parametrize("engine_name", ["postgresql"])
CHANGE = "UPDATE prices SET rate_halala = rate_halala + 1 WHERE job_type = 'training'"


def change(conn: Connection) -> None:
    conn.execute(text(CHANGE))


@pytest.fixture
async def operator(url: str) -> AsyncIterator[Engine]:
    engine = create_engine(normalised(url))
    yield engine
    engine.dispose()


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_LOCK_MS", 300)
    monkeypatch.setattr(write_probe, "_PAUSE_SECONDS", 0.1)


@on_postgresql
async def test_a_table_that_is_locked_is_told_as_that(short_waits: None, url: str, operator: Engine) -> None:
    db = Database.open(url)
    with operator.begin() as held:
        held.execute(text("LOCK TABLE prices IN ACCESS EXCLUSIVE MODE"))
        begun = time.monotonic()
        with pytest.raises(DBAPIError) as caught:
            await db.write(change)
        assert unwritable_reason(caught.value) == "locked"
        assert time.monotonic() - begun < 5
    await db.write(change)
    await db.close()


@on_postgresql
async def test_writes_behind_a_locked_table_are_refused_early_until_it_is_free(
    monkeypatch: pytest.MonkeyPatch, url: str, operator: Engine
) -> None:
    monkeypatch.setattr(write_probe, "HANGS_SECONDS", 0.3)
    monkeypatch.setattr(write_probe, "_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(postgres, "_LOCK_MS", 2_000)
    db = Database.open(url)
    with operator.begin() as held:
        held.execute(text("LOCK TABLE write_probes IN ACCESS EXCLUSIVE MODE"))
        assert await db.why_unwritable(0.1) == "no_answer"
        await asyncio.sleep(0.5)
        with pytest.raises(UnwritableError):
            await db.write(change)
    freed = time.monotonic()
    while await db.why_unwritable(2) is not None:
        assert time.monotonic() < freed + 5
        await asyncio.sleep(0.05)
    await db.write(change)
    await db.close()


@on_postgresql
async def test_a_role_that_lost_its_rights_is_refused_until_it_has_them(short_waits: None, db: Database) -> None:
    error = None
    try:
        await db.write(lambda conn: conn.execute(text("SET LOCAL ROLE pg_monitor; " + CHANGE)))
    except DBAPIError as refused:
        error = refused
    assert error is not None
    assert unwritable_reason(error) == "read_only"
    assert await db.why_unwritable(5) is None
    await db.write(change)
