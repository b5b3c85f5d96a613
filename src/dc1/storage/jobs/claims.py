"""Slots and leases: giving a waiting job to a provider, taking it back, and starting the run."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sqlalchemy import Connection, bindparam, case, func, insert, select

from dc1.domain.access.provider_choice import ProviderChoice
from dc1.domain.jobs.faults import Fault
from dc1.domain.jobs.placement import Room
from dc1.domain.jobs.states import Actor, ErrorCategory, JobEvent, JobSource, JobStatus, Phase, is_producing
from dc1.domain.money.machine_terms import ANY_TERMS, MachineTerms, PriceBasis, TermsChangedError
from dc1.domain.money.pricing import Settlement
from dc1.domain.providers.liveness import Approval
from dc1.storage.engine.statements import PreparedStatement
from dc1.storage.jobs import webhook_events
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.jobs.job_transitions import (
    Begun,
    LockedJob,
    allowed,
    event_of,
    locked,
    locked_as_known,
    locked_if_free,
    move,
    write,
)
from dc1.storage.jobs.jobs import LEASED
from dc1.storage.jobs.settlement import Closure, close
from dc1.storage.money import counters
from dc1.storage.money.ledger import SHARDS
from dc1.storage.schema.tables import gpu_factors, job_attempts, jobs, providers

# Whoever counts a provider's free slots holds its row, so two claims cannot both find the last one.
_LOCK_PROVIDER = PreparedStatement(
    select(
        # In the order of `PriceBasis`.
        providers.c.ask_pct,
        providers.c.mismatch.is_not(None),
        providers.c.probed_at_ms,
        select(gpu_factors.c.factor_pct).where(gpu_factors.c.gpu_model == bindparam("gpu_name")).scalar_subquery(),
    )
    .where(
        providers.c.id == bindparam("wanted"),
        providers.c.approval_status == Approval.APPROVED,
        providers.c.is_suspended.is_(False),
        providers.c.owner_suspended.is_(False),
        providers.c.is_paused.is_(False),
        providers.c.is_drained.is_(False),
        providers.c.deleted_at_ms.is_(None),
    )
    .with_for_update(key_share=True)
)
_IS_CALL = jobs.c.source == JobSource.V1
# Counted anew from a partial index of leases: a number that is kept could drift from them.
_OCCUPIED = PreparedStatement(
    select(func.coalesce(func.sum(jobs.c.gpu_count), 0)).where(jobs.c.provider_id == bindparam("wanted"), LEASED)
)
# Of machines whose engines say how many calls they take, which are no matter of their GPUs.
_OCCUPIED_BY_KIND = PreparedStatement(
    select(
        func.coalesce(func.sum(case((_IS_CALL, 0), else_=jobs.c.gpu_count)), 0),
        func.coalesce(func.sum(case((_IS_CALL, 1), else_=0)), 0),
    ).where(jobs.c.provider_id == bindparam("wanted"), LEASED)
)
_INSERT_ATTEMPT = PreparedStatement(
    insert(job_attempts), ["job_id", "attempt_number", "provider_id", "started_at_ms", "price_bps"]
)


@dataclass(frozen=True, slots=True)
class UnstoredStart:
    """The start of an offered job's run that is known to a server and not stored yet, with the phase that it is in."""

    row_id: int
    provider_id: int
    attempt: int
    at_ms: int
    phase: Phase | None = None
    phase_at_ms: int | None = None

    def changes(self) -> dict[str, Any]:
        """Return what the phase changes of the job's row."""
        if self.phase is None:
            return {}
        return {
            "progress_phase": self.phase,
            "progress_updated_at_ms": self.phase_at_ms,
            **({"working_since_ms": self.phase_at_ms} if is_producing(self.phase) else {}),
        }


