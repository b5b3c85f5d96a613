"""What admins see, decide and count, on both engines."""

from typing import Any

import pytest

from dc1.domain.base.clock import DAY_MS, day_start_ms
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.states import TEST_RENTER_ID, Actor, JobEvent
from dc1.domain.providers.reports import EventSeverity
from dc1.domain.providers.telemetry import MINUTE_MS, Rollup
from dc1.storage.accounts import renters
from dc1.storage.admin import monitoring
from dc1.storage.admin.monitoring import HOUR_MS, Failures
from dc1.storage.engine.database import Database
from dc1.storage.jobs import admin_jobs, job_events, lifecycle
from dc1.storage.jobs.admin_jobs import JobStats
from dc1.storage.jobs.jobs import JobFilter
from dc1.storage.jobs.lifecycle import JobRow
from dc1.storage.money import counters
from dc1.storage.providers import approvals, daemon_events, owners, providers, telemetry
from dc1.storage.providers.daemon_events import NewDaemonEvent
from tests.storage.market import LIMITS, NOW, Market, job_for


@pytest.fixture
def market(db: Database) -> Market:
    return Market(db)


async def fail(market: Market, job: JobRow, at_ms: int) -> None:
    ended = await market.do(lifecycle.finish, job.id, AttemptReport(completed=False, error="no"), at_ms)
    assert ended is not None


async def test_decisions_are_kept_with_the_decision(market: Market) -> None:
    provider = await market.provider(approved=False)
    assert not await market.do(approvals.approve, 999, "f00", NOW)
    assert await market.do(approvals.reject, provider, "f00", "no\x00GPU", NOW, only_pending=True)
    assert not await market.do(approvals.approve, provider, "f00", NOW, only_pending=True)
    assert await market.do(approvals.approve, provider, "f01", NOW + 1)
    made = await market.see(approvals.decisions, provider)
    assert [(item.decision, item.reason, item.actor, item.at_ms) for item in made] == [
        ("approved", None, "f01", NOW + 1),
        ("rejected", "no\ufffdGPU", "f00", NOW),
    ]


async def test_those_who_wait_longest_come_first(market: Market) -> None:
    await market.provider()
    waiting = [await market.provider(approved=False) for _ in range(3)]
    await market.do(owners.mark_deleted, waiting[1], NOW)
    page = await market.see(approvals.waiting, limit=1)
    assert ([row.id for row in page.rows], page.total) == (waiting[:1], 2)


async def test_a_test_job_is_taken_in_free_and_without_quota(market: Market) -> None:
    provider = await market.provider()
    free: dict[str, Any] = {"cost_halala": 0, "rate_halala_per_minute": 0, "submitted_by": Actor.ADMIN}
    limits = lifecycle.SubmissionLimits(daily_jobs=0, monthly_halala=0)
    job = await market.do(lifecycle.submit, job_for(TEST_RENTER_ID, **free), limits, NOW)
    events = await market.see(job_events.page, job.id)
    assert [(event.event_type, event.source) for event in events.rows] == [(JobEvent.SUBMITTED, Actor.ADMIN)]
    started = await market.do(lifecycle.start, job.id, provider, 0, 1, NOW)
    assert started is not None
    done = await market.do(lifecycle.finish, job.id, AttemptReport(completed=True), NOW + 5000)
    assert done is not None
    assert (done.job.status, done.job.actual_cost_halala) == ("completed", 0)
    assert await market.see(renters.get, TEST_RENTER_ID) is None
    assert (await market.see(counters.read)).renters == 0
    await market.check_books()


async def test_jobs_with_names_and_sums(market: Market) -> None:
    renter, other, provider = await market.renter(), await market.renter(), await market.provider()
    ran = await market.running(renter, provider, model="Org/Model")
    await market.do(lifecycle.finish, ran.id, AttemptReport(completed=True), NOW + 95_000)
    named = await market.submit(other, named_provider_id=provider)
    listed = await market.see(admin_jobs.latest, JobFilter(), limit=10)
    row = await market.see(providers.get, provider)
    assert row is not None
    assert [(item.job.id, item.provider_name) for item in listed] == [(named.id, row.name), (ran.id, row.name)]
    every = JobStats(total=2, completed=1, failed=0, active=1, revenue_halala=24)
    assert await market.see(admin_jobs.stats, JobFilter()) == every
    # The same, counted from the rows.
    assert await market.see(admin_jobs.stats, JobFilter(source="api")) == every
    assert await market.see(admin_jobs.stats, JobFilter(renter_id=999)) == JobStats(0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("search", "found"), [("ORG/MOD", 1), ("renter", 2), ("%", 0), ("_", 0), ("\\", 0), ("\x00", 0)]
)
async def test_searching_jobs(market: Market, search: str, found: int) -> None:
    first, second = await market.renter(), await market.renter()
    await market.submit(first, model="Org/Model")
    await market.submit(second)
    assert len(await market.see(admin_jobs.latest, JobFilter(search=search), limit=10)) == found


