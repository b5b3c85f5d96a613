import asyncio
from collections import defaultdict
from collections.abc import Mapping

import pytest
from sqlalchemy import text, update

from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.log_budget import CUT_NOTICE
from dc1.domain.jobs.log_notices import NO_NETWORK
from dc1.domain.jobs.placement import Room
from dc1.domain.jobs.states import Actor, JobEvent, LogLevel, Phase
from dc1.storage.accounts import idempotency, keys, renters, wallets, webhooks
from dc1.storage.admin import monitoring
from dc1.storage.cluster import change_feed
from dc1.storage.engine.database import Connection, Database
from dc1.storage.engine.statements import driver_of
from dc1.storage.jobs import admin_jobs, job_events, job_logs, jobs, lifecycle
from dc1.storage.jobs.claims import RoomQuestion
from dc1.storage.jobs.job_logs import LogLine
from dc1.storage.jobs.jobs import JobFilter
from dc1.storage.providers import providers
from dc1.storage.schema.tables import job_log_heads
from tests.storage.market import LIMITS, NOW, Market, claim, job_for


@pytest.fixture
def market(db: Database) -> Market:
    return Market(db)


def lines(*messages: str) -> list[LogLine]:
    return [LogLine(LogLevel.INFO, message, NOW) for message in messages]


async def test_log_lines_are_numbered_within_the_job(market: Market) -> None:
    first, second = [await market.submit(await market.renter()) for _ in range(2)]
    stored = await market.do(job_logs.append, first.id, 1, lines("a", "ب \x00"), 1)
    assert [(row.line_no, row.message) for row in stored] == [(1, "a"), (2, "ب \x00")]
    await market.do(job_logs.append, first.id, 2, lines("c"), 1)
    await market.do(job_logs.append, second.id, 1, lines("other"))
    page = await market.see(job_logs.page, first.id, since=1)
    assert [(row.line_no, row.attempt_number, row.message) for row in page.rows] == [(2, 1, "ب \ufffd"), (3, 2, "c")]
    assert page.total == 3
    assert [row.message for row in (await market.see(job_logs.page, first.id, attempt_number=2)).rows] == ["c"]
    assert (await market.see(job_logs.page, 99)).total == 0


async def test_a_repeated_batch_is_a_no_op(market: Market) -> None:
    job = await market.submit(await market.renter())
    assert len(await market.do(job_logs.append, job.id, 1, lines("a", "b"), 7)) == 2
    assert await market.do(job_logs.append, job.id, 1, lines("a", "b"), 7) == []
    assert len(await market.do(job_logs.append, job.id, 2, lines("a"), 7)) == 1, "another attempt counts afresh"
    assert await market.do(job_logs.append, job.id, 1, []) == []
    assert (await market.see(job_logs.page, job.id)).total == 3


