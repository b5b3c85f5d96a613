"""One stream to the server, from Hello to its end."""

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import grpc
import structlog
from grpc import aio

from dc1 import defaults
from dc1.daemon.connection.backoff import MOST_TOLD_SECONDS, seconds_told
from dc1.daemon.connection.operator_notices import OperatorNotices
from dc1.daemon.connection.reporter import Reporter
from dc1.daemon.leases import messages
from dc1.daemon.leases.assignments import Assignments
from dc1.daemon.leases.leases import HeldLease, LeaseOutput
from dc1.daemon.probe.probes import Probes
from dc1.daemon.runners.base import RunFailed
from dc1.daemon.runners.runner_registry import RunnerRegistry
from dc1.domain.base.leaky_bucket import Flow, LeakyBucket
from dc1.domain.jobs.states import ErrorCategory
from dcp.v1 import daemon_stream_pb2 as pb
from dcp.v1 import provider_service_pb2_grpc as provider_service

FAREWELL_SECONDS = 2.0
"""How long the server may take to end a stream that both sides are done with."""

SHORTEST_BEAT_SECONDS = 0.01
LONGEST_BEAT_SECONDS = 3600.0
"""An interval beyond these is none that a server means."""

MISSED_ANSWERS = 3
"""So many beats without an answer end a stream."""

MOST_REPLIES = 1_000
"""Answers to offers that wait for a server that reads nothing; the oldest go, for offers that are open come again."""

_MESSAGES = Flow(at_once=20, a_second=500)
"""Messages that leave as soon as there is something to say. A message costs both sides by its number: where runs say
more than that at once, what comes within two milliseconds goes together, and a single caller's tokens never wait."""

_WEIGHT_OF_MANY = 5
"""What a message counts where there are many runs: 100 a second, each with what ten milliseconds have brought."""

_TURNS_OF_BEGINNING = 4
"""Turns of the loop until a run that was begun has said so, and its engine has been asked."""
_BUNDLE_BYTES = 64 * 1024
"""What is more than this goes by itself: there is nothing to be saved by its number."""

Call: TypeAlias = "aio.StreamStreamCall[pb.ConnectRequest, pb.ConnectResponse]"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """Why a stream ended: the server's word or the call's status; neither when it fell silent or was closed here.

    `after_seconds` is when to ask again, where that was said, and `fleet_seconds` over how long all daemons of the
    server are to come back where it was not. Each time it is another one, which makes no other end.
    """

    details: str
    code: grpc.StatusCode | None = None
    reconnect: "pb.ReconnectReason.ValueType | None" = None
    after_seconds: float | None = field(default=None, compare=False)
    fleet_seconds: float = field(default=0.0, compare=False)

    @property
    def raced(self) -> bool:
        """Whether the call was ended while it was written to: gRPC then loses the status, and the next call has it."""
        return self.code is grpc.StatusCode.INTERNAL and self.details == "Internal error from Core"