class RoomQuestion:
    """Whether a provider may take work and has room for it, asked of the database.

    A yes holds until the transaction ends: nobody else can take a slot of this provider meanwhile.
    """

    def __init__(
        self, conn: Connection, provider_id: int, slots: int, call_slots: int = 0, terms: MachineTerms = ANY_TERMS
    ) -> None:
        """Ask it of a provider that has so many slots; without `call_slots` a call takes one of the others.

        `terms` are what it is taken to cost.
        """
        self._slots = slots
        self._call_slots = call_slots
        self._terms = terms
        self._provider = _LOCK_PROVIDER.ask(conn, {"wanted": provider_id, "gpu_name": terms.gpu_name or ""})
        # In one round trip, and yet counted under the lock: each statement sees what was committed when it began.
        self._occupied = (_OCCUPIED_BY_KIND if call_slots else _OCCUPIED).ask(conn, {"wanted": provider_id})

    def has(self, needed: Room) -> bool:
        """Tell whether what is `needed` is free.

        Raises:
            TermsChangedError: The provider costs something else by now, as another server may have heard.
        """
        found = self._provider()
        if not found:
            return False
        # Of calls tokens are the price.
        if needed.gpus and self._terms.basis is not None and self._terms.basis.is_outdated(_basis(*found[0])):
            raise TermsChangedError
        if not self._call_slots:
            ((taken,),) = self._occupied()
            return int(taken) + needed.gpus + needed.calls <= self._slots
        ((gpus, calls),) = self._occupied()
        if needed.calls:
            return int(calls) + needed.calls <= self._call_slots
        return int(gpus) + needed.gpus <= self._slots


@dataclass(frozen=True, slots=True)
class Claim:
    """A waiting job that is to be given to a provider with so many `slots` and `call_slots`, at its `terms`."""

    job_id: int
    provider_id: int
    slots: int
    terms: MachineTerms = ANY_TERMS
    call_slots: int = 0


def claim_all(conn: Connection, claims: Sequence[Claim], now_ms: int) -> list[JobRow | None]:
    """Reserve slots of providers for queued jobs (queued to pending); the results are in the order of `claims`.

    None for a job that is not queued any more, that somebody else moves now, that names another provider, must not go
    to this one again or is held for less than it costs, and where the provider cannot take it now or costs something
    else by now.
    """
    # Two batches that meet, or a batch and a flush of reports, lock providers in one order; jobs are never waited for.
    order = sorted(range(len(claims)), key=lambda place: claims[place].provider_id)
    claimed = {place: _claim(conn, claims[place], now_ms) for place in order}
    # One statement for a shard and not for a job; sorted, for two batches lock their shards in one order.
    by_shard = Counter(job.id % SHARDS for job in claimed.values() if job is not None)
    for shard, moved in sorted(by_shard.items()):
        counters.change(conn, shard, jobs_queued=-moved, jobs_pending=moved)
    return [claimed[place] for place in range(len(claims))]


def _claim(conn: Connection, wanted: Claim, now_ms: int) -> JobRow | None:
    # Not waited for: the batch may hold providers by now, and who moves this job may be waiting for one of them.
    job = locked_if_free(conn, wanted.job_id)
    if job is None or not allowed(job, JobStatus.PENDING, Actor.SCHEDULER):
        return None
    price_bps = run_price_bps(job, wanted.terms.price_bps)
    if not _may_run_on(job, wanted.provider_id, price_bps):
        return None
    try:
        if not RoomQuestion(conn, wanted.provider_id, wanted.slots, wanted.call_slots, wanted.terms).has(job.room):
            return None
    except TermsChangedError:
        # It waits until the news of it is here, as it may cost more than the job is held for.
        return None
    return write(
        conn,
        job,
        JobEvent.STATUS_CHANGED,
        Actor.SCHEDULER,
        now_ms,
        status=JobStatus.PENDING,
        provider_id=wanted.provider_id,
        run_price_bps=price_bps,
    )


