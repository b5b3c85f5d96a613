"""A submission takes a job in: quotas and balance, the hold, the row and its first event, all or nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from functools import cache
from typing import Any, Self, TypeAlias

from sqlalchemy import Connection, bindparam, insert, update

from dc1 import defaults
from dc1.domain import errors
from dc1.domain.access.roles import AccountStatus
from dc1.domain.base.clock import day_start_ms, month_start_ms, next_day_start_ms, next_month_start_ms
from dc1.domain.jobs.placement import Room
from dc1.domain.jobs.queue_order import CLASS_RANK
from dc1.domain.jobs.states import (
    TEST_RENTER_ID,
    Actor,
    ComputeType,
    JobEvent,
    JobSource,
    JobStatus,
    JobType,
    run_deadline_seconds,
)
from dc1.domain.jobs.submission import DEFAULT_PRIORITY
from dc1.domain.money import starter_credit
from dc1.domain.money.bookkeeping import MovementKind
from dc1.domain.money.budgets import MonthlyBudget, period_start_ms
from dc1.domain.money.machine_terms import ANY_TERMS, MachineTerms
from dc1.domain.money.pricing import PricingClass
from dc1.storage.accounts import key_budgets, renters
from dc1.storage.accounts.key_budgets import KeyBudget
from dc1.storage.accounts.renters import RenterRow
from dc1.storage.engine.followed import COUNTS_ONLY
from dc1.storage.engine.statements import AskedId, PreparedInsert, PreparedStatement, ask_id
from dc1.storage.jobs import job_events, job_transitions, webhook_events
from dc1.storage.jobs.claims import RoomQuestion, run_price_bps
from dc1.storage.jobs.job_records import JobRow, JobSpec, job_shape, spec_shape
from dc1.storage.money import counters, ledger
from dc1.storage.money.ledger import Transfer
from dc1.storage.schema.tables import job_specs, jobs
from dc1.storage.schema.tables import renters as renters_table


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that passed every check but those of money; amounts in halala.

    `provider_id` is where the scheduler would put it, with `slots` GPUs and `call_slots` in all, or None to queue it;
    `named_provider_id` the only one the renter accepts. `hold_price_bps` is what the job takes of the price of the
    dearest machine it may land on, `terms` what one GPU of the chosen one costs. `duration_minutes` is None
    for a /v1 call, which has prices per million tokens and a `call_path`. `model` is as sent; `gpu_type` is canonical.
    """

    job_id: str
    renter_id: int
    job_type: JobType
    spec: JobSpec
    duration_minutes: Decimal | None
    max_duration_seconds: int
    rate_halala_per_minute: int
    class_multiplier: Decimal
    cost_halala: int
    fee_bps: int
    compute_type: ComputeType
    model: str | None = None
    named_provider_id: int | None = None
    provider_choice: Mapping[str, list[int]] | None = None
    provider_id: int | None = None
    slots: int = 0
    call_slots: int = 0
    gpu_count: int = 1
    min_vram_gb: float | None = None
    gpu_type: str | None = None
    pricing_class: PricingClass = PricingClass.STANDARD
    priority: int = DEFAULT_PRIORITY
    prewarm_requested: bool = False
    checkpoint_enabled: bool = False
    token_price_halala: int | None = None
    completion_price_halala: int | None = None
    cached_price_halala: int | None = None
    source: JobSource = JobSource.API
    hold_price_bps: int | None = None
    terms: MachineTerms = ANY_TERMS
    max_rate_halala_per_minute: Decimal | None = None
    prefers_price: bool = False
    needs_gpu: bool = False
    is_scriptable: bool = True
    call_path: str | None = None
    needs_bodies: bool = False
    retried_from_job_id: int | None = None
    scoped_key_id: str | None = None
    submitted_by: Actor = Actor.RENTER


@dataclass(frozen=True, slots=True)
class SubmissionLimits:
    """Settings that a submission is held to."""

    daily_jobs: int = defaults.QUOTA_DAILY_JOBS
    monthly_halala: int = defaults.QUOTA_MONTHLY_HALALA
    queue_deadline_seconds: int = defaults.QUEUE_DEADLINE_SECONDS
    max_retries: int = defaults.MAX_RETRIES
    balance_low_halala: int = defaults.BALANCE_LOW_HALALA

    def of(self, renter: RenterRow) -> Self:
        """Return those of a renter, for whom an admin may have set others."""
        daily, monthly = renter.daily_jobs_limit, renter.monthly_limit_halala
        return replace(
            self,
            daily_jobs=self.daily_jobs if daily is None else daily,
            monthly_halala=self.monthly_halala if monthly is None else monthly,
        )