class Stream:
    """Sends what is to be told as soon as it is due, and carries out what the server says."""

    def __init__(
        self,
        instance_id: str,
        assignments: Assignments,
        reporter: Reporter,
        registry: RunnerRegistry,
        notices: OperatorNotices,
        beat_interval_seconds: float,
        *,
        welcome_seconds: float,
        take_over: bool = False,
    ) -> None:
        """`welcome_seconds` is how long the server may take to answer Hello."""
        self.welcomed = False
        self._instance_id = instance_id
        self._take_over = take_over
        self._welcome_seconds = welcome_seconds
        self._assignments = assignments
        self._reporter = reporter
        self._registry = registry
        self._notices = notices
        self._interval = beat_interval_seconds
        self._replies: deque[pb.ConnectRequest] = deque(maxlen=MOST_REPLIES)
        self._probes = Probes(self._reply, lambda: reporter.has_gpu, registry.pytorch_image)
        self._beat_wanted = asyncio.Event()
        self._beat_due = False
        self._beats = 0
        self._unknown: list[pb.LeaseRef] = []
        self._server_takes_bundles = False
        self._pace = LeakyBucket(_MESSAGES)
        self._finishing = False
        self._reconnect: pb.ReconnectReason.ValueType | None = None
        self._after_seconds: float | None = None
        self._fleet_seconds = 0.0
        self._patience: asyncio.Timeout | None = None
        self._until_beat: asyncio.Timeout | None = None

    async def run(self, stub: "provider_service.ProviderServiceAsyncStub", key: str) -> StreamEnd:
        """Hold the stream until it ends."""
        # Hello carries the whole state, so the machine is measured before the call is open and its deadline runs.
        await self._reporter.refresh()
        call = stub.Connect(metadata=(("x-provider-key", key),))
        try:
            async with asyncio.TaskGroup() as tasks:
                beating = tasks.create_task(self._beat())
                writing = tasks.create_task(self._write(call))
                end = await self._read(call)
                beating.cancel()
                writing.cancel()
        finally:
            # For every way out; a call that has ended does not mind.
            call.cancel()
            await self._probes.aclose()
        if self._after_seconds is not None:
            # By whatever it ended then: the server has said when the next one is there.
            end = replace(end, after_seconds=self._after_seconds)
        return replace(end, fleet_seconds=self._fleet_seconds)

    def beat_now(self) -> None:
        """Tell the server the present state before the next beat is due."""
        self._beat_wanted.set()

    def finish(self) -> None:
        """Say no more, and let the server end the stream."""
        self._finishing = True
        self._assignments.changed.set()
        _reschedule(self._patience, FAREWELL_SECONDS)

    async def _read(self, call: Call) -> StreamEnd:
        try:
            seconds = FAREWELL_SECONDS if self._finishing else self._welcome_seconds
            async with asyncio.timeout(seconds) as self._patience:
                while isinstance(message := await call.read(), pb.ConnectResponse):
                    self._survive(message)
            return StreamEnd("the server ended the stream", await call.code(), self._reconnect)
        except TimeoutError:
            return StreamEnd("the server does not answer", None, self._reconnect)
        except aio.AioRpcError as error:
            told = seconds_told(error.trailing_metadata())
            return StreamEnd(error.details() or "", error.code(), self._reconnect, told)

    async def _write(self, call: Call) -> None:
        changed = self._assignments.changed
        state = self._reporter.state()
        try:
            hello = pb.Hello(instance_id=self._instance_id, state=state, take_over=self._take_over)
            await call.write(pb.ConnectRequest(hello=hello))
            while not self._finishing:
                await self._gather()
                # Before looking, not after: what is said during a write must end the next wait at once.
                changed.clear()
                message = self._due()
                if message is not None:
                    self._pace.take(self._weight)
                    await call.write(message)
                else:
                    await self._something_due()
            await call.done_writing()
        except (aio.AioRpcError, asyncio.InvalidStateError):
            return  # The call is over; the reading side learns why.

    async def _gather(self) -> None:
        """Wait where many messages left lately, so that the next one says more."""
        if not self._server_takes_bundles:
            return
        if wait := self._pace.wait_seconds(self._weight):
            await asyncio.sleep(wait)
        elif self._replies:
            # A call begins with its offer, and in two turns of the loop says so: with what it is taken by. In the
            # fourth its request has left, which would wait until this is written: a millisecond of its first token.
            for _ in range(_TURNS_OF_BEGINNING):
                await asyncio.sleep(0)

    @property
    def _weight(self) -> int:
        return _WEIGHT_OF_MANY if self._assignments.leases.pace.is_of_many else 1

    def _due(self) -> pb.ConnectRequest | None:
        """Return all that is to be said now, as far as one message takes it."""
        first = self._next()
        if first is None or not self._server_takes_bundles:
            return first
        said, size = [first], first.ByteSize()
        while size < _BUNDLE_BYTES and len(said) < defaults.MOST_OF_BUNDLE and (message := self._next()) is not None:
            size += message.ByteSize()
            if size >= defaults.MAX_MESSAGE_BYTES // 2:
                # A result may be as large as a message may: it goes next, by itself.
                self._replies.appendleft(message)
                break
            said.append(message)
        return first if len(said) == 1 else pb.ConnectRequest(bundle=pb.RequestBundle(messages=said))

    def _next(self) -> pb.ConnectRequest | None:
        # Answers to offers first, as the server gives their jobs to others soon; then beats; then output, which may
        # be a flood.
        if self._replies:
            return self._replies.popleft()
        # The Welcome compares the leases: before it nobody knows which of them are still ours to tell of.
        if not self.welcomed:
            return None
        if self._beat_due:
            self._beat_due = False
            self._beats += 1
            state = self._reporter.state()
            state.unknown_offers.extend(self._unknown)
            return pb.ConnectRequest(beat=pb.Beat(sequence=self._beats, state=state))
        taken = self._assignments.leases.take(time.monotonic())
        return self._written(*taken) if taken is not None else None

    def _written(self, lease: HeldLease, output: LeaseOutput) -> pb.ConnectRequest | None:
        """Return the message of an output; a lease whose output no message can hold fails, and it alone."""
        try:
            return messages.output_message(lease, output)
        except Exception:
            log.exception("output_unsendable", job_id=lease.job_id, attempt=lease.attempt)
            lease.spoil(
                RunFailed(ErrorCategory.INVALID_RESULT, "the output of the run cannot be sent"), time.monotonic()
            )
            self._assignments.changed.set()
            return None

    async def _something_due(self) -> None:
        due = self._assignments.leases.due_at() if self.welcomed else None
        try:
            async with asyncio.timeout(None if due is None else max(0.0, due - time.monotonic())):
                await self._assignments.changed.wait()
        except TimeoutError:
            return

    async def _beat(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._interval) as self._until_beat:
                    await self._beat_wanted.wait()
            except TimeoutError:
                # What two beats brought no receipt for was lost on the server's side.
                self._assignments.leases.resend(time.monotonic() - 2 * self._interval)
            self._beat_wanted.clear()
            await self._reporter.refresh()
            # A flag and no queue: a beat that could not be written in time is outdated by the next one.
            self._beat_due = True
            self._assignments.changed.set()

    def _survive(self, response: pb.ConnectResponse) -> None:
        """Follow a message; one that cannot be followed is skipped, as other leases live on this stream."""
        try:
            if response.HasField("bundle"):
                for message in response.bundle.messages:
                    self._survive(message)
            else:
                self._handle(response)
        except Exception:
            # The state is told whole with every beat and answered whole, so what was skipped heals or comes again.
            log.exception("message_not_followed", message=response.WhichOneof("message"))

    def _handle(self, response: pb.ConnectResponse) -> None:
        match response.WhichOneof("message"):
            case "welcome":
                self._welcome(response.welcome)
            case "desired":
                self._desire(response.desired)
            case "approved_images":
                self._registry.approve(response.approved_images.names)
            case "offer":
                self._offer(response.offer)
            case "start":
                self._assignments.start(response.start)
            case "stop":
                self._assignments.stop(response.stop)
            case "log_receipt":
                self._assignments.log_receipt(response.log_receipt)
            case "outcome_receipt":
                self._assignments.outcome_receipt(response.outcome_receipt)
            case "probe_prepare" | "probe_begin" | "probe_open" | "probe_end":
                self._probes.take(response)
            case "reconnect":
                self._reconnect = response.reconnect.reason
                # NaN is within nothing.
                if 0 < (after := response.reconnect.after_seconds) <= MOST_TOLD_SECONDS:
                    self._after_seconds = after
                self.finish()

    def _welcome(self, welcome: pb.Welcome) -> None:
        self.welcomed = True
        leases = self._assignments.leases
        log.info("connected", provider_id=welcome.provider_id, provider=welcome.provider_name, leases=len(leases))
        # Before the desired state, whose offers are judged by the approved images.
        self._registry.serve(welcome.provider_id, welcome.approved_images)
        leases.reattach(time.monotonic())
        self._server_takes_bundles = welcome.takes_bundles
        self._desire(welcome.desired)
        self._assignments.changed.set()

    def _desire(self, desired: pb.Desired) -> None:
        interval = desired.beat_interval_seconds
        # Said this way round, for NaN is within nothing: a beat without pause, or none ever, is no interval.
        if interval != self._interval and SHORTEST_BEAT_SECONDS <= interval <= LONGEST_BEAT_SECONDS:
            self._interval = interval
            _reschedule(self._until_beat, self._interval)
        self._fleet_seconds = desired.return_seconds
        self._assignments.leases.pace.ask(desired.gather_seconds)
        if not self._finishing:
            # Every beat is answered by a desired state: without one the server, or the way to it, is gone.
            _reschedule(self._patience, MISSED_ANSWERS * self._interval)
        # Stops first: they free slots for the offers.
        for stop in desired.stops:
            self._assignments.stop(stop)
        for start in desired.starts:
            self._assignments.start(start)
        for offer in desired.offers:
            self._offer(offer)
        self._unknown = [ref for ref in desired.offered if not self._assignments.holds(ref)]
        for ref in desired.offered:
            # An acceptance that was lost on the server's side is told again, as with an offer that comes again.
            if ref not in self._unknown:
                self._reply(messages.accept_message(ref.job_id, ref.attempt_number))
        self._notices.show(desired, self._reporter.daemon_version)

    def _offer(self, offer: pb.Offer) -> None:
        job_id, attempt = offer.assignment.job_id, offer.assignment.attempt_number
        self._assignments.leases.pace.ask(offer.gather_seconds)
        try:
            reason = self._assignments.offer(offer.assignment, begins=offer.HasField("run_seconds"))
        except Exception:
            # Declined and not skipped: the job is given to another provider at once.
            log.exception("offer_not_judged", job_id=job_id, attempt=attempt)
            reason = "this daemon cannot read the job"
        if reason is None:
            # At once, so that the run has the whole machine when it starts.
            self._probes.interrupt()
        answer = (
            messages.accept_message(job_id, attempt)
            if reason is None
            else messages.decline_message(job_id, attempt, reason)
        )
        self._reply(answer)
        if reason is None and offer.HasField("run_seconds"):
            # Nobody else has the call meanwhile, or a Stop says so: to wait for a Start would cost its caller time.
            lease = pb.LeaseRef(job_id=job_id, attempt_number=attempt)
            self._assignments.start(pb.Start(lease=lease, seconds_left=offer.run_seconds))

    def _reply(self, answer: pb.ConnectRequest) -> None:
        self._replies.append(answer)
        self._assignments.changed.set()


def _reschedule(timer: asyncio.Timeout | None, seconds: float) -> None:
    if timer is not None:
        # A timer that is over is none of this stream's any more.
        with contextlib.suppress(RuntimeError):
            timer.reschedule(asyncio.get_running_loop().time() + seconds)
