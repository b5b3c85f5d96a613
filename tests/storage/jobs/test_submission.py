import json
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from dc1.domain.access.call_limits import CallLimits
from dc1.domain.base.clock import DAY_MS, month_start_ms
from dc1.domain.errors import ApiError
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.states import Actor, JobEvent
from dc1.storage.accounts import key_budgets, renters
from dc1.storage.engine import statements
from dc1.storage.engine.database import Database
from dc1.storage.jobs import job_events, jobs, lifecycle
from dc1.storage.jobs.lifecycle import JobSpec, SubmissionLimits
from dc1.storage.money import counters
from dc1.storage.schema.tables import webhook_deliveries
from tests.storage.market import NOW, Market, job_for


@pytest.fixture
def market(db: Database) -> Market:
    return Market(db)


async def refused(
    market: Market,
    renter: int,
    limits: SubmissionLimits = SubmissionLimits(),  # noqa: B008
    **changes: object,
) -> ApiError:
    before = await market.see(renters.get, renter)
    with pytest.raises(ApiError) as caught:
        await market.submit(renter, limits, **changes)
    assert await market.see(renters.get, renter) == before, "a refusal leaves no trace"
    return caught.value


async def test_submit_debits_the_wallet_and_holds_the_quote(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider()
    job = await market.submit(renter, provider_id=provider, slots=1, named_provider_id=provider)
    assert (job.id, job.status, job.provider_id, job.cost_halala) == (1, "pending", provider, 45)
    assert (job.started_at_ms, job.timeout_at_ms, job.queue_deadline_at_ms) == (None, None, NOW + 1_800_000)
    assert job.run_deadline_seconds == 180
    assert await market.wallet(renter) == (955, 45)
    assert await market.see(jobs.get, job.id) == job
    assert await market.see(jobs.find, job.job_id) == job
    assert await market.see(jobs.find, "1") == job
    (event,) = (await market.see(job_events.page, job.id)).rows
    assert (event.sequence_no, event.event_type, event.status, event.source) == (
        1,
        "job.submitted",
        "pending",
        "renter",
    )
    await market.check_books()


async def test_a_busy_unknown_or_missing_provider_means_the_queue(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider()
    await market.submit(renter, provider_id=provider, slots=1)
    busy = await market.submit(renter, provider_id=provider, slots=1, named_provider_id=provider)
    nowhere = await market.submit(renter)
    unapproved = await market.submit(renter, provider_id=await market.provider(approved=False), slots=1)
    assert [(job.status, job.provider_id) for job in (busy, nowhere, unapproved)] == [("queued", None)] * 3
    assert busy.named_provider_id == provider
    positions = [await market.see(jobs.queue_position, job) for job in (busy, nowhere, unapproved)]
    assert positions == [1, 1, 2]


async def test_documents_come_back_exactly_as_sent(market: Market) -> None:
    spec = JobSpec(
        container_spec={"z": 1, "a": {"b": [1.0, 1, 1e-7, 10**15, True, None]}},
        params={"prompt": "<b>1<2</b> بحر 🌊 \x00 \u2028", "nested": {"": []}},
        task_spec={},
        env_vars={"A": ""},
        gpu_requirements=None,
    )
    job = await market.submit(await market.renter(), spec=spec, model="org/Model-7B:latest@x")
    stored = await market.see(jobs.spec, job.id)
    assert stored == spec
    assert list(stored.container_spec) == ["z", "a"]
    assert [type(item) for item in stored.container_spec["a"]["b"][:2]] == [float, int]
    assert await market.see(jobs.specs, [job.id, 99]) == {job.id: spec}


async def test_the_checks_of_money_in_the_order_of_the_contract(market: Market) -> None:
    renter = await market.renter(credit=44)
    error = await refused(market, renter)
    assert (error.status, error.code) == (402, "INSUFFICIENT_BALANCE")
    assert error.context == {"balance_halala": 44, "required_halala": 45, "shortfall_halala": 1}
    # A quota speaks before the wallet, an empty wallet before a quota.
    error = await refused(market, renter, SubmissionLimits(daily_jobs=0, monthly_halala=0))
    assert (error.code, error.context) == ("QUOTA_DAILY", {"daily_jobs_limit": 0, "submitted_today": 0})
    error = await refused(market, renter, SubmissionLimits(monthly_halala=10), cost_halala=50)
    assert error.code == "QUOTA_MONTHLY"
    error = await refused(market, await market.renter(credit=0), SubmissionLimits(daily_jobs=0))
    assert (error.code, error.context) == ("ZERO_BALANCE", {"balance_halala": 0, "required_halala": 45})


async def test_a_suspended_renter_cannot_submit(market: Market) -> None:
    renter = await market.renter()
    await market.do(renters.set_status, renter, "suspended")
    assert (await refused(market, renter)).status == 403
    await market.do(renters.set_status, renter, "active")
    await market.submit(renter)
    await market.check_books()


async def test_the_daily_quota_counts_accepted_submissions_and_starts_afresh_at_midnight(market: Market) -> None:
    renter, limits = await market.renter(), SubmissionLimits(daily_jobs=2)
    for _ in range(2):
        await market.submit(renter, limits, cost_halala=1)
    error = await refused(market, renter, limits)
    assert error.context == {"daily_jobs_limit": 2, "submitted_today": 2}
    assert error.retry_after_seconds == (DAY_MS - NOW % DAY_MS) // 1000
    market.now += DAY_MS
    assert (await market.submit(renter, limits)).status == "queued"


async def test_a_day_that_began_elsewhere_does_not_begin_again(market: Market) -> None:
    """The clocks of two replicas differ, and one has seen midnight."""
    renter, limits = await market.renter(), SubmissionLimits(daily_jobs=2, monthly_halala=100)
    midnight = NOW - NOW % DAY_MS + 10 * DAY_MS
    assert month_start_ms(midnight) == midnight
    for seconds in (-1, 1):
        market.now = midnight + seconds * 1000
        await market.submit(renter, limits, cost_halala=40)
    market.now = midnight - 1000
    await market.submit(renter, limits, cost_halala=40)
    assert (await refused(market, renter, limits, cost_halala=1)).context["submitted_today"] == 2
    market.now = midnight + 2000
    assert (await refused(market, renter, SubmissionLimits(monthly_halala=100))).context[
        "spent_this_month_halala"
    ] == 80


async def test_a_clock_that_was_wrong_for_a_moment_stops_nobody(market: Market) -> None:
    renter, limits = await market.renter(), SubmissionLimits(daily_jobs=1, monthly_halala=100)
    right = market.now
    market.now += 400 * DAY_MS
    await market.submit(renter, limits, cost_halala=90)

    market.now = right
    await market.submit(renter, limits, cost_halala=90)
    assert (await refused(market, renter, limits, cost_halala=1)).context["submitted_today"] == 1
    market.now += DAY_MS
    await market.submit(renter, limits, cost_halala=1)


async def test_the_monthly_quota_counts_quotes_while_open_and_actual_costs_afterwards(market: Market) -> None:
    renter, provider, limits = await market.renter(), await market.provider(), SubmissionLimits(monthly_halala=100)
    job = await market.running(renter, provider, limits=limits, cost_halala=90)
    error = await refused(market, renter, limits, cost_halala=11)
    assert error.context == {
        "monthly_spend_limit_halala": 100,
        "spent_this_month_halala": 90,
        "requested_halala": 11,
    }
    outcome = AttemptReport(completed=True, duration_seconds=4)
    await market.do(lifecycle.finish, job.id, outcome, NOW + 4000)
    await market.submit(renter, limits, cost_halala=99)
    assert (await refused(market, renter, limits, cost_halala=1)).code == "QUOTA_MONTHLY"
    market.now += 31 * DAY_MS
    await market.submit(renter, limits, cost_halala=100)


async def test_v1_calls_count_in_the_monthly_sum_only(market: Market) -> None:
    renter, limits = await market.renter(), SubmissionLimits(daily_jobs=1, monthly_halala=10)
    placed = {"provider_id": await market.provider(), "slots": 64}
    call = {"source": "v1", "duration_minutes": None, "token_price_halala": 19, "cost_halala": 4, **placed}
    for _ in range(2):
        await market.submit(renter, limits, **call)
    assert (await refused(market, renter, limits, **call)).code == "QUOTA_MONTHLY"
    assert (await market.submit(renter, limits, cost_halala=1)).status == "queued"


async def test_a_v1_call_that_would_wait_is_not_taken_in(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider()
    await market.submit(renter, provider_id=provider, slots=1)
    before = await market.see(counters.read)
    call: dict[str, Any] = {"source": "v1", "duration_minutes": None, "token_price_halala": 19}
    for place in ({"provider_id": provider, "slots": 1}, {}):
        refusal = await refused(market, renter, **(call | place))
        assert (refusal.status, refusal.code) == (503, "no_capacity_available")
    assert await market.see(counters.read) == before
    assert await market.wallet(renter) == (955, 45)


async def test_a_retry_is_a_new_job_that_the_old_one_tells_of(market: Market) -> None:
    renter = await market.renter()
    old = await market.submit(renter)
    new = await market.submit(renter, retried_from_job_id=old.id)
    assert new.retried_from_job_id == old.id
    (event,) = (await market.see(job_events.page, old.id, event_type=JobEvent.RETRIED)).rows
    assert (event.sequence_no, event.payload["new_job_id"]) == (2, new.job_id)


async def test_amounts_and_decimals_are_exact(market: Market) -> None:
    renter = await market.renter()
    minutes, multiplier = Decimal("0.1"), Decimal("1.20")
    job = await market.submit(renter, duration_minutes=minutes, class_multiplier=multiplier)
    stored = await market.see(jobs.get, job.id)
    assert stored is not None
    assert (str(stored.duration_minutes), str(stored.class_multiplier)) == ("0.1", "1.20")


async def test_a_renter_is_held_to_limits_of_its_own(market: Market) -> None:
    renter, other = await market.renter(), await market.renter()
    await market.do(renters.set_limits, renter, 90, 3, CallLimits())
    for cost in (45, 45):
        await market.submit(renter, cost_halala=cost)
    with pytest.raises(ApiError, match="Monthly spend quota exceeded"):
        await market.submit(renter, cost_halala=1)
    await market.submit(renter, cost_halala=0)
    with pytest.raises(ApiError, match="Daily job submission quota exceeded"):
        await market.submit(renter, cost_halala=0)
    # Nobody else's, and no more once they are taken back.
    await market.submit(other, cost_halala=91)
    await market.do(renters.set_limits, renter, None, None, CallLimits())
    await market.submit(renter, cost_halala=1)


async def test_a_scoped_key_spends_its_own_budget_too(market: Market) -> None:
    renter, provider, limits = await market.renter(), await market.provider(), SubmissionLimits(monthly_halala=150)
    key = await market.scoped_key(renter, 100)
    job = await market.running(renter, provider, limits=limits, cost_halala=90, scoped_key_id=key)
    error = await refused(market, renter, limits, cost_halala=11, scoped_key_id=key)
    assert (error.code, error.context) == (
        "KEY_BUDGET",
        {"monthly_budget_halala": 100, "spent_this_month_halala": 90, "requested_halala": 11},
    )
    # A /v1 call is held to it as well.
    call = {"source": "v1", "duration_minutes": None, "token_price_halala": 19, "cost_halala": 11}
    assert (await refused(market, renter, limits, **call, scoped_key_id=key)).code == "KEY_BUDGET"
    await market.submit(renter, limits, cost_halala=11)
    # The renter's own comes first, and holds for the key too.
    assert (await refused(market, renter, limits, cost_halala=60, scoped_key_id=key)).code == "QUOTA_MONTHLY"
    # Four seconds of 15 halala a minute: what was not spent is the key's again.
    await market.do(lifecycle.finish, job.id, AttemptReport(completed=True, duration_seconds=4), NOW + 4000)
    assert (await market.see(key_budgets.of_key, key, month_start_ms(NOW))).budget.used_halala == 1
    await market.submit(renter, limits, cost_halala=99, scoped_key_id=key)
    market.now += 31 * DAY_MS
    await market.submit(renter, limits, cost_halala=100, scoped_key_id=key)


async def test_each_threshold_of_a_budget_is_told_once_a_month(market: Market) -> None:
    """At 100 % also when an order did not fit, and not again when what was refunded is spent anew."""
    renter, limits = await market.renter(), SubmissionLimits(monthly_halala=1000)
    key = await market.scoped_key(renter, 100)
    await market.do(renters.set_webhook, renter, "https://example.sa", None)
    order = job_for(renter, cost_halala=45, scoped_key_id=key)

    async def told() -> list[tuple[int, int, str | None]]:
        rows = await market.see(lambda conn: conn.execute(select(webhook_deliveries.c.body).order_by("id")).all())
        bodies = [json.loads(row.body) for row in rows]
        found = [body["budget"] for body in bodies if body["event"] == "budget.threshold"]
        return [(each["threshold_percent"], each["used_halala"], each.get("key_id")) for each in found]

    jobs_made = [await market.submit(renter, limits, cost_halala=45, scoped_key_id=key) for _ in range(2)]
    assert await told() == [(80, 90, key)]
    for _ in range(2):
        assert (await refused(market, renter, limits, cost_halala=45, scoped_key_id=key)).code == "KEY_BUDGET"
        await market.do(lifecycle.tell_of_refusal, order, limits, market.now)
        assert await told() == [(80, 90, key), (100, 90, key)]
    await market.do(lifecycle.cancel, jobs_made[0].id, Actor.RENTER, market.now)
    await market.submit(renter, limits, cost_halala=55, scoped_key_id=key)
    assert await told() == [(80, 90, key), (100, 90, key)]
    await market.do(key_budgets.set_limit, key, month_start_ms(market.now), 110)
    await market.submit(renter, limits, cost_halala=1, scoped_key_id=key)
    assert (await told())[2:] == [(80, 101, key)]
    market.now += 31 * DAY_MS
    await market.submit(renter, limits, cost_halala=110, scoped_key_id=key)
    assert (await told())[3:] == [(80, 110, key), (100, 110, key)]


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_a_job_costs_a_handful_of_round_trips(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs both sides more than most statements do; BEGIN goes with the first, and COMMIT is one more."""
    renter, provider = await market.renter(), await market.provider()
    await market.running(renter, provider)
    trips: list[int] = []
    round_trip = statements._round_trip

    def counted(conn: Any, last: Any) -> Any:
        trips[-1] += 1
        return round_trip(conn, last)

    monkeypatch.setattr(statements, "_round_trip", counted)
    trips.append(0)
    job = await market.submit(renter, provider_id=provider, slots=64)
    trips.append(0)
    assert await market.do(lifecycle.start, job.id, provider, 0, 64, NOW)
    trips.append(0)
    report = AttemptReport(completed=True, actor=Actor.PROVIDER, result={"type": "text", "response": "ok"})
    assert await market.do(lifecycle.finish, job.id, report, NOW + 60_000, attempt=1, provider_id=provider)
    assert trips == [3, 3, 4]
