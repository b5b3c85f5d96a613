"""Every move of a job; each is one call in the caller's transaction, with its money, its event and its counters.

A move locks the job's row, checks its guard and writes once; when the guard does not match it changes nothing and
returns None. Rows are locked in one order (job, renter, provider, accounts, totals), so moves that meet cannot
deadlock. ``submit`` comes from :mod:`dc1.storage.jobs.submission`, ``claim``, ``unclaim`` and ``start`` from
:mod:`dc1.storage.jobs.claims`.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from dc1.domain.jobs.states import JOB_TIMED_OUT, NO_PROVIDER_IN_TIME, Actor, ErrorCategory, JobEvent, JobStatus, Phase
from dc1.domain.money.pricing import Settlement, elapsed_seconds, settle, token_charge, used_seconds
from dc1.storage.jobs import jobs
from dc1.storage.jobs.claims import Claim, claim, claim_all, occupied_slots, start, unclaim
from dc1.storage.jobs.job_records import JobRow, JobSpec
from dc1.storage.jobs.job_transitions import Transition, allowed, locked, move, write
from dc1.storage.jobs.settlement import Ending, close, end_attempt
from dc1.storage.jobs.submission import NewJob, SubmissionLimits, submit

__all__ = [
    "Claim",
    "JobRow",
    "JobSpec",
    "NewJob",
    "Outcome",
    "SubmissionLimits",
    "Transition",
    "cancel",
    "claim",
    "claim_all",
    "endpoint_ready",
    "expire_queued",
    "finish",
    "lose",
    "occupied_slots",
    "set_phase",
    "start",
    "submit",
    "time_out",
    "unclaim",
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended, as told by ``actor``.

    ``result`` is the object or string to keep. The reported seconds only ever lower the bill, GPU seconds before
    duration; a failed run costs nothing. Tokens price a /v1 call.
    """

    completed: bool
    actor: Actor = Actor.PROVIDER
    result: Any = None
    error: str | None = None
    error_category: ErrorCategory | None = None
    gpu_seconds: float | None = None
    duration_seconds: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    exit_code: int | None = None


def finish(
    conn: Connection,
    job_id: int,
    outcome: Outcome,
    now_ms: int,
    *,
    attempt: int | None = None,
    provider_id: int | None = None,
) -> Transition | None:
    """End a run as completed or failed and settle it.

    ``attempt`` and ``provider_id`` fence a daemon's call; None means that the caller needs no lease (renter, admin)
    or is taken for the current attempt. None is returned when the job is not running, or not in that lease.
    """
    target = JobStatus.COMPLETED if outcome.completed else JobStatus.FAILED
    job = _running(conn, job_id, attempt, provider_id)
    if job is None or not allowed(job, target, outcome.actor):
        return None
    used = _used(job, outcome, now_ms)
    ending = Ending(
        status=target,
        event=JobEvent.COMPLETED if outcome.completed else JobEvent.FAILED,
        actor=outcome.actor,
        error=None if outcome.completed else outcome.error,
        error_category=None if outcome.completed else (outcome.error_category or ErrorCategory.EXECUTION),
        used_seconds=used,
        gpu_seconds=outcome.gpu_seconds,
        exit_code=outcome.exit_code,
        prompt_tokens=outcome.prompt_tokens,
        completion_tokens=outcome.completion_tokens,
    )
    bill = _bill(job, used, outcome) if outcome.completed else Settlement.full_refund(job.cost_halala)
    moved = close(conn, job, ending, bill, now_ms)
    if outcome.result is not None:
        jobs.store_result(conn, job.id, outcome.result, now_ms)
    return moved


def lose(
    conn: Connection,
    job_id: int,
    attempt: int,
    now_ms: int,
    *,
    queue_deadline_seconds: int,
    category: ErrorCategory = ErrorCategory.PROVIDER_DISCONNECT,
    error: str = "The provider disconnected",
    actor: Actor = Actor.SERVER,
    exclude: bool = False,
) -> Transition | None:
    """Take a running job from a provider that lost it, or that reports a transient error.

    It goes back to its place in the queue with its hold, or fails with a full refund once its retries are used up.
    With ``exclude`` the provider does not get it again, unless the job names it. None when the job does not run in
    this attempt.
    """
    job = _running(conn, job_id, attempt, None)
    if job is None or not allowed(job, JobStatus.QUEUED, actor):
        return None
    if job.retry_count >= job.max_retries:
        ending = Ending(JobStatus.FAILED, JobEvent.FAILED, actor, error=error, error_category=category)
        return close(conn, job, ending, Settlement.full_refund(job.cost_halala), now_ms)
    end_attempt(conn, job, category.value, now_ms)
    deadline_ms = now_ms + queue_deadline_seconds * 1000
    after = move(
        conn,
        job,
        JobStatus.QUEUED,
        JobEvent.RETRY_SCHEDULED,
        actor,
        now_ms,
        message=error,
        payload={"lost_by_provider_id": job.provider_id, "retry_count": job.retry_count + 1, "reason": category.value},
        provider_id=None,
        last_provider_id=job.provider_id,
        excluded_provider_id=job.provider_id if exclude and job.named_provider_id is None else None,
        retry_count=job.retry_count + 1,
        retry_reason=error,
        queue_deadline_at_ms=deadline_ms,
        due_at_ms=deadline_ms,
        started_at_ms=None,
        timeout_at_ms=None,
        progress_phase=None,
        progress_updated_at_ms=None,
        endpoint_url=None,
    )
    return Transition(after)