async def test_what_failed_lately(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider(gpus=4)
    for at_ms in (NOW - 1, NOW, NOW + 7):
        await fail(market, await market.running(renter, provider), at_ms)
    await market.do(lifecycle.cancel, (await market.running(renter, provider)).id, Actor.RENTER, NOW)
    assert await market.see(monitoring.failed_since, NOW) == 2
    assert await market.see(monitoring.failures_by_provider, NOW) == {provider: Failures(2, NOW)}
    assert await market.see(monitoring.failures_by_provider, NOW + 8) == {}


async def test_how_long_jobs_wait(market: Market) -> None:
    assert await market.see(monitoring.mean_wait_seconds, NOW) == 0
    renter, provider = await market.renter(), await market.provider()
    await market.running(renter, provider)
    for wait_ms in (0, 3000):
        market.now = NOW + wait_ms
        await market.submit(renter)
    assert await market.see(monitoring.mean_wait_seconds, NOW + 10_000) == 8.5


async def test_who_submitted_lately(market: Market) -> None:
    one, two = await market.renter(), await market.renter()
    await market.submit(one)
    await market.submit(one)
    await market.do(lifecycle.submit, job_for(TEST_RENTER_ID, cost_halala=0), LIMITS, NOW)
    market.now = NOW - 25 * HOUR_MS
    await market.submit(two)
    assert await market.see(monitoring.renters_active_since, NOW - DAY_MS) == 1
    assert await market.see(monitoring.renters_active_since, NOW - 2 * DAY_MS) == 2


async def test_heartbeats_of_the_last_24_hours(market: Market) -> None:
    provider = await market.provider()
    noon_ms = day_start_ms(NOW) + DAY_MS // 2
    for beats, at_ms in ((100, noon_ms - 2 * DAY_MS), (2000, noon_ms - DAY_MS), (500, noon_ms)):
        report = providers.StoredReport(provider, "post", at_ms, heartbeats=beats)
        await market.do(providers.flush_reports, [report], at_ms)
    assert await market.see(monitoring.heartbeats_of_24_hours, provider, noon_ms) == 1500


async def test_the_newest_minutes(market: Market) -> None:
    provider, other = await market.provider(), await market.provider()
    minutes = {
        at * MINUTE_MS: {who: Rollup([50.0 + at, 0, 0, 0], [1, 0, 0, 0]) for who in (provider, other)}
        for at in range(5)
    }
    await market.do(telemetry.store, minutes)
    newest = await market.see(telemetry.latest, provider, 2)
    assert {at: rollup.means()["gpu_util_pct"] for at, rollup in newest.items()} == {
        4 * MINUTE_MS: 54,
        3 * MINUTE_MS: 53,
    }


async def test_events_of_daemons(market: Market) -> None:
    one, two = await market.provider(), await market.provider()
    for provider, severity, at_ms in (
        (one, EventSeverity.INFO, NOW),
        (two, EventSeverity.ERROR, NOW),
        (one, EventSeverity.INFO, NOW + 1),
        (one, EventSeverity.ERROR, 0),
    ):
        event = NewDaemonEvent(provider, "crash\x00", severity, {"نص": [1, None]}, at_ms)
        await market.do(daemon_events.record, event)
    newest = await market.see(daemon_events.latest, NOW, 10)
    assert [(row.provider_id, row.created_at_ms) for row in newest] == [(one, NOW + 1), (two, NOW), (one, NOW)]
    assert newest[0].details == {"نص": [1, None]}
    assert len(await market.see(daemon_events.latest, 0, 10, one)) == 3
    assert len(await market.see(daemon_events.latest, 0, 1)) == 1
    assert await market.see(daemon_events.counts, NOW, one) == {"info": 2, "warning": 0, "error": 0, "critical": 0}


async def test_a_database_has_a_size(db: Database) -> None:
    assert await db.read(monitoring.size_bytes) > 10_000
