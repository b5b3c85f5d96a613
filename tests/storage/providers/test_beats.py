"""What a heartbeat changes of a provider's row when it says nothing new but its metrics, on both engines."""

import pytest

from dc1.domain.base.clock import DAY_MS
from dc1.domain.base.json_types import JsonObject
from dc1.storage.engine import followed
from dc1.storage.engine.database import Database
from dc1.storage.providers import beats, providers
from dc1.storage.providers.beats import StoredBeat
from dc1.storage.providers.providers import ProviderRow
from tests.storage.market import NOW, Market

STATUS: JsonObject = {
    "temp_c": 61,
    "note": 'a "quoted" \\ word\u2028\u0000 درجة 🌡',
    "big": 2**60,
    "fine": 0.1,
    "cards": [{"i": 0}],
}


@pytest.fixture
def market(db: Database) -> Market:
    return Market(db)


async def row(market: Market, provider_id: int) -> ProviderRow:
    found = await market.see(providers.get, provider_id)
    assert found is not None
    return found


async def counted(market: Market, provider_id: int, since_ms: int) -> int:
    """How many beats are known since the day of `since_ms`."""
    week = await market.see(providers.load_recent_heartbeats, since_ms + 6 * DAY_MS)
    return week.get(provider_id, 0)


async def test_beats_of_many_are_stored_at_once(market: Market) -> None:
    first, second, other = [await market.provider() for _ in range(3)]
    untouched = await row(market, other)
    await market.do(beats.store, [StoredBeat(second, NOW + 2, 3, None), StoredBeat(first, NOW + 1, 2, STATUS)], NOW)
    assert ((await row(market, first)).last_heartbeat_ms, (await row(market, second)).last_heartbeat_ms) == (
        NOW + 1,
        NOW + 2,
    )
    assert (await row(market, first)).gpu_status == STATUS
    assert await row(market, other) == untouched
    await market.do(beats.store, [StoredBeat(first, NOW + 5, 1, None), StoredBeat(second, NOW + 5, 0, {})], NOW)
    assert (await row(market, first)).gpu_status == STATUS
    assert (await row(market, second)).gpu_status == {}
    assert [await counted(market, id_, NOW) for id_ in (first, second, other)] == [3, 3, 0]


async def test_beats_count_for_the_day_they_were_heard_on(market: Market) -> None:
    provider = await market.provider()
    for now_ms in (NOW, NOW + DAY_MS, NOW + DAY_MS):
        await market.do(beats.store, [StoredBeat(provider, now_ms, 1, None)], now_ms)
    assert [await counted(market, provider, at_ms) for at_ms in (NOW, NOW + DAY_MS, NOW + 2 * DAY_MS)] == [3, 2, 0]


async def test_nobody_and_who_is_no_provider_change_nothing(market: Market) -> None:
    await market.do(beats.store, [], NOW)
    provider = await market.provider()
    before = await row(market, provider)
    await market.do(beats.store, [StoredBeat(provider + 99, NOW, 0, STATUS)], NOW)
    assert await row(market, provider) == before


async def test_other_servers_do_not_look_at_once_for_beats(market: Market, db: Database) -> None:
    provider = await market.provider()
    told = [StoredBeat(provider, NOW, 1, STATUS)]
    noted = await db.write(lambda conn: followed.run(conn, lambda conn: beats.store(conn, told, NOW)))
    assert not noted.is_news