_NOT_KEPT = ("spec", "slots", "call_slots", "terms", "submitted_by")
_GIVEN = [field.name for field in fields(NewJob) if field.name not in _NOT_KEPT]
# Whatever a new job does not have yet is None, and is not handed over: half of its columns.
_BLANK: dict[str, Any] = {name: None for name in job_shape.names if name != "id"}
_INSERT_SPEC = PreparedStatement(insert(job_specs), ["job_id", *spec_shape.names])
_COUNT_SUBMISSION = PreparedStatement(
    update(renters_table)
    .where(renters_table.c.id == bindparam("renter"))
    .values(
        total_jobs=renters_table.c.total_jobs + 1,
        quota_day_ms=bindparam("day"),
        quota_day_jobs=bindparam("day_jobs"),
        quota_month_ms=bindparam("month"),
        quota_month_halala=bindparam("month_halala"),
        told_thresholds=bindparam("told"),
        promo_halala=renters_table.c.promo_halala - bindparam("promo"),
    )
    .execution_options(**COUNTS_ONLY)
)

_SET_TOLD = PreparedStatement(
    update(renters_table)
    .where(renters_table.c.id == bindparam("renter"))
    .values(
        quota_month_ms=bindparam("month"),
        quota_month_halala=bindparam("month_halala"),
        told_thresholds=bindparam("told"),
    )
)

_Asked: TypeAlias = tuple[RoomQuestion | None, AskedId]
# Thresholds of each budget, in percent, by the id of the key whose budget it is.
_News: TypeAlias = Mapping[str | None, list[int]]
_NO_BUDGET = MonthlyBudget(None)


@dataclass(frozen=True, slots=True)
class _Usage:
    """What a renter has used of the running day and month, each known by its first millisecond.

    `promo_halala` is the starter credit in the wallet, `month` the renter's own budget and `key` that of the scoped key
    that orders, if it is one that does.
    """

    day_ms: int
    month_ms: int
    jobs_today: int = 0
    month: MonthlyBudget = _NO_BUDGET
    key: KeyBudget | None = None
    promo_halala: int = 0

    @classmethod
    def of(
        cls, conn: Connection, renter: RenterRow, scoped_key_id: str | None, limits: SubmissionLimits, now_ms: int
    ) -> Self:
        day_ms = period_start_ms(day_start_ms(now_ms), renter.quota_day_ms, now_ms)
        month_ms = period_start_ms(month_start_ms(now_ms), renter.quota_month_ms, now_ms)
        return cls(
            day_ms,
            month_ms,
            jobs_today=renter.quota_day_jobs if renter.quota_day_ms == day_ms else 0,
            month=MonthlyBudget(limits.monthly_halala, renter.quota_month_halala, renter.told_thresholds)
            if renter.quota_month_ms == month_ms
            else MonthlyBudget(limits.monthly_halala),
            key=None if scoped_key_id is None else key_budgets.of_key(conn, scoped_key_id, month_ms),
            promo_halala=renter.promo_halala,
        )

    @property
    def budgets(self) -> Mapping[str | None, MonthlyBudget]:
        """The budgets that the job counts in: the renter's under None, and its key's."""
        own: dict[str | None, MonthlyBudget] = {None: self.month}
        return own if self.key is None else own | {self.key.key_id: self.key.budget}

    def _with(self, changed: Mapping[str | None, MonthlyBudget]) -> Self:
        key = None if self.key is None else replace(self.key, budget=changed[self.key.key_id])
        return replace(self, month=changed[None], key=key)

    def with_order(self, cost_halala: int) -> Self:
        """Return what is used once a job is ordered."""
        return self._with({key: budget.with_order(cost_halala) for key, budget in self.budgets.items()})

    def having_told(self, news: _News) -> Self:
        """Return it once the renter was told."""
        return self._with({key: budget.having_told(news[key]) for key, budget in self.budgets.items()})


def _budget_news(usage: _Usage, *, is_refused: bool, cost_halala: int = 0) -> _News:
    """Return what there is to tell of each budget, by its key: after an order, or after one that did not fit."""
    if not is_refused:
        return {key: budget.news() for key, budget in usage.budgets.items()}
    # One that the job would have fitted has no part in the refusal.
    return {
        key: [] if budget.admits(cost_halala) else budget.news_of_refusal() for key, budget in usage.budgets.items()
    }


