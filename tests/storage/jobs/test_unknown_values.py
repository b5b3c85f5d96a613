"""A row that this version does not understand is odd by itself, and no other row with it."""

import pytest
from sqlalchemy import text

from dc1.domain.jobs.states import JobEvent
from dc1.storage.engine.database import Database
from dc1.storage.jobs import job_events, jobs
from dc1.storage.jobs.jobs import JobFilter
from tests.storage.market import Market

NEWER = "from_a_newer_server"


@pytest.mark.parametrize(
    "column", ["error_category", "progress_phase", "job_type", "compute_type", "pricing_class", "retry_reason"]
)
async def test_a_value_of_a_newer_server_is_read_as_it_stands(db: Database, column: str) -> None:
    market = Market(db)
    renter, provider = await market.renter(), await market.provider()
    odd, usual = await market.running(renter, provider), await market.submit(renter)
    await db.write(lambda conn: conn.execute(text(f"UPDATE jobs SET {column} = '{NEWER}' WHERE id = {odd.id}")))
    found = await market.see(jobs.get, odd.id)
    assert found is not None
    assert getattr(found, column) == NEWER
    assert str(getattr(found, column)) == NEWER
    page = await db.read(lambda conn: jobs.page(conn, JobFilter(), limit=10))
    assert [job.id for job in page.rows] == [usual.id, odd.id]
    assert [job.id for job in await market.see(jobs.load_active)] == [odd.id]
    assert [job.id for job in await market.see(jobs.load_queue)] == [usual.id]


async def test_an_event_of_a_newer_server_is_listed_and_none_of_ours(db: Database) -> None:
    market = Market(db)
    job = await market.submit(await market.renter())
    await db.write(lambda conn: conn.execute(text(f"UPDATE job_events SET event_type = '{NEWER}', source = '{NEWER}'")))
    (event,) = (await market.see(job_events.page, job.id)).rows
    assert event.event_type == NEWER
    assert event.event_type not in set(JobEvent)
    assert f"{event.event_type} by {event.source}" == f"{NEWER} by {NEWER}"
