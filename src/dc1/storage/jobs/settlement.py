"""The last move of a job: the row closes, the hold goes where it belongs and every counter follows."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, case, insert, update

from dc1.domain.base.clock import month_start_ms
from dc1.domain.errors.engine_refusals import EngineRefusal
from dc1.domain.inference.usage import TokenUsage
from dc1.domain.jobs.faults import CONSEQUENCES, Fault
from dc1.domain.jobs.states import Actor, ErrorCategory, JobEvent, JobSource, JobStatus
from dc1.domain.money.bookkeeping import AccountKind, MovementKind
from dc1.domain.money.pricing import Settlement
from dc1.domain.money.starter_credit import StarterShare
from dc1.storage.accounts import key_budgets
from dc1.storage.engine.followed import COUNTS_ONLY
from dc1.storage.engine.statements import Answer, PreparedStatement
from dc1.storage.jobs import spending, webhook_events
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.jobs.job_transitions import Begun, LockedJob, Transition, write
from dc1.storage.money import counters, ledger, promo_earnings
from dc1.storage.money.ledger import Transfer
from dc1.storage.money.remainders import carry
from dc1.storage.providers import standings
from dc1.storage.providers.providers import count_settled
from dc1.storage.providers.standings import NO_CHANGE, Standing
from dc1.storage.schema.tables import job_attempts
from dc1.storage.schema.tables import renters as renters_table


@dataclass(frozen=True, slots=True)
class Closure:
    """The last state of a job, why, by whom and by whose fault, apart from the money.

    `note` is told where there is no error.
    """

    status: JobStatus
    event: JobEvent
    actor: Actor
    error: str | None = None
    error_category: ErrorCategory | None = None
    error_detail: str | None = None
    used_seconds: Decimal | None = None
    gpu_seconds: float | None = None
    exit_code: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    note: str | None = None
    fault: Fault | None = None
    refusal: EngineRefusal | None = None

    @property
    def outcome(self) -> str:
        """What the attempt that was running is remembered by."""
        return self.error_category.value if self.error_category is not None else self.status.value


def _plus(column: Any, name: str) -> Any:
    return column + bindparam(name, type_=BigInteger)


# What the renter has paid ahead, a whole halala of which this settlement charges less.
_paid_ahead, _carried = carry(renters_table.c.carried_price_micro_halala, bindparam("price", type_=BigInteger))
_spent = bindparam("spent", type_=BigInteger) - _paid_ahead
_refund = bindparam("refund", type_=BigInteger) + _paid_ahead
# Credit is charged before money, so that the last halala of a charge is credit where all of it is.
_held_promo = bindparam("held_promo", type_=BigInteger)
_CLOSE_RENTER = PreparedStatement(
    update(renters_table)
    .where(renters_table.c.id == bindparam("renter"))
    .values(
        completed_jobs=_plus(renters_table.c.completed_jobs, "completed"),
        failed_jobs=_plus(renters_table.c.failed_jobs, "failed"),
        total_spent_halala=renters_table.c.total_spent_halala + _spent,
        # Starter credit that was not charged is starter credit again.
        promo_halala=renters_table.c.promo_halala + case((_held_promo > _spent, _held_promo - _spent), else_=0),
        # A settled job counts with its actual cost in the month it was submitted in, if that is still the running one.
        quota_month_halala=renters_table.c.quota_month_halala
        - case((renters_table.c.quota_month_ms == bindparam("month"), _refund), else_=0),
        carried_price_micro_halala=_carried,
        carries_promo=case((_spent > 0, _held_promo >= _spent), else_=renters_table.c.carries_promo),
        v1_requests=_plus(renters_table.c.v1_requests, "v1"),
        v1_prompt_tokens=_plus(renters_table.c.v1_prompt_tokens, "v1_prompt"),
        v1_completion_tokens=_plus(renters_table.c.v1_completion_tokens, "v1_completion"),
        # Of what is no answer nothing is charged.
        v1_cost_halala=renters_table.c.v1_cost_halala + case((bindparam("v1", type_=BigInteger) > 0, _spent), else_=0),
    )
    .execution_options(**COUNTS_ONLY)
    # Where the webhook goes, what was paid and what is carried come back with the update: no other look at the renter
    # is needed, and of two settlements at once neither reads what the other changes.
    .returning(
        renters_table.c.webhook_url,
        renters_table.c.paid_halala,
        renters_table.c.carried_price_micro_halala,
        renters_table.c.carries_promo,
    )
)
_CLOSE_ATTEMPT = PreparedStatement(
    update(job_attempts)
    .where(
        job_attempts.c.job_id == bindparam("job"),
        job_attempts.c.attempt_number == bindparam("attempt"),
        # An attempt that was ended before keeps its end.
        job_attempts.c.ended_at_ms.is_(None),
    )
    .values(
        ended_at_ms=bindparam("at"),
        outcome=bindparam("how"),
        exit_code=bindparam("code"),
        gpu_seconds_used=bindparam("seconds"),
        error_detail=bindparam("detail"),
        fault=bindparam("whose"),
    )
)
_INSERT_ENDED = PreparedStatement(insert(job_attempts), job_attempts.c.keys())


def close(
    conn: Connection, job: LockedJob, closure: Closure, bill: Settlement, now_ms: int, begun: Begun | None = None
) -> Transition:
    """End a job and settle it by its bill and by what its renter and provider carry; its hold is empty afterwards.

    Of a run that has `begun` so and whose start is not stored both are written at once.
    """
    # In the order in which rows are locked everywhere: job, renter, provider, accounts, totals. The job's own row is
    # ours already and written after the two, for only they tell what the bill comes to.
    ran = job.status == JobStatus.RUNNING
    if begun is not None:
        _store_ended(conn, begun, closure, now_ms)
    elif ran:
        end_attempt(
            conn,
            job,
            closure.outcome,
            now_ms,
            exit_code=closure.exit_code,
            gpu_seconds=closure.gpu_seconds,
            error_detail=closure.error_detail,
            fault=closure.fault,
        )
    # Under the renter's lock from here on: whoever pays at this moment finds what this run earned, or waits for it.
    # What else is asked goes with it in one round trip.
    closed = _ask_renter(conn, job, closure, bill)
    owner_id = job.provider_id
    carried = standings.ask_carried(conn, owner_id) if ran and owner_id is not None else None
    tell = webhook_events.ask_whom(conn, job.renter_id)
    settlement, renter = _close_renter(conn, job, closure, bill, closed, now_ms)
    standing, is_promo = NO_CHANGE, renter.carries_promo and job.token_price_halala is not None
    if ran:
        settlement, standing, owner_id = _close_provider(
            conn, job, closure, settlement, carried, now_ms, is_promo=is_promo
        )
    promo = StarterShare.of(job.promo_held_halala, settlement)
    after = _close_row(conn, job, closure, settlement, promo, now_ms, is_promo=is_promo, begun=begun)
    earned = after.promo_earned_halala or 0
    # The credit of who has paid is as good as money to whoever earns it.
    released = earned if renter.has_paid else 0
    if earned:
        assert owner_id is not None
        promo_earnings.add(conn, owner_id, after.renter_id, earned, released=released)
    ledger.post(conn, _transfers(job, owner_id, settlement, promo, earned, earned - released), now_ms)
    _count(conn, (begun.stored if begun else job).status, after, settlement, now_ms)
    if begun is not None:
        webhook_events.job_started(conn, renter.webhook_url, begun.job, begun.event.occurred_at_ms)
    webhook_events.job_ended(conn, renter.webhook_url, tell, after, now_ms)
    return Transition(after, settlement, standing)


def end_attempt(
    conn: Connection,
    job: JobRow,
    outcome: str,
    now_ms: int,
    *,
    exit_code: int | None = None,
    gpu_seconds: float | None = None,
    error_detail: str | None = None,
    fault: Fault | None = None,
) -> None:
    """Close the record of the attempt that is running."""
    values = {"job": job.id, "attempt": job.attempt_number, "at": now_ms, "how": outcome, "whose": fault}
    _CLOSE_ATTEMPT.send(conn, values | {"code": exit_code, "seconds": gpu_seconds, "detail": error_detail})


def _store_ended(conn: Connection, begun: Begun, closure: Closure, now_ms: int) -> None:
    """Store the record of an attempt that began and has ended."""
    job = begun.job
    values = {"job_id": job.id, "attempt_number": job.attempt_number, "provider_id": job.provider_id}
    values |= {"started_at_ms": job.started_at_ms, "price_bps": job.run_price_bps, "ended_at_ms": now_ms}
    ended = {"outcome": closure.outcome, "exit_code": closure.exit_code, "gpu_seconds_used": closure.gpu_seconds}
    _INSERT_ENDED.send(conn, {**values, **ended, "error_detail": closure.error_detail, "fault": closure.fault})


def _close_row(
    conn: Connection,
    job: LockedJob,
    closure: Closure,
    settlement: Settlement,
    promo: StarterShare,
    now_ms: int,
    *,
    is_promo: bool,
    begun: Begun | None,
) -> JobRow:
    return write(
        conn,
        job,
        closure.event,
        closure.actor,
        now_ms,
        message=closure.error or closure.note,
        payload={
            "actual_cost_halala": settlement.actual,
            "refunded_halala": settlement.refund,
            "fault": closure.fault,
        },
        begun=begun,
        status=closure.status,
        completed_at_ms=now_ms,
        due_at_ms=None,
        error=closure.error,
        error_category=closure.error_category,
        fault=closure.fault,
        engine_refusal=None if closure.refusal is None else closure.refusal.to_store(),
        used_seconds=closure.used_seconds,
        prompt_tokens=closure.prompt_tokens,
        completion_tokens=closure.completion_tokens,
        cached_tokens=closure.cached_tokens,
        actual_cost_halala=settlement.actual,
        provider_earned_halala=settlement.provider,
        dc1_fee_halala=settlement.platform,
        promo_earned_halala=promo.provider + (settlement.advance if is_promo else 0),
        refunded_halala=settlement.refund,
        refunded_at_ms=now_ms if settlement.refund else None,
        carried_price_micro_halala=settlement.price_micro,
        carried_share_micro_halala=0 if is_promo else settlement.ahead_micro,
        carried_promo_share_micro_halala=settlement.ahead_micro if is_promo else None,
        advance_halala=settlement.advance,
    )


@dataclass(frozen=True, slots=True)
class _ClosedRenter:
    """What the settlement of a job has to know of its renter.

    `has_paid` is whether it has paid real money, and `carries_promo` whether what it has paid ahead is starter credit.
    """

    webhook_url: str | None
    has_paid: bool
    carries_promo: bool


def _is_v1_answer(job: JobRow, closure: Closure, bill: Settlement) -> bool:
    # An answer that was cut off and paid for counts as one too.
    return job.source == JobSource.V1 and (closure.status == JobStatus.COMPLETED or bill.actual > 0)


def _ask_renter(conn: Connection, job: LockedJob, closure: Closure, bill: Settlement) -> Answer:
    """Change the renter's counters, and return what tells what `_close_renter` has to know."""
    is_v1_answer = _is_v1_answer(job, closure, bill)
    return _CLOSE_RENTER.ask(
        conn,
        {
            "renter": job.renter_id,
            "completed": int(closure.status == JobStatus.COMPLETED),
            "failed": int(closure.status == JobStatus.FAILED),
            "spent": bill.actual,
            "held_promo": job.promo_held_halala,
            "month": month_start_ms(job.submitted_at_ms),
            "refund": bill.refund,
            "price": bill.price_micro,
            "v1": int(is_v1_answer),
            "v1_prompt": (closure.prompt_tokens or 0) if is_v1_answer else 0,
            "v1_completion": (closure.completion_tokens or 0) if is_v1_answer else 0,
        },
    )


