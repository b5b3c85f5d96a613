"""What a daemon's word on a run costs the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.states import ErrorCategory, JobType, Phase
from dc1.storage.accounts import wallets
from dc1.storage.engine.statements import driver_of
from dc1.storage.jobs import jobs, lifecycle
from tests.control.small_market import SmallMarket


@asynccontextmanager
async def statements(market: SmallMarket) -> AsyncIterator[list[str]]:
    """What the writer's one connection executes meanwhile, without what begins and ends a transaction."""
    seen: list[str] = []
    await market.do(lambda conn: driver_of(conn).set_trace_callback(seen.append))
    seen.clear()
    yield seen
    await market.do(lambda conn: driver_of(conn).set_trace_callback(None))
    seen[:] = [sql for sql in seen if sql.split()[0] in ("SELECT", "INSERT", "UPDATE")]


def looks_at_jobs(seen: list[str]) -> int:
    return sum(sql.startswith("SELECT jobs.") for sql in seen)


async def test_a_settlement_locks_and_reads_its_job_once(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon()
    await market.submit(renter)
    lease = await daemon.accept()

    async with statements(market) as seen:
        await daemon.finish(lease)

    assert looks_at_jobs(seen) == 1
    # One of them for the starter credit that was spent, one for what is carried of the provider's share.
    # One of them asks whether the renter wants to be told.
    assert len(seen) == 17


async def test_a_settlement_of_money_says_nothing_of_starter_credit(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon()
    now_ms = market.clock.now_ms()
    await market.do(wallets.adjust, renter, -1000, "a1", None, now_ms)
    await market.do(wallets.top_up, renter, 1000, "t1", now_ms)
    await market.submit(renter)
    lease = await daemon.accept()

    async with statements(market) as seen:
        await daemon.finish(lease)

    assert len(seen) == 16


async def test_a_lost_attempt_locks_and_reads_its_job_once(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon()
    await market.submit(renter)
    lease = await daemon.accept()

    async with statements(market) as seen:
        await daemon.finish(lease, AttemptReport(completed=False, error="pull timeout"), transient=True)

    assert looks_at_jobs(seen) == 1


async def test_progress_and_a_served_endpoint_lock_and_read_their_job_once(market: SmallMarket, renter: int) -> None:
    provider = await market.provider()
    job = await market.submit(renter, job_type=JobType.VLLM_SERVE, model="acme/chat-7b")
    running = await market.do(lifecycle.start, job.id, provider.id, 0, 1, market.clock.now_ms())
    assert running is not None
    market.control.dispatcher.follow(running, await market.see(jobs.spec, job.id))
    attempts = market.control.attempts

    async with statements(market) as seen:
        await attempts.progress(provider.id, job.job_id, 1, Phase.GENERATING)
        await attempts.endpoint_ready(provider.id, job.job_id, 1, "http://203.0.113.7:9000")

    assert looks_at_jobs(seen) == 2


async def test_a_failed_run_is_looked_for_in_its_log_once(market: SmallMarket, renter: int) -> None:
    """Whose fault it was, what is charged and who gets it next all hang on whether the run was seen working."""
    daemon = await market.daemon()
    await market.submit(renter)
    lease = await daemon.accept()
    failed = AttemptReport(completed=False, error="refused", error_category=ErrorCategory.INVALID_PARAMS)

    async with statements(market) as seen:
        await daemon.finish(lease, failed)

    assert sum("job_logs" in sql for sql in seen) == 1
