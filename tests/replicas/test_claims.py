"""Two replicas empty one queue in batches, while runs end and reports are flushed."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Sequence

import pytest

from dc1.domain.errors import ApiError
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.storage.engine.database import Connection, Database
from dc1.storage.jobs import jobs, lifecycle
from dc1.storage.jobs.jobs import JobFilter
from dc1.storage.jobs.lifecycle import Claim, JobRow, SubmissionLimits
from dc1.storage.providers import providers
from dc1.storage.providers.providers import StoredReport
from dc1.testing.postgres import PostgresServer
from tests.control.small_market import SmallMarket
from tests.replicas.pair import waiting_for_locks
from tests.storage.market import Market

JOBS = 200
PROVIDERS = 20
SLOTS = 2
BATCH = 25
ANY_NUMBER = SubmissionLimits(daily_jobs=1_000_000, monthly_halala=1_000_000_000)
DONE = AttemptReport(completed=True, result={"type": "text", "response": "ok"})


@pytest.fixture
async def markets(postgres_server: PostgresServer) -> AsyncIterator[list[Market]]:
    url = postgres_server.create()
    databases = [Database.open(url), Database.open(url)]
    yield [Market(database) for database in databases]
    for database in databases:
        await database.close()


class Dispatching:
    """One replica's part: it claims at random for its own providers, and runs what it gets."""

    def __init__(self, market: Market, providers_here: Sequence[int], queued: set[int]) -> None:
        self._market = market
        self._free = dict.fromkeys(providers_here, SLOTS)
        self._queued = queued
        self._runs: set[asyncio.Task[None]] = set()
        self.ran: list[int] = []

    async def work(self) -> None:
        while self._queued:
            claims = self._choose()
            for claim in claims:
                self._free[claim.provider_id] -= 1
            claimed = await self._market.do(lifecycle.claim_all, claims, self._market.now)
            for claim, job in zip(claims, claimed, strict=True):
                if job is None:
                    self._free[claim.provider_id] += 1
                else:
                    self._queued.discard(job.id)
                    self._runs.add(asyncio.create_task(self._run(job, claim.provider_id)))
            reports = [
                StoredReport(provider_id, "post", self._market.now, gpu_count=SLOTS) for provider_id in self._free
            ]
            await self._market.do(providers.flush_reports, reports, self._market.now)
        await asyncio.gather(*self._runs)

    def _choose(self) -> list[Claim]:
        slots = [provider_id for provider_id, free in self._free.items() for _ in range(free)]
        waiting = random.sample(sorted(self._queued), len(self._queued))
        chosen = zip(waiting, random.sample(slots, len(slots)), strict=False)
        return [Claim(job_id, provider_id, SLOTS) for job_id, provider_id in chosen][:BATCH]

    async def _run(self, job: JobRow, provider_id: int) -> None:
        market = self._market
        assert await market.do(lifecycle.start, job.id, provider_id, 0, SLOTS, market.now) is not None
        assert await market.do(lifecycle.finish, job.id, DONE, market.now) is not None
        self._free[provider_id] += 1
        self.ran.append(job.id)


async def test_batches_of_claims_wait_for_nobody_and_take_each_job_once(
    markets: list[Market], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = markets
    renter = await first.renter(credit=100_000)
    accounts = [await first.provider(gpus=SLOTS) for _ in range(PROVIDERS)]
    submitted = [await first.submit(renter, ANY_NUMBER) for _ in range(JOBS)]
    queued = {job.id for job in submitted}
    caplog.clear()

    replicas = [Dispatching(market, accounts[part::2], queued) for part, market in enumerate((first, second))]
    await asyncio.gather(*(replica.work() for replica in replicas))

    assert sorted(job_id for replica in replicas for job_id in replica.ran) == [job.id for job in submitted]
    assert all(replica.ran for replica in replicas)
    assert [record.getMessage() for record in caplog.records if "retrying" in record.getMessage()] == []
    assert (await first.see(_completed)) == JOBS
    await first.check_books()


async def test_an_outcome_that_crosses_the_start_of_the_next_attempt_is_refused(
    postgres_server: PostgresServer,
) -> None:
    url = postgres_server.create()
    elsewhere, market = Database.open(url), SmallMarket(Database.open(url))
    await market.load()
    daemon = await market.daemon()
    job = await market.submit(await market.renter())
    started, go_on = threading.Event(), threading.Event()

    def start_slowly(conn: Connection) -> None:
        assert lifecycle.start(conn, job.id, daemon.provider_id, 0, SLOTS, market.clock.now_ms()) is not None
        started.set()
        go_on.wait(20)

    starting = asyncio.create_task(elsewhere.write(start_slowly))
    assert await asyncio.to_thread(started.wait, 10)
    ending = asyncio.create_task(market.control.attempts.finish(daemon.provider_id, job.job_id, 0, DONE))
    async with asyncio.timeout(10):
        while not await elsewhere.read(waiting_for_locks):
            assert not ending.done()
    go_on.set()
    await starting
    with pytest.raises(ApiError, match="superseded"):
        await ending
    assert (await market.job(job.id)).status == "running"
    await elsewhere.close()
    await market.db.close()


def _completed(conn: Connection) -> int:
    return jobs.page(conn, JobFilter(statuses={"completed"}), limit=1).total