def submit(conn: Connection, new: NewJob, limits: SubmissionLimits, now_ms: int) -> JobRow:
    """Take a job in: pending where its provider has the slots free, else queued.

    Money is checked next, in this order: ZERO_BALANCE, QUOTA_DAILY, QUOTA_MONTHLY, KEY_BUDGET, INSUFFICIENT_BALANCE;
    then a /v1 call that would be queued is refused for want of capacity. A test job is free and has no quota.

    Raises:
        submit_key_invalid: the renter is gone or not active.
    """
    # It has no wallet to lock, and its jobs cost nothing.
    if new.renter_id == TEST_RENTER_ID:
        return _take_in(
            conn, new, _ask(conn, new), _Usage(day_start_ms(now_ms), month_start_ms(now_ms)), limits, now_ms
        )
    # Held until the commit, so that of two submissions the second sees what the first one spent.
    locked = renters.ask_lock(conn, new.renter_id)
    # With it, though a refusal would not need it: the round trip costs more than the questions.
    asked = _ask(conn, new)
    renter = locked()
    if renter is None or renter.status != AccountStatus.ACTIVE:
        raise errors.submit_key_invalid()
    limits = limits.of(renter)
    usage = _Usage.of(conn, renter, new.scoped_key_id, limits, now_ms)
    _check_affordable(new, renter, usage, limits, now_ms)
    usage = usage.with_order(new.cost_halala)
    news = _budget_news(usage, is_refused=False)
    # What nobody can be told of is told once there is an address.
    job = _take_in(conn, new, asked, usage if renter.webhook_url is None else usage.having_told(news), limits, now_ms)
    _warn_of_low_balance(conn, renter, job, limits.balance_low_halala, now_ms)
    _tell(conn, renter, usage, news, now_ms)
    return job


def tell_of_refusal(conn: Connection, new: NewJob, limits: SubmissionLimits, now_ms: int) -> None:
    """Tell a renter of the budget that a job did not fit, once a month.

    In a transaction of its own: that of the submission was undone by the refusal.
    """
    renter = renters.lock(conn, new.renter_id)
    # Looked at anew, for the refusal may be over: a job that ended since has left room.
    if renter is None or renter.status != AccountStatus.ACTIVE or renter.webhook_url is None:
        return
    limits = limits.of(renter)
    usage = _Usage.of(conn, renter, new.scoped_key_id, limits, now_ms)
    news = _budget_news(usage, is_refused=True, cost_halala=new.cost_halala)
    if not any(news.values()):
        return
    told = usage.having_told(news)
    month = told.month
    values = {"month": told.month_ms, "month_halala": month.used_halala, "told": month.told}
    _SET_TOLD.send(conn, {"renter": renter.id} | values)
    if told.key is not None:
        key_budgets.keep(conn, told.key)
    _tell(conn, renter, usage, news, now_ms)


def _ask(conn: Connection, new: NewJob) -> _Asked:
    """Ask whether the provider has room that the scheduler chose, if it chose one, and for the job's id."""
    chosen = new.provider_id
    room = None if chosen is None else RoomQuestion(conn, chosen, new.slots, new.call_slots, new.terms)
    return room, ask_id(conn, jobs)


def _take_in(
    conn: Connection, new: NewJob, asked: _Asked, usage: _Usage, limits: SubmissionLimits, now_ms: int
) -> JobRow:
    room, job_id = asked
    # The scheduler's choice may be old by now; a slot that is gone only means that the job waits.
    placed = room is not None and room.has(Room.of(new.source, new.gpu_count))
    # Nobody waits in a queue with a connection open.
    if new.source == JobSource.V1 and not placed:
        raise errors.no_capacity_available(new.model or "")
    promo = starter_credit.part_of_hold(new.cost_halala, usage.promo_halala)
    job = _insert(conn, _values(new, limits, promo, now_ms, placed=placed), new.spec, job_id)
    # After the row, which its movement refers to.
    _hold(conn, job, now_ms)
    _count(conn, job, new.submitted_by, usage, now_ms)
    if job.retried_from_job_id is not None:
        _tell_original(conn, job, new.submitted_by, now_ms)
    return job


def _check_affordable(new: NewJob, renter: RenterRow, usage: _Usage, limits: SubmissionLimits, now_ms: int) -> None:
    # In the contract's order: whoever has no money hears of that first.
    if renter.balance_halala == 0 and new.cost_halala > 0:
        raise errors.zero_balance(new.cost_halala)
    if new.source == JobSource.API and usage.jobs_today >= limits.daily_jobs:
        wait = _seconds_until(next_day_start_ms(now_ms), now_ms)
        raise errors.daily_quota_exceeded(limits.daily_jobs, usage.jobs_today, wait)
    wait = _seconds_until(next_month_start_ms(now_ms), now_ms)
    if not usage.month.admits(new.cost_halala):
        raise errors.monthly_quota_exceeded(limits.monthly_halala, usage.month.used_halala, new.cost_halala, wait)
    budget = None if usage.key is None else usage.key.budget
    if budget is not None and budget.limit_halala is not None and not budget.admits(new.cost_halala):
        raise errors.key_budget_exceeded(budget.limit_halala, budget.used_halala, new.cost_halala, wait)
    if renter.balance_halala < new.cost_halala:
        raise errors.insufficient_balance(renter.balance_halala, new.cost_halala)


