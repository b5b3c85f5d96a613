"""What the server does with each message of a daemon."""

from collections.abc import Iterator, Mapping
from functools import partial

import structlog

from dc1 import defaults
from dc1.control.beat_pace import stretched
from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider
from dc1.control.scheduling.job_feed import TokenChunk
from dc1.control.scheduling.leases import Assignment, Lease
from dc1.control.scheduling.sessions import StopReason
from dc1.domain.base.clock import Clock
from dc1.domain.base.json_types import MAX_VALUES
from dc1.domain.errors import ApiError
from dc1.domain.errors.codes import ErrorCode
from dc1.domain.inference.events import AnswerEvent
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.failure_texts import TOO_MUCH_SAID
from dc1.domain.jobs.log_budget import LARGEST_BATCH_LINES
from dc1.domain.jobs.states import ErrorCategory, JobSource, LogLevel, Phase
from dc1.domain.providers.alerts import lately
from dc1.services.api.apart import apart
from dc1.services.api.values import require_few_values
from dc1.services.daemons.approved_images import ToldImages
from dc1.services.daemons.heartbeats import report_of
from dc1.services.daemons.message_budget import MessageBudget
from dc1.services.daemons.model_abilities import known_abilities
from dc1.services.daemons.outbox import Outbox
from dc1.services.daemons.probe_messages import probe_said
from dc1.services.daemons.stream_messages import (
    LOG_LEVELS,
    Heard,
    attempt_report,
    lease_ref,
    offer_message,
    stop_message,
)
from dc1.storage.jobs.claims import run_ends_by_ms
from dc1.storage.jobs.job_logs import LogLine
from dcp.v1 import daemon_stream_pb2 as pb

log = structlog.get_logger(__name__)

# Cut, where HTTP refuses with a 400: a stream has no answer by which a daemon could mend its line.
_MAX_LINE = 2000
_SOON_SECONDS = 0.1
"""The interval by which a daemon that is asked for a beat comes to it at once."""

_MOST_OFFERED_AT_ONCE = defaults.COMPLETION_MAX_BYTES + 1024 * 1024
"""Bytes of offers in one desired state: the largest of calls, with what stands around it."""

_BEATS_UNTIL_LOST = 2
"""A running lease that this many beats do not list is lost: one beat may have been on its way before the lease."""

_ANSWERED = frozenset({"accept", "decline", "progress", "logs", "outcome"})
"""What may be answered of a job. Tokens are not, and come behind its acceptance, with which they wait."""

# What is in neither table counts as superseded: for a daemon every refusal means to let go of the attempt.
_STOP_FOR_CODE: Mapping[str, StopReason] = {
    ErrorCode.LEASE_SUPERSEDED: StopReason.SUPERSEDED,
    ErrorCode.JOB_SETTLED: StopReason.SETTLED,
}
_VERDICT_FOR_CODE: Mapping[str, pb.OutcomeVerdict.ValueType] = {
    ErrorCode.LEASE_SUPERSEDED: pb.OUTCOME_VERDICT_SUPERSEDED,
    ErrorCode.JOB_SETTLED: pb.OUTCOME_VERDICT_ALREADY_SETTLED,
}


