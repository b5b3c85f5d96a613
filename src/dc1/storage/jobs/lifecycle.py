"""Every move of a job; each is one call in the caller's transaction, with its money, its event and its counters.

A move locks the job's row, unless its caller has, checks its guard and writes once; when the guard does not match it
changes nothing and returns None. Rows are locked in one order (job, renter, provider, accounts, totals), so moves that
meet cannot deadlock. `submit` comes from `dc1.storage.jobs.submission`, `claim_all`, `unclaim` and `start` from
`dc1.storage.jobs.claims`.
"""

from dataclasses import replace
from decimal import Decimal
from typing import TypeAlias

from sqlalchemy import Connection

from dc1 import defaults
from dc1.domain.errors.engine_refusals import EngineRefusal
from dc1.domain.inference.usage import NOTHING_RELAYED, RelayedText
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.faults import CONSEQUENCES, Fault, fault_of_cancel
from dc1.domain.jobs.states import (
    JOB_TIMED_OUT,
    NO_PROVIDER_IN_TIME,
    NO_WORK_SHOWN,
    Actor,
    ErrorCategory,
    JobEvent,
    JobSource,
    JobStatus,
    Phase,
    is_producing,
)
from dc1.domain.money.pricing import Settlement
from dc1.storage.jobs import charges, jobs, token_usage
from dc1.storage.jobs.charges import Evidence
from dc1.storage.jobs.claims import Claim, claim_all, start, unclaim
from dc1.storage.jobs.job_records import JobRow, JobSpec
from dc1.storage.jobs.job_transitions import Begun, LockedJob, Transition, allowed, locked, move, write
from dc1.storage.jobs.settlement import Closure, close, end_attempt
from dc1.storage.jobs.submission import NewJob, SubmissionLimits, submit, tell_of_refusal
from dc1.storage.providers import standings
from dc1.storage.providers.standings import NO_CHANGE

__all__ = [
    "Claim",
    "JobRow",
    "JobSpec",
    "LockedJob",
    "NewJob",
    "SubmissionLimits",
    "Transition",
    "cancel",
    "claim_all",
    "drop",
    "end_overdue",
    "endpoint_ready",
    "finish",
    "lose",
    "set_phase",
    "start",
    "submit",
    "tell_of_refusal",
    "unclaim",
]

MOST_PROGRESS_EVENTS = 1_000
"""A job with so many events takes no more phases and endpoints: each is a row, and a daemon may say any number."""


Lockable: TypeAlias = int | LockedJob
"""A job by its row id or, where the caller has locked it to decide by it, its row: one settlement locks once."""


def finish(
    conn: Connection,
    job: Lockable,
    report: AttemptReport,
    now_ms: int,
    *,
    attempt: int | None = None,
    provider_id: int | None = None,
    relayed: RelayedText = NOTHING_RELAYED,
    evidence: Evidence | None = None,
    begun: Begun | None = None,
) -> Transition | None:
    """End a run as completed or failed and settle it; a failure is charged if it is the renter's fault.

    `relayed` is how much of a /v1 answer the server saw, unless the caller has the whole `evidence`. `attempt` and
    `provider_id` fence a daemon's call; None means that the caller needs no lease (renter, admin) or is taken for the
    current attempt. With `begun` the start of the run is stored with its end. None is returned when the job is not
    running, or not in that lease.
    """
    target = JobStatus.COMPLETED if report.completed else JobStatus.FAILED
    running = _running(conn, job, attempt, provider_id)
    if running is None or not allowed(running, target, report.actor):
        return None
    # By the server's clock at most: the daemon's only lowers the bill.
    seen = Evidence(conn, running, relayed) if evidence is None else evidence
    used = charges.used(seen, report, now_ms)
    fault = None if report.completed else charges.judged(seen, report, now_ms)
    usage, cut = token_usage.of_report(seen, report)
    closure = Closure(
        status=target,
        event=JobEvent.COMPLETED if report.completed else JobEvent.FAILED,
        actor=report.actor,
        error=None if report.completed else report.error,
        error_category=None if report.completed else report.error_category,
        error_detail=None if report.completed else report.error_detail,
        used_seconds=used,
        gpu_seconds=report.gpu_seconds,
        exit_code=report.exit_code,
        prompt_tokens=None if usage is None else usage.prompt,
        completion_tokens=None if usage is None else usage.completion,
        cached_tokens=None if usage is None else usage.cached,
        note=cut,
        fault=fault,
        refusal=report.refusal,
    )
    if fault is not None and running.token_price_halala is not None and CONSEQUENCES[fault].charged:
        # Nobody believes the count of a call that failed: what was relayed is what there is to pay for.
        return _cut_off(seen, running, closure, now_ms, begun)
    is_charged = fault is None or CONSEQUENCES[fault].charged
    bill = charges.bill(running, used, usage) if is_charged else Settlement.full_refund(running.cost_halala)
    moved = close(conn, running, closure, bill, now_ms, begun)
    if report.result is not None:
        jobs.store_result(conn, running.id, report.result, now_ms, report.events)
    return replace(moved, result=report.result if report.completed else None)