def unclaim(
    conn: Connection,
    job_id: int,
    provider_id: int,
    now_ms: int,
    *,
    reason: str | None = None,
    category: ErrorCategory = ErrorCategory.PROVIDER_DISCONNECT,
    fault: Fault | None = None,
    again_seconds: float | None = None,
) -> JobRow | None:
    """Take back a pending job from a provider that is not bookable or did not answer; no retry is counted.

    It waits again, but for a /v1 call, which waits for another provider for `again_seconds` and has one retry less;
    without them, or once its retries are used up, it fails with a full refund, of this `category` and by this `fault`.
    """
    job = locked(conn, job_id)
    if job is None or job.status != JobStatus.PENDING or job.provider_id != provider_id:
        return None
    # Its caller waits for the answer and not for a place in the queue.
    is_call = job.source == JobSource.V1
    counted: dict[str, Any] = {}
    if is_call and again_seconds is not None and job.retry_count < job.max_retries:
        counted = _counted(job, provider_id, now_ms + round(again_seconds * 1000))
    elif is_call:
        closure = Closure(
            JobStatus.FAILED,
            JobEvent.FAILED,
            Actor.SERVER,
            error=reason,
            error_category=category,
            fault=fault,
        )
        return close(conn, job, closure, Settlement.full_refund(job.cost_halala), now_ms).job
    return move(
        conn,
        job,
        JobStatus.QUEUED,
        JobEvent.STATUS_CHANGED,
        Actor.SCHEDULER,
        now_ms,
        message=reason,
        provider_id=None,
        **counted,
    )


def _counted(job: LockedJob, provider_id: int, deadline_ms: int) -> dict[str, Any]:
    """Return what changes of a call that goes on to another provider.

    It counts, unlike other offers that came to nothing: its caller would wait for one machine after the other.
    """
    return {
        "lost_by": sorted({*(job.lost_by or ()), provider_id}),
        "retry_count": job.retry_count + 1,
        "queue_deadline_at_ms": deadline_ms,
        "due_at_ms": deadline_ms,
    }


def start(
    conn: Connection,
    job_id: int,
    provider_id: int,
    expected_attempt: int,
    slots: int,
    now_ms: int,
    *,
    terms: MachineTerms = ANY_TERMS,
    call_slots: int = 0,
) -> JobRow | None:
    """Start a run on a provider that holds the job pending, or that takes it from the queue itself, at its `terms`.

    Raises the attempt number by one and sets the run deadline. None when the job's attempt number is not
    `expected_attempt` (as it was when the job was offered), or the provider has no right to it.
    """
    job = locked(conn, job_id)
    if job is None or job.attempt_number != expected_attempt or not allowed(job, JobStatus.RUNNING, Actor.PROVIDER):
        return None
    # At the price at which it was offered: what its owner asks since is for later jobs.
    price_of_run = job.run_price_bps
    if job.status == JobStatus.PENDING:
        if job.provider_id != provider_id:
            return None
    else:
        # Straight from the queue, by a poll: nobody reserved a slot for it before.
        price_of_run = run_price_bps(job, terms.price_bps)
        if not _may_run_on(job, provider_id, price_of_run):
            return None
        try:
            if not RoomQuestion(conn, provider_id, slots, call_slots, terms).has(job.room):
                return None
        except TermsChangedError:
            return None
    after = store(conn, _begun(job, now_ms, {"provider_id": provider_id, "run_price_bps": price_of_run}))
    # The counters are called after the states.
    counters.change(conn, job.id, **{f"jobs_{job.status}": -1, "jobs_running": 1})
    return after


def store_starts(conn: Connection, starts: Sequence[UnstoredStart]) -> list[JobRow | None]:
    """Store starts, in the order of the jobs' ids; None for a job that is not offered for that attempt any more."""
    found = [begin(conn, start) for start in starts]
    begun = [None if each is None else store(conn, each) for each in found]
    count_begun(conn, *filter(None, begun))
    return [*begun]


