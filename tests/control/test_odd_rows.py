"""What somebody edited in the database, or a fault left there, is odd by itself: the market starts and goes on."""

from itertools import cycle, islice
from typing import Any

import pytest
from sqlalchemy import Column

from dc1.control.operations.credentials import Credentials
from dc1.domain.access.keys import KeyRole, new_key
from dc1.services.api.values import to_value
from dc1.services.jobs.messages import job_detail, lifecycle_event
from dc1.storage.accounts import keys
from dc1.storage.jobs import job_events, jobs
from dc1.storage.jobs.jobs import JobFilter
from dc1.storage.providers import providers
from dc1.storage.schema import tables
from dc1.storage.schema.columns import ExactDecimal, ExactJson
from dc1.storage.schema.tables import metadata
from tests.control.small_market import SmallMarket

COLUMNS = [
    column
    for table in metadata.sorted_tables
    for column in table.columns
    if isinstance(column.type, ExactJson | ExactDecimal) and column.name != "provider_choice"
]
ODD = [
    "",
    "{",
    "null",
    "[1]",
    '{"a":NaN}',
    '{"a":1e999}',
    '["\\ud800"]',
    "[" * 5_000,
    "9" * 400,
    "sNaN",
]


async def spoil(market: SmallMarket, column: Column[Any], odd: str) -> None:
    """Put a text there as it is, past the type that would write it as JSON."""
    statement = f"UPDATE {column.table.name} SET {column.name} = ?"
    await market.db.write(lambda conn: conn.exec_driver_sql(statement, (odd,)))


async def read_everything(market: SmallMarket) -> None:
    """As answers show it."""
    page = await market.db.read(lambda conn: jobs.page(conn, JobFilter(), limit=100))
    for job in page.rows:
        spec = await market.see(jobs.spec, job.id)
        to_value(await market.see(jobs.result, job.id))
        job_detail(job, spec, market.clock.now_ms()).SerializeToString()
        for event in (await market.see(job_events.page, job.id)).rows:
            lifecycle_event(event)
    for provider in await market.see(providers.load_all):
        for said in (provider.gpu_status, provider.model_cache, provider.resource_spec):
            to_value(said)


@pytest.mark.parametrize("column", COLUMNS, ids=str)
async def test_the_market_goes_on_with_every_row_of_a_column_spoilt(market: SmallMarket, column: Column[Any]) -> None:
    renter, daemon = await market.renter(100_000), await market.daemon(gpus=1)
    # Each type reads all of them somewhere; all in every column took four minutes of a core.
    first = 3 * next(place for place, each in enumerate(COLUMNS) if each is column)
    for odd in islice(cycle(ODD), first, first + 3):
        ended = await market.submit(renter)
        await daemon.finish(await daemon.accept())
        running = await market.submit(renter)
        lease = await daemon.accept()
        waiting = await market.submit(renter)
        await spoil(market, column, odd)

        await market.restart()
        daemon = market.reconnect(daemon)
        await market.advance(1)
        await read_everything(market)
        await daemon.finish(lease)
        await market.dispatch()
        if column.name == "provider_choice" and not daemon.offers:
            # Whom it may be given to cannot be read, so it is nobody's, and keeps nobody from the next one.
            assert (await market.job(waiting.id)).status == "queued"
            waiting = await market.submit(renter)
        await daemon.finish(await daemon.accept())
        assert [(await market.job(job.id)).status for job in (ended, running, waiting)] == ["completed"] * 3, odd


@pytest.mark.parametrize("odd", ["{", "null", "[1]"])
async def test_work_whose_choice_of_providers_cannot_be_read_is_nobodys(
    market: SmallMarket, renter: int, odd: str
) -> None:
    job = await market.submit(renter)
    await spoil(market, tables.jobs.c.provider_choice, odd)
    await market.restart()
    await market.daemon()
    await market.dispatch()
    assert (await market.job(job.id)).status == "queued"


@pytest.mark.parametrize("odd", [*ODD, None])
async def test_a_scoped_key_whose_scopes_cannot_be_read_may_do_nothing(
    market: SmallMarket, renter: int, odd: str | None
) -> None:
    key = new_key(KeyRole.SCOPED)
    await market.do(keys.add, KeyRole.SCOPED, renter, key, market.clock.now_ms(), scopes=["billing"])
    await market.db.write(lambda conn: conn.exec_driver_sql("UPDATE api_keys SET scopes = ?", (odd,)))
    identity = await Credentials(market.db, market.clock).current(key.key_id)
    assert identity is not None
    assert identity.scopes == frozenset()