class DaemonMessages:
    """Follows one daemon's messages. A refusal is answered with Stop or a receipt and never ends the stream."""

    def __init__(
        self, plane: ControlPlane, provider: Provider, outbox: Outbox, images: ToldImages, budget: MessageBudget
    ) -> None:
        self._plane = plane
        self._provider = provider
        self._outbox = outbox
        self._budget = budget
        self._images = images
        self._told_of_batch = False
        self._heard: Heard | None = None
        self.interval_seconds = plane.config.beat_interval_seconds
        """The time between two beats that the daemon is told next or was last, but for one that it was asked for."""
        self.carries_bodies = False
        """Whether the daemon takes calls under /v1 as bytes."""
        self.begins_with_offers = False
        """Whether it begins them as soon as it has taken them."""

    async def hello(self, hello: pb.Hello) -> None:
        """Take the daemon's state, take from it what it lost, and welcome it."""
        self._fold(hello.state)
        # The database knows leases that another replica gave out and we have not heard of yet.
        await self._plane.replicas.take_over(self._provider.id)
        await self._plane.catch_up()
        self._plane.dispatcher.answers.await_all(self._provider.id)
        # At once: nothing was said on this stream before, so that a run which a Hello does not list is lost. Only a
        # beat can have been on its way before the lease.
        await self._reconcile(hello.state, lost_after=1)
        self._set_pace()
        self._heard = Heard.read(0, hello.state)
        welcome = pb.Welcome(
            provider_id=self._provider.id,
            provider_name=self._provider.name,
            approved_images=self._images.welcome(),
            desired=self._desired(self._heard),
            takes_bundles=True,
        )
        self._outbox.send(pb.ConnectResponse(welcome=welcome))
        self._plane.dispatcher.wake(self._provider.id)

    def ask_for_beat(self) -> None:
        """Have the daemon beat at once, by a shorter interval; the answer to that beat restores the usual one."""
        if (heard := self._heard) is not None:
            self._outbox.send_desired(lambda: self._desired(heard, interval_seconds=_SOON_SECONDS))

    def count(self, message: pb.ConnectRequest) -> None:
        """Count a message, or a bundle of them, in the provider's budget."""
        self._budget.spend(self._provider.id, message)

    async def take(self, message: pb.ConnectRequest) -> None:
        """Follow one message, of which only a result may have more values than requests have elsewhere."""
        kind = message.WhichOneof("message")
        if kind != "outcome":
            require_few_values(message, MAX_VALUES)
        if kind in _ANSWERED and not await self._plane.dispatcher.early.stands(getattr(message, kind).lease.job_id):
            return
        match kind:
            case "beat":
                await self._beat(message.beat)
            case "accept":
                await self._accept(message.accept.lease)
            case "decline":
                lease = message.decline.lease
                await self._plane.attempts.decline(
                    self._provider.id, lease.job_id, lease.attempt_number, message.decline.reason
                )
            case "progress":
                await self._progress(message.progress)
            case "logs":
                await self._logs(message.logs)
            case "tokens":
                await self._tokens(message.tokens)
            case "outcome":
                await self._outcome(message.outcome)
            case "probe_ready" | "probe_roots" | "probe_leaves" | "probe_failure":
                self._plane.prober.heard(self._provider.id, *probe_said(message))
            case _:
                pass  # a second Hello says nothing new, and a newer daemon may know messages that we do not

    # State

    async def _beat(self, beat: pb.Beat) -> None:
        self._fold(beat.state)
        await self._reconcile(beat.state, lost_after=_BEATS_UNTIL_LOST)
        self._images.tell_change()
        heard = self._heard = Heard.read(beat.sequence, beat.state)
        # Now, and not when the answer's turn comes: who waits for the next beat has to know how long it may take.
        self._set_pace()
        self._outbox.send_desired(lambda: self._desired(heard))
        # Every beat may have freed a slot or brought a model.
        self._plane.dispatcher.wake(self._provider.id)

    def _set_pace(self) -> None:
        usual_seconds = self._plane.config.beat_interval_seconds
        self.interval_seconds = stretched(usual_seconds, self._plane.sessions.pace.stretch)

    def _fold(self, state: pb.DaemonState) -> None:
        report = report_of(state.report)
        self._plane.fleet.presence.stream_beat(
            self._provider,
            report,
            frozenset(state.job_types),
            draining=state.draining,
            calls=state.inference_slots,
            carries_bodies=state.carries_bodies,
            abilities=known_abilities(state),
        )
        self._provider.probes = state.probes
        self.carries_bodies = state.carries_bodies
        self.begins_with_offers = state.begins_with_offers

    def hello_waits(self, state: pb.DaemonState) -> bool:
        """Tell whether to follow a Hello takes more than memory: what other servers did, or what it has lost."""
        return self._plane.db.is_shared or not self.is_in_step(state)

    def is_in_step(self, state: pb.DaemonState) -> bool:
        """Tell whether a state has what was decided here and nothing else, so that nothing need be stored for it."""
        leases = self._plane.leases.of_provider(self._provider.id)
        if not leases:
            return True
        held = {(item.lease.job_id, item.lease.attempt_number) for item in state.leases}
        return all(lease.running and (lease.job_id, lease.attempt) in held for lease in leases)

    async def _reconcile(self, state: pb.DaemonState, *, lost_after: int) -> None:
        """Start what the daemon accepted and we missed, and take from it what it does not know any more."""
        leases = self._plane.leases.of_provider(self._provider.id)
        if not leases:
            return
        held = {(item.lease.job_id, item.lease.attempt_number): item.phase for item in state.leases}
        for lease in leases:
            phase = held.get((lease.job_id, lease.attempt))
            if phase is not None:
                lease.beats_unseen = 0
                if not lease.running:
                    await self._plane.attempts.accept(self._provider.id, lease.job_id, lease.attempt)
            elif lease.running:
                lease.beats_unseen += 1
                if lease.beats_unseen >= lost_after:
                    await self._plane.attempts.lose(lease, "The daemon lost the job")

    def _desired(self, heard: Heard, *, interval_seconds: float | None = None) -> pb.Desired:
        config = self._plane.config
        desired = pb.Desired(
            sequence=heard.sequence,
            beat_interval_seconds=interval_seconds or self.interval_seconds,
            paused=bool(self._provider.pauses),
            preload_model=self._provider.preload_model,
            latest_version=config.daemon_latest_version,
            min_version=config.daemon_min_version,
            # Everything each time and nothing as a change: what was lost on the way heals with the next beat.
            stops=self._stops(heard),
            suspended=self._provider.suspended,
            second_daemon_at_ms=lately(self._provider.second_daemon_at_ms, self._plane.clock.now_ms()),
            return_seconds=self._plane.sessions.return_seconds,
            gather_seconds=self._plane.sessions.told_streams.gather_seconds,
        )
        size = 0
        for lease in self._plane.leases.of_provider(self._provider.id):
            attempt = lease.job_id, lease.attempt
            if lease.running:
                desired.starts.append(self._start(lease))
            elif self._outbox.was_offered(attempt) and attempt not in heard.unknown_offers:
                # An assignment may be 100 KB, and a beat comes every few seconds.
                desired.offered.append(lease_ref(*attempt))
            else:
                left = self._plane.dispatcher.answers.seconds_left(lease)
                images = self._plane.catalog.images_by_type
                offer = self.offer(lease.assignment, images, left)
                size += offer.ByteSize()
                if not desired.offers or size <= _MOST_OFFERED_AT_ONCE:
                    desired.offers.append(offer)
                else:
                    # A daemon takes no larger message; one that does not know an offer says so with its next beat.
                    desired.offered.append(lease_ref(*attempt))
        return desired

    def offer(self, assignment: Assignment, images: Mapping[str, str], expires_in_seconds: float) -> pb.Offer:
        """Return the message that offers a job to this daemon."""
        return offer_message(
            assignment,
            images,
            expires_in_seconds,
            as_bytes=self.carries_bodies,
            run_seconds=self._run_seconds(assignment) if self.begins_with_offers else None,
            gather_seconds=self._plane.sessions.told_streams.gather_seconds,
        )

    def _run_seconds(self, assignment: Assignment) -> float | None:
        """Return how long a call may run that its daemon begins at once; None for a job that waits for its Start."""
        if assignment.job.source is not JobSource.V1:
            return None
        now_ms = self._plane.clock.now_ms()
        return max(0, run_ends_by_ms(assignment.job, now_ms) - now_ms) / 1000

    def _stops(self, heard: Heard) -> Iterator[pb.Stop]:
        """Stop what the daemon works on without a lease; what has ended there gets the receipt of its outcome."""
        for (job_id, attempt), has_ended in heard.leases:
            lease = self._plane.leases.held(self._provider.id, job_id)
            is_current = lease is not None and lease.attempt == attempt
            if not is_current and not has_ended:
                yield stop_message(job_id, attempt, StopReason.SUPERSEDED)

    # Jobs

    async def _accept(self, ref: pb.LeaseRef) -> None:
        lease = await self._plane.attempts.accept(self._provider.id, ref.job_id, ref.attempt_number)
        if isinstance(lease, StopReason):
            self._budget.spend_refused(self._provider.id)
            self._stop(ref, lease)
        elif not (self.begins_with_offers and lease.assignment.job.source is JobSource.V1):
            self._outbox.send(pb.ConnectResponse(start=self._start(lease)))

    async def _progress(self, progress: pb.Progress) -> None:
        ref = progress.lease
        # A phase of a newer daemon is passed over: there is no message that refuses a Progress, and the run goes on
        # without.
        if progress.phase in set(Phase):
            try:
                await self._plane.attempts.progress(
                    self._provider.id, ref.job_id, ref.attempt_number, Phase(progress.phase)
                )
            except ApiError as refusal:
                self._refused(ref, refusal)

    async def _logs(self, batch: pb.LogBatch) -> None:
        ref = batch.lease
        if len(batch.lines) > LARGEST_BATCH_LINES:
            # Answered, for a daemon that breaks this rule would only send the batch again.
            # Once a stream, or it would fill our own log instead.
            if not self._told_of_batch:
                log.warning("log_batch_refused", provider_id=self._provider.id, lines=len(batch.lines))
            self._told_of_batch = True
            self._receipt(batch)
            return
        # The server's clock, not the daemon's (contract 1.4).
        now_ms = self._plane.clock.now_ms()
        lines = [
            LogLine(LOG_LEVELS.get(line.level, LogLevel.INFO), line.message[:_MAX_LINE], now_ms) for line in batch.lines
        ]
        try:
            await self._plane.attempts.append_logs(
                self._provider.id, ref.job_id, ref.attempt_number, lines, batch.sequence
            )
        except ApiError as refusal:
            self._refused(ref, refusal)
        # Also after a refusal: a daemon keeps its batches until they are answered, and this one it need not send again.
        self._receipt(batch)

    def _receipt(self, batch: pb.LogBatch) -> None:
        receipt = pb.LogReceipt(lease=batch.lease, sequence=batch.sequence)
        self._outbox.send(pb.ConnectResponse(log_receipt=receipt))

    async def _tokens(self, batch: pb.TokenBatch) -> None:
        ref = batch.lease
        offset = batch.offset if batch.HasField("offset") else None
        # Embeddings of many texts come as one event.
        events = await apart(batch.ByteSize(), partial(AnswerEvent.read_all, batch.events))
        is_last = batch.is_last and len(events) == len(batch.events)
        tokens = TokenChunk(ref.attempt_number, batch.text, batch.count, offset, events, batch.event_offset, is_last)
        if not self._plane.attempts.tokens(self._provider.id, ref.job_id, tokens):
            return
        lease = self._plane.leases.held(self._provider.id, ref.job_id)
        if lease is not None and lease.may_go_too_far and await self._goes_too_far(lease):
            await self._cut_off(ref)

    async def _goes_too_far(self, lease: Lease) -> bool:
        """Tell whether a call says more than it may come to."""
        if lease.bounds is None:
            lease.bounds = await apart(len(lease.assignment.spec.inference_body or ""), lease.call_bounds)
        return lease.bounds.are_passed(lease.relayed)

    async def _cut_off(self, ref: pb.LeaseRef) -> None:
        """End a call of which its daemon passes on more than it may come to, by whose fault it is free."""
        report = AttemptReport.read(completed=False, error=TOO_MUCH_SAID, category=ErrorCategory.ENGINE)
        try:
            await self._plane.attempts.finish(self._provider.id, ref.job_id, ref.attempt_number, report)
        except ApiError as refusal:
            self._refused(ref, refusal)
        else:
            self._stop(ref, StopReason.SETTLED)

    async def _outcome(self, message: pb.Outcome) -> None:
        ref = message.lease
        report = await apart(message.ByteSize(), partial(attempt_report, message))
        try:
            received = await self._plane.attempts.finish(
                self._provider.id,
                ref.job_id,
                ref.attempt_number,
                report,
                transient=message.failure.transient,
            )
        except ApiError as refusal:
            self._budget.spend_refused(self._provider.id)
            verdict = _VERDICT_FOR_CODE.get(refusal.code or "", pb.OUTCOME_VERDICT_SUPERSEDED)
            receipt = pb.OutcomeReceipt(lease=ref, verdict=verdict)
        else:
            verdict = pb.OUTCOME_VERDICT_RETRIED if received.retried else pb.OUTCOME_VERDICT_SETTLED
            earned = received.job.earned_halala
            receipt = pb.OutcomeReceipt(lease=ref, verdict=verdict, provider_earned_halala=earned)
        self._outbox.send(pb.ConnectResponse(outcome_receipt=receipt))

    def _refused(self, ref: pb.LeaseRef, refusal: ApiError) -> None:
        self._budget.spend_refused(self._provider.id)
        self._stop(ref, _STOP_FOR_CODE.get(refusal.code or "", StopReason.SUPERSEDED))

    def _stop(self, ref: pb.LeaseRef, reason: StopReason) -> None:
        self._outbox.send(pb.ConnectResponse(stop=stop_message(ref.job_id, ref.attempt_number, reason)))

    def _start(self, lease: Lease) -> pb.Start:
        return _start_message(lease, self._plane.clock)


def _start_message(lease: Lease, clock: Clock) -> pb.Start:
    """Say that a lease is committed and how long it may run."""
    assert lease.timeout_at_ms is not None
    # A length and not a time: the daemon's clock may be wrong.
    left = max(0.0, (lease.timeout_at_ms - clock.now_ms()) / 1000)
    return pb.Start(lease=lease_ref(lease.job_id, lease.attempt), seconds_left=left)