def _seconds_until(then_ms: int, now_ms: int) -> int:
    return -((now_ms - then_ms) // 1000)


def _values(new: NewJob, limits: SubmissionLimits, promo_halala: int, now_ms: int, *, placed: bool) -> dict[str, Any]:
    """Return the row of a job as its columns, all but the id and what no new job has."""
    given = {name: getattr(new, name) for name in _GIVEN}
    deadline_ms = now_ms + limits.queue_deadline_seconds * 1000
    derived: dict[str, Any] = {
        "status": JobStatus.PENDING if placed else JobStatus.QUEUED,
        "provider_id": new.provider_id if placed else None,
        "run_price_bps": run_price_bps(new, new.terms.price_bps) if placed else None,
        # Beside the class, for the queue's index sorts by it.
        "class_rank": CLASS_RANK[new.pricing_class],
        "run_deadline_seconds": run_deadline_seconds(new.max_duration_seconds, new.duration_minutes),
        "promo_held_halala": promo_halala,
        "submitted_at_ms": now_ms,
        "queue_deadline_at_ms": deadline_ms,
        "due_at_ms": deadline_ms,
        "attempt_number": 0,
        "retry_count": 0,
        "max_retries": limits.max_retries,
        "event_sequence": 1,
    }
    return {**given, **derived}


def _insert(conn: Connection, values: dict[str, Any], spec: JobSpec, asked: AskedId) -> JobRow:
    job_id = _job_insert(tuple(values)).insert(conn, values, asked)
    _INSERT_SPEC.send(conn, spec_shape.values(spec) | {"job_id": job_id})
    return JobRow(**{**_BLANK, **values, "id": job_id})


# One, which is known once there is a job: nothing else names what a new one has.
@cache
def _job_insert(names: tuple[str, ...]) -> PreparedInsert:
    return PreparedInsert(jobs, names)


def _hold(conn: Connection, job: JobRow, now_ms: int) -> None:
    if job.cost_halala > 0:
        ref, ends = f"job:{job.id}", (ledger.wallet(job.renter_id), ledger.hold(job.renter_id))
        transfer = Transfer(MovementKind.HOLD, ref, job.cost_halala, *ends, job.id, promo=job.promo_held_halala)
        ledger.post(conn, [transfer], now_ms)


def _warn_of_low_balance(conn: Connection, renter: RenterRow, job: JobRow, threshold_halala: int, now_ms: int) -> None:
    left = renter.balance_halala - job.cost_halala
    # Told once: when the balance passes the threshold, not while it is below.
    if left < threshold_halala <= renter.balance_halala:
        webhook_events.balance_low(conn, renter.webhook_url, renter.id, left, threshold_halala, now_ms)


def _tell(conn: Connection, renter: RenterRow, usage: _Usage, news: _News, now_ms: int) -> None:
    for key_id, percents in news.items():
        for percent in percents:
            url, budget = renter.webhook_url, usage.budgets[key_id]
            webhook_events.budget_threshold(conn, url, renter.id, percent, budget, key_id, now_ms)


def _count(conn: Connection, job: JobRow, actor: Actor, usage: _Usage, now_ms: int) -> None:
    payload = {"cost_halala": job.cost_halala, "retried_from_job_id": job.retried_from_job_id}
    job_events.append(conn, job_transitions.event_of(job, JobEvent.SUBMITTED, actor, now_ms, payload=payload))
    _COUNT_SUBMISSION.send(
        conn,
        {
            "renter": job.renter_id,
            "day": usage.day_ms,
            "day_jobs": usage.jobs_today + (job.source == JobSource.API),
            "month": usage.month_ms,
            "month_halala": usage.month.used_halala,
            "told": usage.month.told,
            "promo": job.promo_held_halala,
        },
    )
    if usage.key is not None:
        key_budgets.keep(conn, usage.key)
    counters.change(conn, job.id, **{f"jobs_{job.status}": 1, "wallets_halala": -job.cost_halala})


def _tell_original(conn: Connection, job: JobRow, actor: Actor, now_ms: int) -> None:
    assert job.retried_from_job_id is not None
    # Out of the usual order of locks, which is safe: nobody moves a failed job but another retry, and that one waits
    # for the renter.
    original = job_transitions.locked(conn, job.retried_from_job_id)
    if original is not None:
        job_transitions.write(conn, original, JobEvent.RETRIED, actor, now_ms, payload={"new_job_id": job.job_id})
