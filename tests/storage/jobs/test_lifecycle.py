from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError

from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.states import Actor, ErrorCategory, JobEvent, JobStatus, Phase
from dc1.domain.money.pricing import Settlement
from dc1.storage.accounts import renters
from dc1.storage.engine.database import Database
from dc1.storage.jobs import job_events, job_transitions, jobs, lifecycle
from dc1.storage.jobs.lifecycle import JobRow, JobSpec, SubmissionLimits, Transition
from dc1.storage.money import counters, ledger
from dc1.storage.providers import owners, providers
from dc1.storage.schema import tables
from tests.storage.market import NOW, Market, claim

DONE = AttemptReport(completed=True)


@pytest.fixture
def market(db: Database) -> Market:
    return Market(db)


async def start(market: Market, job: JobRow, provider: int, *, slots: int = 1, attempt: int = 0) -> JobRow | None:
    return await market.do(lifecycle.start, job.id, provider, attempt, slots, market.now)


async def lose(market: Market, job: JobRow, attempt: int) -> Transition | None:
    return await market.do(lifecycle.lose, job.id, attempt, market.now, queue_deadline_seconds=1800)


def occupied_slots(conn: Connection, provider_id: int) -> int:
    """How many GPUs of the provider its pending and running jobs hold."""
    held = select(func.coalesce(func.sum(tables.jobs.c.gpu_count), 0))
    return int(conn.execute(held.where(tables.jobs.c.provider_id == provider_id, jobs.LEASED)).scalar_one())


async def event_types(market: Market, job: JobRow) -> list[str]:
    page = await market.see(job_events.page, job.id)
    assert [event.sequence_no for event in page.rows] == list(range(1, page.total + 1))
    return [event.event_type for event in page.rows]


