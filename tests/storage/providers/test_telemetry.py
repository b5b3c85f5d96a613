import asyncio
import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text

from dc1.control.background.telemetry_upkeep import TelemetryUpkeep
from dc1.control.fleet.telemetry import Telemetry
from dc1.domain.base.clock import DAY_MS
from dc1.domain.providers.telemetry import MINUTE_MS, PERIODS, Rollup
from dc1.storage.engine.database import Database, normalised
from dc1.storage.engine.migrate import downgrade, upgrade
from dc1.storage.providers import telemetry
from dc1.testing.clock import ManualClock
from tests.storage.market import NOW, Market

HOUR, WEEK = PERIODS["1h"], PERIODS["7d"]
MINUTE = NOW - NOW % MINUTE_MS


@pytest.fixture
def market(db: Database) -> Market:
    return Market(db)


def reading(power_w: float, count: int = 1) -> Rollup:
    rollup = Rollup()
    for _ in range(count):
        rollup.fold({"power_w": power_w})
    return rollup


async def powers(market: Market, provider_id: int) -> dict[int, float | None]:
    spans = await market.see(telemetry.read, provider_id, HOUR, NOW)
    return {at_ms: rollup.means()["power_w"] for at_ms, rollup in spans.items()}


async def test_minutes_of_many_providers_are_stored_at_once(market: Market) -> None:
    first, second = await market.provider(), await market.provider()
    minutes = {
        MINUTE - MINUTE_MS: {first: reading(100)},
        MINUTE: {first: reading(200, 3), second: reading(50.5)},
    }
    await market.do(telemetry.store, minutes)
    assert await powers(market, first) == {MINUTE - MINUTE_MS: 100, MINUTE: 200}
    assert await powers(market, second) == {MINUTE: 50.5}
    assert await powers(market, 99) == {}
    await market.do(telemetry.store, {})


async def test_a_minute_that_comes_in_parts_is_one(market: Market) -> None:
    provider = await market.provider()
    parts = [{MINUTE: {provider: reading(100)}}, {MINUTE: {provider: reading(200, 3)}}]
    await asyncio.gather(*[market.do(telemetry.store, part) for part in parts])
    assert await powers(market, provider) == {MINUTE: 175}


async def test_spans_gather_their_minutes(market: Market) -> None:
    provider = await market.provider()
    spans = [WEEK.start_of(NOW), WEEK.start_of(NOW) - WEEK.span_ms]
    for start in spans:
        minutes = {start + n * MINUTE_MS: {provider: reading(n)} for n in range(5)}
        await market.do(telemetry.store, minutes)
    found = await market.see(telemetry.read, provider, WEEK, NOW)
    assert {at_ms: rollup.means()["power_w"] for at_ms, rollup in found.items()} == dict.fromkeys(spans, 2)
    assert {rollup.counts[2] for rollup in found.values()} == {5}


async def test_old_minutes_are_forgotten(market: Market) -> None:
    provider = await market.provider()
    await market.do(telemetry.store, {MINUTE - n * MINUTE_MS: {provider: reading(n)} for n in range(3)})
    await market.do(telemetry.purge, MINUTE - MINUTE_MS, 10)
    assert await powers(market, provider) == {MINUTE: 0, MINUTE - MINUTE_MS: 1}


async def test_a_flush_that_fails_is_tried_again(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    provider, clock, pending = await market.provider(), ManualClock(NOW), Telemetry()
    pending.fold(provider, {"power_w": 100}, NOW)
    clock.advance(60)
    upkeep = TelemetryUpkeep(market.db, clock, pending)
    refused = asyncio.Event()

    async def refuse(*_: object, **__: object) -> None:
        refused.set()
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(market.db, "write", refuse)
        await upkeep.start()
        await asyncio.wait_for(refused.wait(), 5)
    pending.fold(provider, {"power_w": 200}, NOW)
    pending.fold(provider, {"power_w": 300}, clock.now_ms())
    await upkeep.stop()
    assert await powers(market, provider) == {MINUTE: 150, MINUTE + MINUTE_MS: 300}
    assert pending.of(provider, HOUR, clock.now_ms()) == {}


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_a_day_that_is_old_goes_with_its_part_and_no_row_is_lost_before(market: Market) -> None:
    """Also those of days that no part was made for in time, and while somebody reads all of the table."""
    provider = await market.provider()
    today = int(time.time() * 1000) // DAY_MS * DAY_MS
    days = [today + n * DAY_MS for n in (-1, 0, 1, 3, 30)]
    for day in days:
        await market.do(telemetry.store, {day: {provider: reading(1)}})

    async def left() -> list[int]:
        return sorted(await market.see(telemetry.latest, provider, 99))

    await market.do(telemetry.tend, days[-1], 0)
    assert await left() == days
    assert f"provider_minutes_{datetime.fromtimestamp(days[-1] / 1000, UTC):%Y%m%d}" in await market.see(parts)
    # Held up by a reader for a moment, it is left for the next time, and nobody waits behind it.
    reader: Engine = create_engine(market.db.url)
    with reader.connect() as conn, conn.begin():
        await asyncio.to_thread(conn.execute, text("SELECT count(*) FROM provider_minutes"))
        await market.do(telemetry.tend, days[-1], today + 2 * DAY_MS)
        assert await left() == days
    reader.dispose()
    await market.do(telemetry.tend, days[-1], today + 2 * DAY_MS)
    assert await left() == days[3:]
    await market.do(telemetry.tend, days[-1], days[-1])
    assert await left() == days[4:]
    assert "provider_minutes_before" not in await market.see(parts)


def parts(conn: Connection) -> set[str]:
    return {name for name in inspect(conn).get_table_names() if name.startswith("provider_minutes_")}


def keys_of(conn: Connection, table: str) -> list[object]:
    return [*inspect(conn).get_foreign_keys(table)]


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_a_table_is_taken_into_parts_and_back_without_losing_a_row(market: Market, url: str) -> None:
    provider = await market.provider()
    minutes = [MINUTE - n * MINUTE_MS for n in range(5)]
    await market.do(telemetry.store, {minute: {provider: reading(minute)} for minute in minutes})
    target = normalised(url)
    await asyncio.to_thread(downgrade, target, "0048")
    assert await market.see(parts) == set()
    before = await market.see(telemetry.latest, provider, 9)
    locked: list[str] = []

    def noted(conn: Connection, _: object, statement: str, *__: object) -> None:
        if "ATTACH PARTITION" in statement:
            of_providers = "SELECT mode FROM pg_locks WHERE relation = 'providers'::regclass AND pid = pg_backend_pid()"
            locked.extend(conn.exec_driver_sql(of_providers).scalars())

    event.listen(Engine, "before_cursor_execute", noted)
    try:
        await asyncio.to_thread(upgrade, target, "0049")
    finally:
        event.remove(Engine, "before_cursor_execute", noted)
    assert locked == [], "reports and settlements go on while the table is read through"
    assert len(await market.see(keys_of, "provider_minutes_before")) == 1, "the key that was there, not checked again"
    await asyncio.to_thread(upgrade, target)
    assert len(before) == 5
    assert (await market.see(telemetry.latest, provider, 9)).keys() == before.keys()
    # As it may be written by a server of before, which makes no parts.
    await market.do(telemetry.store, {MINUTE: {provider: reading(1)}})
    assert await powers(market, provider)