def _close_renter(
    conn: Connection, job: LockedJob, closure: Closure, bill: Settlement, closed: Answer, now_ms: int
) -> tuple[Settlement, _ClosedRenter]:
    """Count what was spent; return the settlement with the renter's remainder carried."""
    ((webhook_url, paid_halala, left_micro, carries_promo),) = closed()
    settlement = bill.with_price_carried(left_micro, job.fee_bps)
    if job.scoped_key_id is not None:
        key_budgets.give_back(conn, job.scoped_key_id, month_start_ms(job.submitted_at_ms), settlement.refund)
    if _is_v1_answer(job, closure, bill):
        tokens = TokenUsage(closure.prompt_tokens or 0, closure.completion_tokens or 0, closure.cached_tokens or 0)
        spending.count_call(conn, job, tokens, settlement.actual, now_ms)
    # Days count what was paid; a full refund is no spending.
    if settlement.actual > 0:
        spending.count_charge(conn, job.renter_id, settlement.actual, now_ms)
    return settlement, _ClosedRenter(webhook_url, paid_halala > 0, bool(carries_promo))


def _close_provider(
    conn: Connection,
    job: LockedJob,
    closure: Closure,
    settlement: Settlement,
    carried: Answer | None,
    now_ms: int,
    *,
    is_promo: bool,
) -> tuple[Settlement, Standing, int]:
    """Count a run for or against its provider, or neither way.

    Returns the settlement with the owner's remainder carried, what it does to the provider, and who the owner is.
    """
    assert job.provider_id is not None
    standing = NO_CHANGE
    if closure.status == JobStatus.COMPLETED:
        standing = standings.completed(now_ms)
    elif closure.fault is not None and CONSEQUENCES[closure.fault].counts:
        standing = standings.failed(conn, job.provider_id, job.renter_id, now_ms)
    final, owner_id = standings.count(conn, job.provider_id, standing, settlement, carried, is_promo=is_promo)
    if final.actual or final.advance:
        count_settled(conn, job.provider_id, final.provider + final.advance, now_ms)
    return final, standing, owner_id