def lose(
    conn: Connection,
    job: Lockable,
    attempt: int,
    now_ms: int,
    *,
    queue_deadline_seconds: float,
    category: ErrorCategory = ErrorCategory.PROVIDER_DISCONNECT,
    error: str = "The provider disconnected",
    error_detail: str | None = None,
    actor: Actor = Actor.SERVER,
    exclude: bool = False,
    relayed: RelayedText = NOTHING_RELAYED,
    fault: Fault = Fault.PROVIDER,
    exit_code: int | None = None,
    refusal: EngineRefusal | None = None,
    may_retry: bool = True,
) -> Transition | None:
    """Take a running job from a provider that lost it or failed it, or whom the market takes it from.

    It goes back to its place in the queue with its hold, or fails with a full refund once its retries are used up, or
    where it `may_retry` no more; of a /v1 answer what was `relayed` is paid then, for the caller has it. With `exclude`
    the provider does not get the job again, unless the job names it. None when the job does not run in this attempt.
    """
    running = _running(conn, job, attempt, None)
    if running is None or not allowed(running, JobStatus.QUEUED, actor):
        return None
    if running.retry_count >= running.max_retries or not may_retry:
        closure = Closure(
            JobStatus.FAILED,
            JobEvent.FAILED,
            actor,
            error=error,
            error_category=category,
            error_detail=error_detail,
            exit_code=exit_code,
            fault=fault,
            refusal=refusal,
        )
        return _cut_off(Evidence(conn, running, relayed), running, closure, now_ms)
    # Its hold and its place in the queue stay: the order goes by when a job was submitted.
    end_attempt(conn, running, category.value, now_ms, exit_code=exit_code, error_detail=error_detail, fault=fault)
    assert running.provider_id is not None
    lost_by = sorted({*(running.lost_by or ()), running.provider_id})
    deadline_ms = now_ms + queue_deadline_seconds * 1000
    retries = running.retry_count + 1
    after = move(
        conn,
        running,
        JobStatus.QUEUED,
        JobEvent.RETRY_SCHEDULED,
        actor,
        now_ms,
        message=error,
        payload={
            "lost_by_provider_id": running.provider_id,
            "retry_count": retries,
            "reason": category.value,
            "fault": fault,
        },
        provider_id=None,
        last_provider_id=running.provider_id,
        lost_by=lost_by,
        # A job that names its provider has nobody else to go to.
        excluded_provider_id=running.provider_id if exclude and running.named_provider_id is None else None,
        retry_count=retries,
        retry_reason=error,
        # Waiting begins anew, and its deadline with it.
        queue_deadline_at_ms=deadline_ms,
        due_at_ms=deadline_ms,
        started_at_ms=None,
        timeout_at_ms=None,
        progress_phase=None,
        progress_updated_at_ms=None,
        working_since_ms=None,
        endpoint_url=None,
    )
    standing = NO_CHANGE
    if CONSEQUENCES[fault].counts:
        # After the job's row and before any other, the owner's first as in a settlement: rows are locked in one order.
        standings.ask_carried(conn, running.provider_id)
        standing = standings.failed(conn, running.provider_id, running.renter_id, now_ms)
        standings.count(conn, running.provider_id, standing, Settlement.full_refund(running.cost_halala))
    return Transition(after, standing=standing, cause=category)