def time_out(conn: Connection, job_id: int, now_ms: int) -> Transition | None:
    """Fail a run whose deadline has come; the time it used is charged. None when it has not."""
    job = _running(conn, job_id, None, None)
    if job is None or job.timeout_at_ms is None or now_ms < job.timeout_at_ms:
        return None
    used = _elapsed(job, now_ms)
    ending = Ending(
        JobStatus.FAILED,
        JobEvent.TIMED_OUT,
        Actor.SERVER,
        error=JOB_TIMED_OUT,
        error_category=ErrorCategory.TIMEOUT,
        used_seconds=used,
    )
    return close(conn, job, ending, _bill(job, used), now_ms)


def expire_queued(conn: Connection, job_id: int, now_ms: int) -> Transition | None:
    """Fail a waiting job whose queue deadline has come, with a full refund. None when it has not."""
    job = locked(conn, job_id)
    if job is None or job.status not in (JobStatus.QUEUED, JobStatus.PENDING):
        return None
    if job.queue_deadline_at_ms is None or now_ms < job.queue_deadline_at_ms:
        return None
    ending = Ending(
        JobStatus.FAILED,
        JobEvent.FAILED,
        Actor.SERVER,
        error=NO_PROVIDER_IN_TIME,
        error_category=ErrorCategory.QUEUE_TIMEOUT,
    )
    return close(conn, job, ending, Settlement.full_refund(job.cost_halala), now_ms)


def cancel(conn: Connection, job_id: int, actor: Actor, now_ms: int) -> Transition | None:
    """Cancel an open job: a run is charged the time it used, anything else is refunded in full. None when terminal."""
    job = locked(conn, job_id)
    if job is None or not allowed(job, JobStatus.CANCELLED, actor):
        return None
    used = _elapsed(job, now_ms) if job.status == JobStatus.RUNNING else None
    bill = Settlement.full_refund(job.cost_halala) if used is None else _bill(job, used)
    ending = Ending(JobStatus.CANCELLED, JobEvent.CANCELLED, actor, used_seconds=used)
    return close(conn, job, ending, bill, now_ms)


def set_phase(
    conn: Connection, job_id: int, provider_id: int, attempt: int | None, phase: Phase, now_ms: int
) -> JobRow | None:
    """Note what a run is doing; repeating a phase changes nothing. None when the caller does not hold the lease."""
    job = _running(conn, job_id, attempt, provider_id)
    if job is None or job.progress_phase == phase:
        return job
    return write(
        conn,
        job,
        JobEvent.PHASE_CHANGED,
        Actor.PROVIDER,
        now_ms,
        progress_phase=phase.value,
        progress_updated_at_ms=now_ms,
    )


def endpoint_ready(
    conn: Connection, job_id: int, provider_id: int, attempt: int | None, url: str, now_ms: int
) -> JobRow | None:
    """Note where a serving run can be reached. None when the caller does not hold the lease."""
    job = _running(conn, job_id, attempt, provider_id)
    if job is None:
        return None
    return write(conn, job, JobEvent.ENDPOINT_READY, Actor.PROVIDER, now_ms, endpoint_url=url)


def _running(conn: Connection, job_id: int, attempt: int | None, provider_id: int | None) -> JobRow | None:
    """The job, locked, if it runs in this attempt on this provider; None matches any."""
    job = locked(conn, job_id)
    if job is None or job.status != JobStatus.RUNNING:
        return None
    if attempt not in (None, job.attempt_number) or provider_id not in (None, job.provider_id):
        return None
    return job


def _elapsed(job: JobRow, now_ms: int) -> Decimal:
    assert job.started_at_ms is not None
    return Decimal(elapsed_seconds(job.started_at_ms, now_ms))


def _used(job: JobRow, outcome: Outcome, now_ms: int) -> Decimal:
    assert job.started_at_ms is not None
    elapsed = elapsed_seconds(job.started_at_ms, now_ms)
    return used_seconds(elapsed, outcome.gpu_seconds, outcome.duration_seconds)


def _bill(job: JobRow, used: Decimal, outcome: Outcome | None = None) -> Settlement:
    """What a run costs: by tokens for a /v1 call that was answered (others are free), else by the seconds used."""
    if job.token_price_halala is None:
        return settle(job.cost_halala, job.rate_halala_per_minute, job.class_multiplier, job.fee_bps, used)
    tokens = 0 if outcome is None else (outcome.prompt_tokens or 0) + (outcome.completion_tokens or 0)
    return Settlement.split(job.cost_halala, token_charge(tokens, job.token_price_halala), job.fee_bps)