def _transfers(
    job: JobRow,
    owner_id: int | None,
    settlement: Settlement,
    promo: StarterShare,
    earned_halala: int,
    kept_halala: int,
) -> list[Transfer]:
    """Return what leaves the hold, and what the platform pays besides.

    Of both `earned_halala` is earned from starter credit, of which `kept_halala` is kept apart. Nothing goes to a
    provider unless one ran the job; of one that did it goes to the owner.
    """
    hold, ref = ledger.hold(job.renter_id), f"job:{job.id}"
    platform = ledger.system(AccountKind.PLATFORM, job.id)
    kept = min(kept_halala, promo.provider)
    kept_advance, from_promo = kept_halala - kept, earned_halala - promo.provider
    charges = [
        (MovementKind.CHARGE_PROVIDER, hold, settlement.provider - kept, promo.provider - kept, ledger.payable),
        (MovementKind.CHARGE_PROVIDER_PROMO, hold, kept, kept, ledger.promo_earnings),
        (MovementKind.ADVANCE, platform, settlement.advance - kept_advance, from_promo - kept_advance, ledger.payable),
        (MovementKind.ADVANCE_PROMO, platform, kept_advance, kept_advance, ledger.promo_earnings),
    ]
    found: list[Transfer] = []
    for kind, source, amount, part, account in charges:
        if amount:
            assert owner_id is not None
            found.append(Transfer(kind, ref, amount, source, account(owner_id), job.id, promo=part))
    if settlement.platform:
        fee = settlement.platform
        found.append(Transfer(MovementKind.CHARGE_PLATFORM, ref, fee, hold, platform, job.id, promo=promo.platform))
    if settlement.refund:
        wallet = ledger.wallet(job.renter_id)
        found.append(Transfer(MovementKind.REFUND, ref, settlement.refund, hold, wallet, job.id, promo=promo.refund))
    return found


def _count(conn: Connection, status_before: JobStatus, job: JobRow, settlement: Settlement, now_ms: int) -> None:
    done = job.status == JobStatus.COMPLETED
    fees = settlement.platform - settlement.advance
    happened = {
        "jobs_completed": int(done),
        "completed_revenue_halala": settlement.actual if done else 0,
        "completed_fees_halala": fees if done else 0,
        "charged_jobs": int(settlement.actual > 0),
        "charged_halala": settlement.actual,
        "charged_platform_halala": fees,
        "charged_provider_halala": settlement.provider + settlement.advance,
    }
    left = {f"jobs_{status_before}": -1, "wallets_halala": settlement.refund}
    # Completed ones are counted below, for their day as well.
    entered = {} if done else {f"jobs_{job.status}": 1}
    counters.change(conn, job.id, **(left | entered | happened))
    # A day has a row once something happened on it.
    if any(happened.values()):
        counters.change(conn, job.id, now_ms, **happened)
