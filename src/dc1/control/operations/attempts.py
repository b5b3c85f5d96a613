"""What a daemon does with a job, whether it speaks on the stream or by HTTP: the same checks, moves and news.

Every write is fenced by the attempt number in the database. Memory follows after the commit.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

import structlog

from dc1.control.fleet.provider import Provider
from dc1.control.operations.call_starts import CallStarts
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.dispatcher import Dispatcher
from dc1.control.scheduling.job_feed import Lagged, LogLines, StateChanged, TokenChunk
from dc1.control.scheduling.leases import Lease
from dc1.control.scheduling.replicas import Replicas
from dc1.control.scheduling.retries import Retries
from dc1.control.scheduling.sessions import StopReason
from dc1.domain import errors
from dc1.domain.inference.usage import NOTHING_RELAYED, RelayedText
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.failure_texts import OFFER_DECLINED, cleaned, known_sentence
from dc1.domain.jobs.faults import Fault
from dc1.domain.jobs.states import Actor, ErrorCategory, JobSource, JobStatus, JobType, Phase
from dc1.domain.providers.liveness import Liveness
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import charges, job_logs, lifecycle
from dc1.storage.jobs.charges import Evidence, relayed_in
from dc1.storage.jobs.claims import begin, count_begun, store
from dc1.storage.jobs.fencing import held_to_the_end, locked_in_force, running_in
from dc1.storage.jobs.job_logs import Logged, LogLine
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.jobs.job_transitions import LockedJob

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReportReceipt:
    """A job settled or `retried` by a report; `promoted_on` is who had it, where a waiting job takes the slot."""

    job: JobRow
    retried: bool
    promoted_on: int | None


class Attempts:
    """The daemon's side of jobs."""

    def __init__(self, core: Core, dispatcher: Dispatcher, replicas: Replicas) -> None:
        self._db = core.db
        self._clock = core.clock
        self._fleet = core.fleet
        self._leases = core.leases
        self._job_feed = core.job_feed
        self._queue_deadline_seconds = core.config.limits.queue_deadline_seconds
        self._retries = Retries(core)
        self._dispatcher = dispatcher
        self._replicas = replicas
        self._run_counts = core.run_counts
        self.starts = CallStarts(core, dispatcher)
        replicas.store_by(self.starts.store)

    async def accept(self, provider_id: int, job_id: str, attempt: int) -> Lease | StopReason:
        """Start the run of an offered job; a repeated call finds it running.

        Otherwise, why the daemon must forget it.
        """
        lease = self._leases.held(provider_id, job_id)
        if lease is None or lease.attempt != attempt:
            return StopReason.WITHDRAWN
        # Held over the write: an acceptance and a withdrawal that meet would both act on what the other is changing.
        async with lease.changing:
            is_begun = lease.running or self.starts.begin(lease)
            return lease if is_begun else await self.start(lease, may_run=True)

    async def start(self, lease: Lease, *, may_run: bool = False) -> Lease | StopReason:
        """Start the run of an offered job for whoever holds `changing`; else, why the daemon must forget it.

        With `may_run` it may have been started already, through another replica.
        """
        if not self._leases.is_current(lease):
            return StopReason.WITHDRAWN
        # Read here: the fleet belongs to the loop, and the transaction runs on another thread.
        provider, now_ms = self._fleet.known(lease.provider_id), self._clock.now_ms()
        slots, terms = provider.slots, self._fleet.terms(provider)
        start = partial(lifecycle.start, terms=terms, call_slots=provider.inference_slots)

        def work(conn: Connection) -> JobRow | None:
            started = start(conn, lease.row_id, lease.provider_id, lease.attempt - 1, slots, now_ms)
            return started or (running_in(conn, lease.row_id, lease.provider_id, lease.attempt) if may_run else None)

        job = await self._db.write(work)
        if job is None:
            if self._leases.is_current(lease):
                self._dispatcher.end_lease(lease.row_id)
            return StopReason.WITHDRAWN
        if job.started_at_ms == now_ms:  # and not elsewhere, before
            self._run_counts.started(job, now_ms)
        self._dispatcher.follow(job, lease.assignment.spec)
        # The lease in memory has the last word: while this was committed, another replica's move may have been
        # followed.
        current = self._leases.held(lease.provider_id, lease.job_id)
        if current is None or current.attempt != lease.attempt or not current.running:
            return StopReason.SUPERSEDED
        return current

    async def decline(self, provider_id: int, job_id: str, attempt: int, reason: str) -> None:
        """Give an offered job to somebody else, because the daemon will not run it."""
        lease = self._leases.held(provider_id, job_id)
        if lease is not None and lease.attempt == attempt and not lease.running:
            # A daemon's own words may hold addresses of its house: the renter gets those that the catalogue knows.
            _log.info("offer_declined", provider_id=provider_id, job_id=job_id, reason=cleaned(reason))
            job = await self._take_back(lease, known_sentence(reason) or OFFER_DECLINED)
            if job is not None:
                self._dispatcher.declined(job, provider_id)

    async def withdraw(self, lease: Lease, reason: str) -> bool:
        """Take an offered job back to the queue, and tell whether it was still offered.

        No retry is counted, a run goes on.
        """
        job = await self._take_back(lease, reason)
        if job is not None:
            self._dispatcher.requeued(job, avoid=(lease.provider_id,))
        return job is not None

    async def _take_back(self, lease: Lease, reason: str) -> JobRow | None:
        now_ms = self._clock.now_ms()
        async with lease.changing:
            if lease.running or not self._leases.is_current(lease):
                return None
            again_seconds = self._retries.again_seconds(lease)
            unclaim = partial(lifecycle.unclaim, reason=reason, again_seconds=again_seconds, now_ms=now_ms)
            take = partial(unclaim, job_id=lease.row_id, provider_id=lease.provider_id)
            job = await self._db.write(take)
            if job is None or not self._dispatcher.learn(job):
                return None
            self._run_counts.returned()
            self._dispatcher.health.judge(job, lease.provider_id)
            self._dispatcher.end_lease(lease.row_id, StopReason.WITHDRAWN)
            return job

    async def progress(self, provider_id: int, reference: str, attempt: int | None, phase: Phase) -> JobRow:
        """Note the phase of a run; raises LEASE_SUPERSEDED, JOB_SETTLED, `Forbidden` or `Job is not running`."""
        lease = self._leases.named(provider_id, reference)
        if lease is not None and lease.unstored is not None and attempt in (None, lease.attempt):
            return self.starts.enter(lease, phase)
        now_ms = self._clock.now_ms()

        def work(conn: Connection) -> JobRow:
            job = locked_in_force(conn, reference, provider_id, attempt)
            after = lifecycle.set_phase(conn, job, provider_id, attempt, phase, now_ms)
            if after is None:
                raise errors.job_not_running(job.status)
            return after

        return await self._noted(work)

    async def endpoint_ready(self, provider_id: int, reference: str, attempt: int | None, url: str) -> JobRow:
        """Note where a run is served; raises as `progress` does, and `Job is not a running vllm_serve job`."""
        now_ms = self._clock.now_ms()

        def work(conn: Connection) -> JobRow:
            job = locked_in_force(conn, reference, provider_id, attempt)
            serves = job.job_type == JobType.VLLM_SERVE
            after = lifecycle.endpoint_ready(conn, job, provider_id, attempt, url, now_ms) if serves else None
            if after is None:
                raise errors.endpoint_not_serving()
            return after

        return await self._noted(work)

    async def _noted(self, work: Callable[[Connection], JobRow]) -> JobRow:
        self._dispatcher.tell(job := await self._db.write(work))
        return job

    async def append_logs(
        self, provider_id: int, reference: str, attempt: int | None, lines: Sequence[LogLine], batch: int | None = None
    ) -> Logged:
        """Store log lines of a run, for a minute also after its end; a batch that was stored before changes nothing."""
        await self.starts.store_named(provider_id, reference)
        now_ms = self._clock.now_ms()

        def work(conn: Connection) -> Logged:
            job = held_to_the_end(conn, reference, provider_id, attempt, now_ms)
            rows = job_logs.append(conn, job.id, job.attempt_number, lines, batch)
            return Logged(job, job.attempt_number, rows)

        logged = await self._db.write(work)
        if logged.rows:
            self._job_feed.publish(logged.job.id, LogLines(logged.rows))
        return logged

    def tokens(self, provider_id: int, job_id: str, tokens: TokenChunk) -> bool:
        """Show generated text to whoever watches; False when the daemon does not hold the job."""
        lease = self._leases.held(provider_id, job_id)
        if lease is None or lease.attempt != tokens.attempt or not lease.running:
            return False
        if not lease.pass_on(partial(self._show, lease, tokens)):
            self._job_feed.publish(lease.row_id, Lagged())
        return True

    def _show(self, lease: Lease, tokens: TokenChunk) -> None:
        lease.relay_chunk(tokens, self._clock.now_ms())
        self._job_feed.publish(lease.row_id, tokens)
        # What the engine says is for the one caller, who mostly is here; the text is for every reader.
        if self._replicas.others and self._job_feed.has_caller(lease.row_id):
            tokens = replace(tokens, events=(), is_last=False)
        elif self._replicas.others:
            lease.kept.add(tokens.events, tokens.event_offset)
        self._replicas.share_tokens(lease.row_id, tokens)

    async def finish(
        self,
        provider_id: int | None,
        reference: str,
        attempt: int | None,
        report: AttemptReport,
        *,
        transient: bool = False,
    ) -> ReportReceipt:
        """End a run and settle it, or put it back for another attempt when the failure is transient.

        `provider_id` is None for an admin, who needs no lease.
        """
        if not report.completed or provider_id is None or self._leases.held(provider_id, reference) is None:
            await self.starts.store_named(provider_id, reference)
        now_ms = self._clock.now_ms()
        # Read here, as the leases belong to the loop. Who names the job otherwise than it was offered brings no tokens.
        lease = None if provider_id is None else self._leases.held(provider_id, reference)
        row_ids, start = ((), None) if lease is None else ((lease.row_id,), lease.unstored)
        offered, spec = (None, None) if lease is None else (lease.assignment.job, lease.assignment.spec)
        if lease is not None and not self._job_feed.has_caller(lease.row_id):
            report = replace(report, events=lease.kept.beside(report.result, lease.assignment.job.call_path))
        gpu_failed_at_ms = None if provider_id is None else self._fleet.known(provider_id).cards.failed_at_ms
        # For the same reason: who else could run it is known here only.
        failed = None if provider_id is None else self._leases.named(provider_id, reference)
        may_fail = not report.completed or report.is_doubtful
        others = may_fail and failed is not None and self._retries.others_fit(failed)

        def work(conn: Connection, relayed: RelayedText) -> tuple[JobRow, lifecycle.Transition]:
            # Locked once: what is fenced here is what is settled below.
            begun = None if start is None else begin(conn, start, offered)
            job = begun.job if begun else locked_in_force(conn, reference, provider_id, attempt)
            evidence = Evidence(conn, job, relayed, gpu_failed_at_ms, spec)
            taken = charges.examined(evidence, report)
            is_lost = not taken.completed and (
                transient or (others and charges.judged(evidence, taken, now_ms) is Fault.PROVIDER)
            )
            if is_lost and begun is not None:
                store(conn, begun)
            moved = (
                self._failed_here(conn, job, taken, now_ms, transient=transient, others=others)
                if is_lost
                else lifecycle.finish(conn, job, taken, now_ms, evidence=evidence, begun=begun)
            )
            if moved is None:
                raise errors.job_not_running(job.status)
            if is_lost and begun is not None:
                count_begun(conn, job)
            return job, moved

        with self._leases.settling(*row_ids) as said:
            relayed = next(iter(said.values()), NOTHING_RELAYED)
            before, moved = await self._db.write(partial(work, relayed=relayed))
            self.left(moved, before.provider_id, StopReason.SETTLED if provider_id is None else None)
        promoted_on = before.provider_id if self._dispatcher.has_work_for(before.provider_id) else None
        return ReportReceipt(moved.job, retried=moved.job.status == JobStatus.QUEUED, promoted_on=promoted_on)

    def _failed_here(
        self, conn: Connection, job: LockedJob, report: AttemptReport, now_ms: int, *, transient: bool, others: bool
    ) -> lifecycle.Transition | None:
        """Put a job back that its provider failed; one that would fail it again does not get it again."""
        return lifecycle.lose(
            conn,
            job,
            job.attempt_number,
            now_ms,
            queue_deadline_seconds=self._retries.queue_seconds(job),
            category=report.error_category,
            error=report.error,
            error_detail=report.error_detail,
            actor=Actor.PROVIDER,
            exclude=not transient,
            exit_code=report.exit_code,
            fault=Fault.MARKET if report.error_category is ErrorCategory.ENGINE_BUSY else Fault.PROVIDER,
            refusal=report.refusal,
            may_retry=others or job.source is not JobSource.V1,
        )

    async def lose_calls(self, provider: Provider) -> None:
        """Take the calls from a daemon that went without a word, which another one can answer while it is awaited."""
        for lease in self._leases.of_provider(provider.id):
            if lease.assignment.job.source is JobSource.V1 and self._retries.may_follow(lease):
                await self.lose(lease, "The provider disconnected")

    async def confirm_lost(self, providers: Collection[Provider]) -> list[Provider]:
        """Return those of the providers that went offline for whom there is no reason to wait."""
        await self._replicas.confirm_lost(providers)
        return [each for each in providers if self._fleet.presence.liveness(each) is Liveness.OFFLINE]

    async def lose(self, lease: Lease, reason: str, *, by_operator: bool = False) -> bool:
        """Take a job from a provider that is gone or lost it: a run counts a retry, an offer does not.

        `by_operator` says that nobody is to blame. True when that put the job back into the queue.
        """
        await self.starts.store(lease.row_id)
        if await self.withdraw(lease, reason):
            return self._leases.of_job(lease.row_id) is None and lease.row_id in self._dispatcher.queue
        if not lease.running:
            return False
        await self.starts.store(lease.row_id)  # accepted meanwhile
        lose = partial(self.lose_in, lease=lease, now_ms=self._clock.now_ms(), reason=reason, by_operator=by_operator)
        # A job waits for whoever comes, the one that it names too (contract 4.1); a call has a caller who waits.
        may_retry = self._retries.may_follow(lease)
        with self._leases.settling(lease.row_id):
            moved = await self._db.write(partial(lose, may_retry=may_retry))
            if moved is None:
                return False
            self.left(moved, lease.provider_id, StopReason.SUPERSEDED)
        return moved.job.status == JobStatus.QUEUED

    def lose_in(
        self,
        conn: Connection,
        lease: Lease,
        now_ms: int,
        reason: str,
        *,
        exclude: bool = False,
        by_operator: bool = False,
        may_retry: bool = True,
    ) -> lifecycle.Transition | None:
        """As `lose`, in the caller's transaction and for a run only; `left` follows once that is durable."""
        return lifecycle.lose(
            conn,
            lease.row_id,
            lease.attempt,
            now_ms,
            queue_deadline_seconds=self._retries.queue_seconds(lease.assignment.job),
            category=ErrorCategory.OPERATOR if by_operator else ErrorCategory.PROVIDER_DISCONNECT,
            error=reason,
            exclude=exclude,
            relayed=lease.relayed,
            fault=Fault.MARKET if by_operator else Fault.PROVIDER,
            may_retry=may_retry,
        )

    async def bookability_changed(self, provider: Provider) -> None:
        """Follow a provider that may or may not be given new work any more: give it some, or take offers back."""
        if self._fleet.view(provider).takes_new_work:
            self._dispatcher.wake(provider.id)
            return
        await self._replicas.take_over(provider.id)
        for lease in self._leases.of_provider(provider.id):
            # What says something runs, though another server may not have stored that yet.
            if not (lease.running or lease.relayed.tokens):
                await self.withdraw(lease, "The provider takes no new work")

    async def evict(self, provider: Provider, reason: str, *, by_operator: bool = False) -> int:
        """Take everything from a provider that may no longer run jobs; return how many jobs went back to the queue."""
        await self._replicas.take_over(provider.id)
        held = self._leases.of_provider(provider.id)
        return sum([await self.lose(lease, reason, by_operator=by_operator) for lease in held])

    async def enforce_deadline(self, row_id: int) -> None:
        """End a job whose run or queue deadline has passed; a run that showed no work goes to another provider."""
        await self.starts.store(row_id)
        elsewhere = await self._replicas.said(row_id)
        lease, now_ms, seconds = self._leases.of_job(row_id), self._clock.now_ms(), self._queue_deadline_seconds
        end = partial(lifecycle.end_overdue, job_id=row_id, now_ms=now_ms, queue_deadline_seconds=seconds)
        with self._leases.settling(row_id) as said:
            moved = await self._db.write(lambda conn: end(conn, relayed=relayed_in(conn, row_id, said, elsewhere)))
            if moved is not None:
                # A job that goes back to the queue has no provider any more; its lease still names the one it had.
                provider_id = moved.job.provider_id if lease is None else lease.provider_id
                self.left(moved, provider_id, StopReason.TIMED_OUT)

    def left(self, moved: lifecycle.Transition, provider_id: int | None, stop: StopReason | None = None) -> None:
        """Follow in memory a job that ended, or went back to the queue, after it was with `provider_id`."""
        job = moved.job
        self._run_counts.ended(moved, provider_id)
        # The feed of changes may have told it already, and more: followed late, a job that somebody has would wait.
        if not self._dispatcher.learn(job):
            return
        # Before the job is placed anew, which goes by it.
        if provider_id is not None:
            self._fleet.count_run(provider_id, moved.standing)
            self._dispatcher.health.judge(job, provider_id)
        self._dispatcher.end_lease(job.id, stop)
        if job.status == JobStatus.QUEUED:
            self._dispatcher.requeued(job, avoid=() if provider_id is None else (provider_id,))
            return
        self._dispatcher.forget(job)
        self._job_feed.publish(job.id, StateChanged(None if moved.result is None else (job, moved.result)))