@pytest.mark.parametrize(("line", "most"), [("a", 200_000), ("ب" * 2_000, 32 * 1024 * 1024 // 4_000)])
async def test_a_log_is_kept_up_to_its_budget_and_says_that_it_is_cut(market: Market, line: str, most: int) -> None:
    job = await market.submit(await market.renter())
    kept = len(await market.do(job_logs.append, job.id, 1, lines(*[line] * 5_000)))
    if kept < most - 10_000:
        # As many more as if they had been stored one after the other, which takes ten seconds of a core.
        before = most - 10_000

        def remember(conn: Connection) -> None:
            heads = job_log_heads.c
            known = {"total_lines": before, "total_bytes": heads.total_bytes // kept * before}
            conn.execute(update(job_log_heads).where(heads.job_id == job.id).values(known))

        await market.do(remember)
        kept = before
    while len(stored := await market.do(job_logs.append, job.id, 1, lines(*[line] * 5_000))) == 5_000:
        kept += 5_000
    assert kept + len(stored) == most + 1
    assert (stored[-1].level, stored[-1].message) == (LogLevel.WARN, CUT_NOTICE)
    for number in range(1, 4):
        assert await market.do(job_logs.append, job.id, 2, lines("b"), number) == []
    # Nor is there a row for each batch of which nothing was kept.
    assert await market.see(lambda conn: conn.scalar(text("SELECT count(*) FROM job_log_batches"))) == 0
    assert (await market.see(job_logs.page, job.id)).total == most + 1


async def test_a_program_that_says_what_its_daemon_says_has_printed_what_it_did(market: Market) -> None:
    job = await market.submit(await market.renter())
    await market.do(job_logs.append, job.id, 1, lines("loaded", *[NO_NETWORK] * 30))
    await market.do(job_logs.append, job.id, 2, lines(NO_NETWORK))
    assert await market.see(job_logs.has_printed, job.id, 1)
    assert not await market.see(job_logs.has_printed, job.id, 2)


async def test_batches_that_meet_keep_their_lines_together(market: Market) -> None:
    job = await market.submit(await market.renter())
    batches = [market.do(job_logs.append, job.id, 1, lines(*[f"{n}"] * 3), n) for n in range(1, 31)]
    await asyncio.gather(*batches)
    page = await market.see(job_logs.page, job.id, limit=1000)
    assert [row.line_no for row in page.rows] == list(range(1, 91))
    assert all(len({row.message for row in page.rows[n : n + 3]}) == 1 for n in range(0, 90, 3))


async def test_events_are_paged_by_sequence_and_type(market: Market) -> None:
    job = await market.submit(await market.renter())
    await market.do(lifecycle.cancel, job.id, Actor.RENTER, NOW + 1)
    page = await market.see(job_events.page, job.id, since_sequence=1)
    assert (page.total, [event.event_type for event in page.rows]) == (2, ["job.cancelled"])
    assert page.rows[0].payload["refunded_halala"] == 45
    only = await market.see(job_events.page, job.id, event_type=JobEvent.SUBMITTED)
    assert (only.total, only.rows[0].occurred_at_ms) == (1, NOW)


async def test_lists_of_jobs_are_filtered_and_newest_first(market: Market) -> None:
    renter, other, provider = await market.renter(), await market.renter(), await market.provider()
    running = await market.running(renter, provider, model="org/m")
    market.now += 1000
    queued = await market.submit(renter, job_type="training")
    foreign = await market.running(other, await market.provider(), source="v1")
    await market.do(lifecycle.cancel, queued.id, Actor.RENTER, NOW)

    async def ids(**wanted: object) -> list[int]:
        page = await market.see(jobs.page, JobFilter(**wanted), limit=10)  # type: ignore[arg-type]
        assert page.total == len(page.rows)
        return [row.id for row in page.rows]

    assert await ids() == [foreign.id, queued.id, running.id]
    assert await ids(renter_id=renter) == [queued.id, running.id]
    assert await ids(provider_id=provider) == await ids(shown_provider_id=provider) == [running.id]
    assert await ids(statuses={"running", "queued"}) == [foreign.id, running.id]
    assert await ids(job_type="training") == [queued.id]
    assert await ids(source="v1") == [foreign.id]
    assert await ids(submitted_from_ms=NOW + 1000) == [foreign.id, queued.id]
    assert await ids(submitted_before_ms=NOW + 1000) == [running.id]
    assert await ids(search="org/") == [running.id]
    assert await ids(search=queued.job_id) == [queued.id]
    assert [row.id for row in await market.see(jobs.open_jobs, renter_id=renter)] == [running.id]
    waiting = await market.submit(renter, named_provider_id=provider)
    assert await ids(shown_provider_id=provider) == [waiting.id, running.id]
    assert await ids(shown_provider_id=provider, statuses={"queued"}) == [waiting.id]
    await market.do(lifecycle.cancel, waiting.id, Actor.RENTER, NOW)
    page = await market.see(jobs.page, JobFilter(), limit=1, offset=1)
    assert (page.total, [row.id for row in page.rows]) == (4, [foreign.id])


@pytest.mark.parametrize("reference", ["job-nope", "999", "0", "9" * 40, "١", "", "-1", "job-\x00"])
async def test_an_unknown_reference_finds_nothing(market: Market, reference: str) -> None:
    assert await market.see(jobs.find, reference) is None


async def test_results_of_any_json_up_to_ten_mebibytes(market: Market) -> None:
    job = await market.submit(await market.renter())
    for value in ({"b": 1, "a": [1.0]}, "plain text بحر", "x" * (10 << 20)):
        await market.do(jobs.store_result, job.id, value, NOW)
        assert await market.see(jobs.result, job.id) == value
    assert await market.see(jobs.result, 99) is None
    assert list(await market.see(jobs.results, [job.id, 99], max_characters=20 * 1024 * 1024)) == [job.id]
    assert await market.see(jobs.results, [job.id], max_characters=1) == {}


def trade(conn: Connection, renter: int, provider: int) -> None:
    """What a busy market does all the time."""
    placed = {"provider_id": provider, "slots": 8}
    job, lost, waiting = [lifecycle.submit(conn, job_for(renter, **placed), LIMITS, NOW) for _ in range(3)]
    lifecycle.start(conn, job.id, provider, 0, 8, NOW)
    lifecycle.set_phase(conn, job.id, provider, 1, Phase.GENERATING, NOW)
    job_logs.append(conn, job.id, 1, lines("a"), 1)
    lifecycle.finish(conn, job.id, AttemptReport(completed=True, result={}), NOW)
    lifecycle.start(conn, lost.id, provider, 0, 8, NOW)
    lifecycle.lose(conn, lost.id, 1, NOW, queue_deadline_seconds=1800)
    assert claim(conn, lost.id, provider, 8, NOW) is not None
    lifecycle.unclaim(conn, waiting.id, provider, NOW)
    lifecycle.end_overdue(conn, waiting.id, NOW + 1_800_000)
    lifecycle.cancel(conn, lost.id, Actor.RENTER, NOW)
    wallets.top_up(conn, renter, 1, "t", NOW)
    key = idempotency.IdempotencyKey(f"renter:{renter}", "submit", "k")
    idempotency.begin(conn, key, "hash", NOW)
    idempotency.keep(conn, key, idempotency.KeptAnswer("hash", 200, b"", NOW + 1))
    idempotency.purge(conn, NOW, 10)
    providers.flush_reports(conn, [providers.StoredReport(provider, "post", NOW, heartbeats=1)], NOW)


def look(conn: Connection, renter: int, provider: int) -> None:
    """What is read all the time."""
    jobs.load_queue(conn)
    jobs.load_active(conn)
    jobs.due_jobs(conn, NOW, limit=20)
    job = jobs.known(conn, 1)
    jobs.find(conn, job.job_id)
    jobs.spec(conn, job.id)
    jobs.leased_by(conn, provider)
    jobs.latest(conn, JobFilter(renter_id=renter), limit=20)
    jobs.page(conn, JobFilter(shown_provider_id=provider), limit=20)
    jobs.attempts(conn, job.id)
    jobs.has_held(conn, job.id, provider)
    jobs.result(conn, job.id)
    job_events.after(conn, job.id, 0, limit=20)
    job_logs.page(conn, job.id)
    renters.get(conn, renter)
    keys.find(conn, "k")
    webhooks.next_due_ms(conn)
    providers.earnings(conn, provider)
    if conn.dialect.name == "postgresql":
        change_feed.since(conn, change_feed.horizon(conn))


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_no_hot_query_scans_a_table(market: Market) -> None:
    """A plan does not depend on how many rows there are, so this needs hardly any."""
    renter, provider = await market.renter(), await market.provider(gpus=8)
    statements: list[str] = []

    def work(conn: Connection) -> list[str]:
        driver = driver_of(conn)
        driver.set_trace_callback(statements.append)
        trade(conn, renter, provider)
        look(conn, renter, provider)
        driver.set_trace_callback(None)
        steps = [
            f"{step[3]}: {statement}"
            for statement in statements
            if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE"))
            for step in driver.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]
        assert len(steps) > 60
        return [step for step in steps if step.startswith("SCAN") and "INDEX ix_jobs_queue" not in step]

    assert await market.db.write(work) == []


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_what_is_open_or_failed_lately_is_found_however_many_jobs_there_were(market: Market) -> None:
    """By the steps that SQLite takes; it read each job that the machine ever had, whenever one was submitted."""
    renter, provider = await market.renter(100_000), await market.provider(gpus=8)

    def work(conn: Connection) -> int:
        taken = [0]

        def step() -> None:
            taken[0] += 1

        driver = driver_of(conn)
        driver.set_progress_handler(step, 1)
        assert RoomQuestion(conn, provider, 8).has(Room(1))
        assert RoomQuestion(conn, provider, 8, 64).has(Room(0, 1))
        assert jobs.leased_by(conn, provider) == []
        assert jobs.open_jobs(conn, renter_id=renter) == jobs.open_jobs(conn, renter_id=renter, limit=500) == []
        several = JobFilter(renter_id=renter, statuses=("pending", "queued", "running"))
        assert jobs.page(conn, several, limit=20, offset=20).rows == []
        assert admin_jobs.latest(conn, several, limit=20) == []
        assert monitoring.failed_since(conn, NOW + 1) == 0
        assert monitoring.failures_by_provider(conn, NOW + 1) == {}
        driver.set_progress_handler(None, 1)
        for _ in range(30):
            job = lifecycle.submit(conn, job_for(renter, provider_id=provider, slots=8), LIMITS, NOW)
            lifecycle.cancel(conn, job.id, Actor.RENTER, NOW)
        # As if they had failed before the time that is looked at.
        conn.execute(text("UPDATE jobs SET status = 'failed'"))
        return taken[0]

    # An empty table takes fewer steps than one in which the place is looked up.
    _, few, many = [await market.db.write(work) for _ in range(3)]
    assert few == many


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_no_hot_query_has_to_scan_a_table_of_a_large_market(market: Market) -> None:
    """Of few rows PostgreSQL reads all; told not to, it does so only where no index would serve."""
    renter, provider = await market.renter(), await market.provider(gpus=8)

    def work(conn: Connection) -> list[str]:
        conn.execute(text("SET LOCAL enable_seqscan = off"))
        # What this connection did before is still in it, and of the handful of rows there were it may have read all.
        before = scans(conn)
        trade(conn, renter, provider)
        look(conn, renter, provider)
        # Who lives among a handful of replicas is read as a whole.
        return [table for table, count in scans(conn).items() if count > before[table] and table != "replicas"]

    def scans(conn: Connection) -> Mapping[str, int]:
        rows = conn.execute(text("SELECT relname, seq_scan FROM pg_stat_xact_user_tables"))
        return defaultdict(int, {row.relname: row.seq_scan for row in rows})

    assert await market.db.write(work) == []