def end_overdue(
    conn: Connection,
    job_id: int,
    now_ms: int,
    *,
    relayed: RelayedText = NOTHING_RELAYED,
    queue_deadline_seconds: float = defaults.QUEUE_DEADLINE_SECONDS,
) -> Transition | None:
    """Fail a job whose deadline has come: a run is charged the time it used, one that waits is refunded in full.

    A /v1 call is charged what was `relayed`. A run that showed no work is lost instead, by its provider's fault. None
    when the deadline that applies now has not come, or the job is terminal.
    """
    job = locked(conn, job_id)
    if job is None:
        return None
    if job.status == JobStatus.RUNNING:
        if job.timeout_at_ms is None or now_ms < job.timeout_at_ms:
            return None
        seen = Evidence(conn, job, relayed)
        return (
            _time_out(conn, job, seen, now_ms) if seen.has_worked else _idled(conn, job, now_ms, queue_deadline_seconds)
        )
    return _expire(conn, job, now_ms) if job.status in (JobStatus.QUEUED, JobStatus.PENDING) else None


def _time_out(conn: Connection, job: LockedJob, seen: Evidence, now_ms: int) -> Transition:
    closure = Closure(
        JobStatus.FAILED,
        JobEvent.TIMED_OUT,
        Actor.SERVER,
        error=JOB_TIMED_OUT,
        error_category=ErrorCategory.TIMEOUT,
        used_seconds=charges.worked_seconds(seen, now_ms),
        fault=Fault.RENTER,
    )
    return _cut_off(seen, job, closure, now_ms)


def _idled(conn: Connection, job: LockedJob, now_ms: int, queue_deadline_seconds: float) -> Transition | None:
    return lose(
        conn,
        job,
        job.attempt_number,
        now_ms,
        queue_deadline_seconds=queue_deadline_seconds,
        category=ErrorCategory.TIMEOUT,
        error=NO_WORK_SHOWN,
        exclude=True,
        # The time of a call is its caller's.
        may_retry=job.source != JobSource.V1,
    )


def _expire(conn: Connection, job: LockedJob, now_ms: int) -> Transition | None:
    if job.queue_deadline_at_ms is None or now_ms < job.queue_deadline_at_ms:
        return None
    return _unserved(conn, job, now_ms, ErrorCategory.QUEUE_TIMEOUT, NO_PROVIDER_IN_TIME)


def drop(conn: Connection, job_id: int, now_ms: int, category: ErrorCategory, error: str) -> Transition | None:
    """Fail a job that waits, by nobody's fault and with a full refund; None when it does not wait."""
    job = locked(conn, job_id)
    if job is None or job.status != JobStatus.QUEUED:
        return None
    return _unserved(conn, job, now_ms, category, error)


def _unserved(conn: Connection, job: LockedJob, now_ms: int, category: ErrorCategory, error: str) -> Transition:
    closure = Closure(
        JobStatus.FAILED,
        JobEvent.FAILED,
        Actor.SERVER,
        error=error,
        error_category=category,
        fault=Fault.MARKET,
    )
    return close(conn, job, closure, Settlement.full_refund(job.cost_halala), now_ms)