def begin(conn: Connection, start: UnstoredStart, known: JobRow | None = None) -> Begun | None:
    """Lock a job that has begun so, and write nothing: either its end is written with it, or `store` has to follow.

    It is not read where it is stored as it is `known`. None when the job is not offered to that provider for that
    attempt any more.
    """
    job = None if known is None else locked_as_known(conn, known)
    job = job or locked(conn, start.row_id)
    if job is None or job.status != JobStatus.PENDING:
        return None
    if (job.provider_id, job.attempt_number + 1) != (start.provider_id, start.attempt):
        return None
    return _begun(job, start.at_ms, start.changes())


def store(conn: Connection, begun: Begun) -> LockedJob:
    """Store a start but count nothing: `count_begun` has to follow, for totals are locked after all else."""
    job = begun.job
    url = webhook_events.ask_url(conn, job.renter_id)
    event = begun.event
    write(conn, begun.stored, event.event_type, event.source, event.occurred_at_ms, **begun.changes)
    values = {"job_id": job.id, "attempt_number": job.attempt_number, "provider_id": job.provider_id}
    _INSERT_ATTEMPT.send(conn, values | {"started_at_ms": job.started_at_ms, "price_bps": job.run_price_bps})
    webhook_events.job_started(conn, webhook_events.found_url(url), job, event.occurred_at_ms)
    return job


def count_begun(conn: Connection, *jobs: JobRow) -> None:
    """Count runs that `store` has stored."""
    for shard, begun in sorted(Counter(job.id % SHARDS for job in jobs).items()):
        counters.change(conn, shard, jobs_pending=-begun, jobs_running=begun)


def run_ends_by_ms(job: JobRow, started_ms: int) -> int:
    """Return when a run of a job that starts at a time is over at the latest."""
    # The caller of a call waits for all attempts together.
    begun_ms = job.submitted_at_ms if job.source == JobSource.V1 and job.retry_count else started_ms
    return begun_ms + job.run_deadline_seconds * 1000


def _begun(job: LockedJob, now_ms: int, more: Mapping[str, Any]) -> Begun:
    timeout_at_ms = run_ends_by_ms(job, now_ms)
    changes = {
        "status": JobStatus.RUNNING,
        # Counted when a run starts and not when it is offered: an offer that nobody takes up is no attempt.
        "attempt_number": job.attempt_number + 1,
        "started_at_ms": now_ms,
        "timeout_at_ms": timeout_at_ms,
        "due_at_ms": timeout_at_ms,
        **more,
    }
    after = LockedJob(replace(job, event_sequence=job.event_sequence + 1, **changes))
    return Begun(job, after, changes, event_of(after, JobEvent.STATUS_CHANGED, Actor.PROVIDER, now_ms))


def _basis(ask_pct: int, has_mismatch: bool, probed_at_ms: int | None, factor_pct: int | None) -> PriceBasis:
    # SQLite tells the truth as a number.
    return PriceBasis(ask_pct, bool(has_mismatch), probed_at_ms, factor_pct)


class _Priced(Protocol):
    """A job, or one that is about to be."""

    @property
    def hold_price_bps(self) -> int | None: ...
    @property
    def gpu_count(self) -> int: ...
    @property
    def named_provider_id(self) -> int | None: ...


def run_price_bps(job: _Priced, price_bps: int) -> int | None:
    """Return what a job takes of the price of a machine, each of whose GPUs costs `price_bps`.

    A machine that the job names has no more than was quoted for it.
    """
    if job.hold_price_bps is None:
        return None
    price = price_bps * job.gpu_count
    return price if job.named_provider_id is None else min(price, job.hold_price_bps)


def _may_run_on(job: JobRow, provider_id: int, price_bps: int | None) -> bool:
    # The price once more: whoever asked with older news must not be paid less than it asks, and nobody pays more than
    # was held.
    is_held_for = price_bps is None or job.hold_price_bps is None or price_bps <= job.hold_price_bps
    had_it = job.source is JobSource.V1 and provider_id in (job.lost_by or ())
    may_have_it = job.named_provider_id in (None, provider_id) and job.excluded_provider_id != provider_id
    is_allowed = ProviderChoice.stored(job.provider_choice).allows(provider_id)
    return is_held_for and may_have_it and is_allowed and not had_it