async def test_claim_reserves_a_slot_until_it_is_given_back(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider()
    first, second = await market.submit(renter), await market.submit(renter)
    claimed = await market.do(claim, first.id, provider, 1, NOW)
    assert claimed is not None
    assert (claimed.status, claimed.provider_id) == ("pending", provider)
    assert await market.do(claim, first.id, provider, 1, NOW) is None, "not queued any more"
    assert await market.do(claim, second.id, provider, 1, NOW) is None, "no slot"
    assert await market.see(occupied_slots, provider) == 1
    freed = await market.do(lifecycle.unclaim, first.id, provider, NOW, reason="no answer")
    assert freed is not None
    assert (freed.status, freed.provider_id, freed.retry_count) == ("queued", None, 0)
    assert freed.queue_deadline_at_ms == first.queue_deadline_at_ms
    assert await market.do(claim, second.id, provider, 1, NOW) is not None
    await market.check_books()


async def test_a_job_of_several_gpus_needs_as_many_slots(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider(gpus=4)
    await market.submit(renter, provider_id=provider, slots=4, gpu_count=2)
    assert (await market.submit(renter, provider_id=provider, slots=4, gpu_count=3)).status == "queued"
    assert (await market.submit(renter, provider_id=provider, slots=4, gpu_count=2)).status == "pending"


@pytest.mark.parametrize("state", ["paused", "drained", "suspended", "rejected", "deleted"])
async def test_no_work_for_a_provider_that_is(market: Market, state: str) -> None:
    renter, provider = await market.renter(), await market.provider()
    job = await market.submit(renter)
    if state == "paused":
        await market.do(providers.set_paused, provider, True)
    elif state == "drained":
        await market.do(providers.set_drained, provider, True)
    elif state == "suspended":
        await market.do(owners.set_suspended, provider, True)
    elif state == "rejected":
        await market.do(providers.set_rejected, provider, "no")
    else:
        await market.do(owners.mark_deleted, provider, NOW)
    assert await market.do(claim, job.id, provider, 1, NOW) is None
    assert await start(market, job, provider) is None


async def test_a_job_that_was_dropped_goes_to_anybody_else(market: Market) -> None:
    renter, dropper, other = await market.renter(), await market.provider(), await market.provider()
    job = await market.running(renter, dropper)
    lost = await market.do(lifecycle.lose, job.id, 1, NOW, queue_deadline_seconds=1800, exclude=True)
    assert lost is not None
    assert lost.job.excluded_provider_id == dropper
    assert await market.do(claim, job.id, dropper, 1, NOW) is None
    assert await start(market, job, dropper, attempt=1) is None
    assert await market.do(claim, job.id, other, 1, NOW) is not None
    again = await start(market, job, other, attempt=1)
    assert again is not None
    lost = await lose(market, again, 2)
    assert lost is not None
    assert lost.job.excluded_provider_id is None


async def test_a_job_that_names_its_provider_excludes_nobody(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider()
    job = await market.running(renter, provider, named_provider_id=provider)
    lost = await market.do(lifecycle.lose, job.id, 1, NOW, queue_deadline_seconds=1800, exclude=True)
    assert lost is not None
    assert lost.job.excluded_provider_id is None


async def test_a_named_provider_is_never_swapped(market: Market) -> None:
    renter, named, other = await market.renter(), await market.provider(), await market.provider()
    job = await market.submit(renter, named_provider_id=named)
    assert await market.do(claim, job.id, other, 1, NOW) is None
    assert await start(market, job, other) is None
    assert await start(market, job, named) is not None


async def test_start_raises_the_attempt_and_sets_the_deadline(market: Market) -> None:
    renter, provider, other = await market.renter(), await market.provider(), await market.provider()
    job = await market.submit(renter, provider_id=provider, slots=1)
    assert await start(market, job, other) is None, "pending for another provider"
    assert await start(market, job, provider, attempt=1) is None, "not the attempt that was offered"
    started = await start(market, job, provider)
    assert started is not None
    assert (started.status, started.attempt_number, started.started_at_ms) == ("running", 1, NOW)
    assert started.timeout_at_ms == started.due_at_ms == NOW + 180_000
    assert await start(market, job, provider) is None, "runs already"
    (attempt,) = await market.see(jobs.attempts, job.id)
    assert (attempt.attempt_number, attempt.provider_id, attempt.outcome) == (1, provider, None)
    assert [row.id for row in await market.see(jobs.leased_by, provider)] == [job.id]
    assert await market.see(jobs.load_active) == [started]


async def test_completion_settles_by_the_seconds_used(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider()
    job = await market.running(renter, provider)
    outcome = AttemptReport(completed=True, result={"type": "text", "response": "ok"}, duration_seconds=95, exit_code=0)
    moved = await market.do(lifecycle.finish, job.id, outcome, NOW + 95_000, attempt=1, provider_id=provider)
    assert moved is not None
    assert moved.settlement == Settlement(actual=24, platform=6, provider=18, refund=21)
    assert (moved.job.status, moved.job.actual_cost_halala, moved.job.used_seconds) == ("completed", 24, Decimal(95))
    assert await market.see(jobs.get, job.id) == moved.job
    assert await market.see(jobs.result, job.id) == outcome.result
    assert await market.wallet(renter) == (976, 0)
    earned = await market.see(providers.earnings, provider)
    # The renter lives on starter credit and has paid nothing yet.
    assert (earned.total_halala, earned.available_halala, earned.promo_halala) == (18, 0, 18)
    (day,) = await market.see(providers.earnings_by_day, provider, NOW)
    assert (day.settled_jobs, day.earned_halala) == (1, 18)
    sums = await market.see(counters.read)
    assert (sums.jobs, sums.jobs_completed, sums.jobs_active) == (1, 1, 0)
    assert (sums.completed_revenue_halala, sums.completed_fees_halala, sums.wallets_halala) == (24, 6, 976)
    assert (await market.see(counters.read_day, NOW)).completed_revenue_halala == 24
    row = await market.see(renters.get, renter)
    assert row is not None
    assert (row.total_spent_halala, row.total_jobs, row.completed_jobs) == (24, 1, 1)
    assert await event_types(market, job) == ["job.submitted", "job.status.changed", "job.completed"]
    await market.check_books()


@pytest.mark.parametrize(
    ("reported", "elapsed_ms", "actual"),
    [
        (AttemptReport(completed=True), 4_000, 1),
        (AttemptReport(completed=True, duration_seconds=95), 59_500, 15),
        (AttemptReport(completed=True, gpu_seconds=1, duration_seconds=95), 95_000, 1),
        (AttemptReport(completed=True, duration_seconds=0), 95_000, 0),
        (AttemptReport(completed=True), 600_000, 45),
    ],
)
async def test_a_provider_claims_less_than_the_server_saw_never_more(
    market: Market, reported: AttemptReport, elapsed_ms: int, actual: int
) -> None:
    job = await market.running(await market.renter(), await market.provider())
    moved = await market.do(lifecycle.finish, job.id, reported, NOW + elapsed_ms)
    assert moved is not None
    assert moved.job.actual_cost_halala == actual
    await market.check_books()


async def test_a_v1_call_is_priced_by_its_tokens(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider()
    asked = JobSpec(container_spec={}, params={"messages": [{"role": "user", "content": "x" * 120}], "max_tokens": 512})
    job = await market.running(
        renter, provider, source="v1", duration_minutes=None, token_price_halala=19, cost_halala=1, spec=asked
    )
    outcome = AttemptReport(completed=True, result="y" * 380, prompt_tokens=120, completion_tokens=380)
    moved = await market.do(lifecycle.finish, job.id, outcome, NOW + 1000)
    assert moved is not None
    assert moved.settlement == Settlement(actual=1, platform=0, provider=1, refund=0)
    row = await market.see(renters.get, renter)
    assert row is not None
    assert (row.v1_requests, row.v1_prompt_tokens, row.v1_completion_tokens, row.v1_cost_halala) == (1, 120, 380, 1)
    await market.check_books()


async def test_a_v1_call_that_nobody_takes_up_fails_instead_of_waiting(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider()
    call: dict[str, Any] = {"source": "v1", "duration_minutes": None, "token_price_halala": 19, "cost_halala": 1}
    job = await market.submit(renter, provider_id=provider, slots=1, **call)
    ended = await market.do(lifecycle.unclaim, job.id, provider, NOW + 1000, reason="no answer")
    assert ended is not None
    assert (ended.status, ended.error, ended.error_category) == ("failed", "no answer", "provider_disconnect")
    assert await market.wallet(renter) == (1000, 0)
    assert await market.see(jobs.load_queue) == []
    await market.check_books()


async def test_failure_refunds_everything(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider()
    job = await market.running(renter, provider)
    outcome = AttemptReport(completed=False, error="CUDA out of memory", error_category=ErrorCategory.OOM)
    moved = await market.do(lifecycle.finish, job.id, outcome, NOW + 60_000, attempt=1, provider_id=provider)
    assert moved is not None
    assert (moved.job.status, moved.job.error, moved.job.error_category) == ("failed", "CUDA out of memory", "oom")
    assert moved.settlement == Settlement.full_refund(45)
    assert await market.wallet(renter) == (1000, 0)
    (attempt,) = await market.see(jobs.attempts, job.id)
    assert (attempt.outcome, attempt.ended_at_ms) == ("oom", NOW + 60_000)
    assert (await event_types(market, job))[-1] == "job.failed"
    await market.check_books()


async def test_a_lost_run_waits_again_twice_then_fails(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider()
    job = await market.running(renter, provider)
    for retry in (1, 2):
        market.now += 10_000
        moved = await lose(market, job, retry)
        assert moved is not None
        assert moved.settlement is None
        waiting = moved.job
        assert (waiting.status, waiting.retry_count, waiting.last_provider_id) == ("queued", retry, provider)
        assert (waiting.started_at_ms, waiting.provider_id) == (None, None)
        assert waiting.due_at_ms == waiting.queue_deadline_at_ms == market.now + 1_800_000
        assert waiting.submitted_at_ms == NOW, "its place in the queue is kept"
        assert await market.wallet(renter) == (955, 45)
        assert await start(market, job, provider, attempt=retry) is not None
    moved = await lose(market, job, 3)
    assert moved is not None
    assert (moved.job.status, moved.job.error_category, moved.job.retry_count) == ("failed", "provider_disconnect", 2)
    assert await market.wallet(renter) == (1000, 0)
    assert [attempt.outcome for attempt in await market.see(jobs.attempts, job.id)] == ["provider_disconnect"] * 3
    assert (await event_types(market, job)).count("job.retry.scheduled") == 2
    await market.check_books()


async def test_a_stale_attempt_changes_nothing(market: Market) -> None:
    renter, provider, other = await market.renter(), await market.provider(), await market.provider()
    job = await market.running(renter, provider)
    await lose(market, job, 1)
    await start(market, job, other, attempt=1)
    before = await market.see(jobs.get, job.id)
    finish, at = lifecycle.finish, NOW + 1000
    assert await market.do(finish, job.id, DONE, at, attempt=1, provider_id=provider) is None
    assert await market.do(finish, job.id, DONE, at, attempt=1, provider_id=other) is None
    assert await market.do(finish, job.id, DONE, at, attempt=2, provider_id=provider) is None
    assert await market.do(lifecycle.set_phase, job.id, provider, 1, Phase.GENERATING, at) is None
    assert await market.do(lifecycle.endpoint_ready, job.id, provider, 1, "http://x", at) is None
    assert await lose(market, job, 1) is None
    assert await market.see(jobs.get, job.id) == before
    assert await market.see(jobs.has_held, job.id, provider)
    assert await market.do(finish, job.id, DONE, at, attempt=2, provider_id=other) is not None
    await market.check_books()


async def test_terminal_states_absorb(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider()
    job = await market.running(renter, provider)
    assert await market.do(lifecycle.finish, job.id, DONE, NOW + 1000) is not None
    before = await market.see(jobs.get, job.id)
    later = NOW + 10_000_000
    assert await market.do(lifecycle.finish, job.id, DONE, later) is None
    assert await market.do(lifecycle.cancel, job.id, Actor.RENTER, later) is None
    assert await market.do(lifecycle.end_overdue, job.id, later) is None
    assert await market.do(claim, job.id, provider, 9, later) is None
    assert await start(market, job, provider, attempt=1) is None
    assert await lose(market, job, 1) is None
    assert await market.see(jobs.get, job.id) == before
    assert await market.do(lifecycle.finish, 999, DONE, later) is None
    await market.check_books()


async def test_cancelling_a_run_charges_the_time_used(market: Market) -> None:
    renter, provider = await market.renter(credit=1200), await market.provider()
    limits = {"cost_halala": 1200, "rate_halala_per_minute": 20, "duration_minutes": Decimal(60)}
    job = await market.running(renter, provider, max_duration_seconds=3600, **limits)
    moved = await market.do(lifecycle.cancel, job.id, Actor.RENTER, NOW + 1_801_000)
    assert moved is not None
    assert moved.settlement == Settlement(actual=601, platform=150, provider=451, refund=599)
    assert moved.job.status == "cancelled"
    sums = await market.see(counters.read)
    assert (sums.jobs_cancelled, sums.completed_revenue_halala, sums.charged_halala) == (1, 0, 601)
    await market.check_books()


@pytest.mark.parametrize("placed", [False, True])
async def test_cancelling_a_waiting_job_refunds_it(market: Market, placed: bool) -> None:
    renter, provider = await market.renter(), await market.provider()
    job = await market.submit(renter, provider_id=provider if placed else None, slots=1)
    moved = await market.do(lifecycle.cancel, job.id, Actor.ADMIN, NOW)
    assert moved is not None
    assert moved.settlement == Settlement.full_refund(45)
    assert await market.wallet(renter) == (1000, 0)
    assert await market.see(occupied_slots, provider) == 0
    await market.check_books()


async def test_deadlines_come_due_in_order_and_not_before(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider()
    running = await market.running(renter, provider)
    await market.do(lifecycle.set_phase, running.id, provider, 1, Phase.GENERATING, NOW)
    queued = await market.submit(renter)
    assert await market.see(jobs.due_jobs, NOW + 179_999, limit=9) == []
    assert await market.do(lifecycle.end_overdue, running.id, NOW + 179_999) is None
    assert [job.id for job in await market.see(jobs.due_jobs, NOW + 9_000_000, limit=9)] == [running.id, queued.id]
    timed_out = await market.do(lifecycle.end_overdue, running.id, NOW + 186_000)
    assert timed_out is not None
    assert (timed_out.job.error, timed_out.job.error_category) == ("Job timed out", "timeout")
    assert timed_out.settlement == Settlement(actual=45, platform=11, provider=34, refund=0)
    assert await market.do(lifecycle.end_overdue, queued.id, NOW + 1_799_999) is None
    expired = await market.do(lifecycle.end_overdue, queued.id, NOW + 1_800_000)
    assert expired is not None
    assert (expired.job.error_category, expired.settlement) == ("queue_timeout", Settlement.full_refund(45))
    assert await market.see(jobs.due_jobs, NOW + 9_000_000, limit=9) == []
    await market.check_books()


async def test_phases_are_told_once_each(market: Market) -> None:
    job = await market.running(await market.renter(), provider := await market.provider())
    for phase in (Phase.PULLING, Phase.PULLING, Phase.GENERATING):
        after = await market.do(lifecycle.set_phase, job.id, provider, 1, phase, NOW + 5)
        assert after is not None
        assert (after.progress_phase, after.progress_updated_at_ms) == (phase, NOW + 5)
    assert (await event_types(market, job)).count("job.phase.changed") == 2
    served = await market.do(lifecycle.endpoint_ready, job.id, provider, None, "http://203.0.113.7:9000", NOW)
    assert served is not None
    assert served.endpoint_url == "http://203.0.113.7:9000"


async def test_a_job_has_so_many_events_of_its_progress_and_no_more(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "MOST_PROGRESS_EVENTS", 20)
    job = await market.running(await market.renter(), provider := await market.provider())
    for number in range(30):
        phase = Phase.PULLING if number % 2 else Phase.GENERATING
        assert await market.do(lifecycle.set_phase, job.id, provider, 1, phase, NOW) is not None
        served = await market.do(lifecycle.endpoint_ready, job.id, provider, None, f"http://203.0.113.7:{number}", NOW)
        assert served is not None
        again = await market.do(lifecycle.endpoint_ready, job.id, provider, None, served.endpoint_url, NOW)
        assert again is not None
        assert again.event_sequence == served.event_sequence
    assert len(await event_types(market, job)) == 20
    # The end of a job is no progress.
    assert await market.do(lifecycle.end_overdue, job.id, NOW + 9_000_000) is not None


async def test_the_queue_is_ordered_by_class_priority_time_and_id(market: Market) -> None:
    renter = await market.renter()
    economy = await market.submit(renter, pricing_class="economy", priority=1)
    normal = await market.submit(renter)
    urgent = await market.submit(renter, priority=1)
    market.now -= 1000
    earlier = await market.submit(renter)
    best = await market.submit(renter, pricing_class="priority", priority=3)
    queue = await market.see(jobs.load_queue)
    assert [job.id for job in queue] == [best.id, urgent.id, earlier.id, normal.id, economy.id]
    assert [await market.see(jobs.queue_position, job) for job in queue] == [1, 2, 3, 4, 5]


async def test_free_work_moves_no_money(market: Market) -> None:
    renter, provider = await market.renter(credit=0), await market.provider()
    job = await market.running(renter, provider, limits=SubmissionLimits(), cost_halala=0, rate_halala_per_minute=0)
    moved = await market.do(lifecycle.finish, job.id, DONE, NOW + 1000)
    assert moved is not None
    assert moved.settlement == Settlement(0, 0, 0, 0)
    assert await market.see(ledger.balance, ledger.hold(renter)) == 0
    await market.check_books()


async def test_a_move_from_what_a_job_was_before_changes_nothing(market: Market) -> None:
    """No caller moves a row that it has not locked; if one did, the guard of the statement would tell."""
    before = await market.submit(await market.renter())
    await market.do(lifecycle.cancel, before.id, Actor.RENTER, NOW)
    cancelled = await market.see(jobs.get, before.id)

    # PostgreSQL comes upon the event first, whose number is taken.
    with pytest.raises((RuntimeError, IntegrityError)):
        await market.do(job_transitions.move, before, JobStatus.PENDING, JobEvent.STATUS_CHANGED, Actor.SCHEDULER, NOW)

    assert await market.see(jobs.get, before.id) == cancelled
    await market.check_books()