def cancel(
    conn: Connection, job_id: int, actor: Actor, now_ms: int, *, relayed: RelayedText = NOTHING_RELAYED
) -> Transition | None:
    """Cancel an open job; None when it is terminal.

    The renter is charged the time that a run used, and of a /v1 call what was `relayed`. What waits, and what an
    operator cancels, is refunded in full.
    """
    job = locked(conn, job_id)
    if job is None or not allowed(job, JobStatus.CANCELLED, actor):
        return None
    # No report comes of a run that is stopped from here, so the server's clock counts.
    ran = job.status == JobStatus.RUNNING
    seen = Evidence(conn, job, relayed)
    used = charges.worked_seconds(seen, now_ms) if ran else None
    fault = fault_of_cancel(actor)
    closure = Closure(JobStatus.CANCELLED, JobEvent.CANCELLED, actor, used_seconds=used, fault=fault)
    # Of what waits nothing can have been relayed, whatever memory says: it has no provider to be paid.
    if not ran or not CONSEQUENCES[fault].charged:
        return close(conn, job, closure, Settlement.full_refund(job.cost_halala), now_ms)
    return _cut_off(seen, job, closure, now_ms)


def set_phase(
    conn: Connection, job: Lockable, provider_id: int, attempt: int | None, phase: Phase, now_ms: int
) -> JobRow | None:
    """Note what a run is doing; repeating a phase changes nothing. None when the caller does not hold the lease."""
    running = _running(conn, job, attempt, provider_id)
    if running is None or running.progress_phase == phase:
        return running
    # What first shows work is noted always: money hangs on it.
    shows_work = is_producing(phase) and running.working_since_ms is None
    if running.event_sequence >= MOST_PROGRESS_EVENTS and not shows_work:
        return running
    return write(
        conn,
        running,
        JobEvent.PHASE_CHANGED,
        Actor.PROVIDER,
        now_ms,
        progress_phase=phase,
        progress_updated_at_ms=now_ms,
        working_since_ms=_working_since(running, now_ms) if is_producing(phase) else running.working_since_ms,
    )


def endpoint_ready(
    conn: Connection, job: Lockable, provider_id: int, attempt: int | None, url: str, now_ms: int
) -> JobRow | None:
    """Note where a serving run can be reached, again if that is new. None when the caller does not hold the lease."""
    running = _running(conn, job, attempt, provider_id)
    if running is None:
        return None
    says_no_more = running.endpoint_url == url or running.event_sequence >= MOST_PROGRESS_EVENTS
    if says_no_more and running.working_since_ms is not None:
        return running
    since_ms = _working_since(running, now_ms)
    return write(
        conn,
        running,
        JobEvent.ENDPOINT_READY,
        Actor.PROVIDER,
        now_ms,
        endpoint_url=url,
        working_since_ms=since_ms,
    )


def _working_since(job: JobRow, now_ms: int) -> int:
    return now_ms if job.working_since_ms is None else job.working_since_ms


def _running(conn: Connection, job: Lockable, attempt: int | None, provider_id: int | None) -> LockedJob | None:
    """Return the job, locked, if it runs in this attempt on this provider; None matches any."""
    row = locked(conn, job) if isinstance(job, int) else job
    if row is None or row.status != JobStatus.RUNNING:
        return None
    # Both: a provider that lost a job and got it back holds another attempt.
    if attempt not in (None, row.attempt_number) or provider_id not in (None, row.provider_id):
        return None
    return row


def _cut_off(seen: Evidence, job: LockedJob, closure: Closure, now_ms: int, begun: Begun | None = None) -> Transition:
    """End a job of which nobody reported what it took; a call by what was relayed, another by `used_seconds` if any."""
    if job.token_price_halala is not None:
        usage = token_usage.of_relayed(seen)
        if usage.total:
            closure = replace(closure, prompt_tokens=usage.prompt, completion_tokens=usage.completion)
        return close(seen.conn, job, closure, charges.bill(job, Decimal(0), usage), now_ms, begun)
    used = closure.used_seconds
    bill = Settlement.full_refund(job.cost_halala) if used is None else charges.bill(job, used)
    return close(seen.conn, job, closure, bill, now_ms, begun)
