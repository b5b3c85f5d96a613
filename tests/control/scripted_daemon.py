"""A daemon without a network or work: what it knows outlives its streams, and the server's own inbox hears it."""

import asyncio

from google.protobuf.struct_pb2 import Value

from dc1.control.control_plane import ControlPlane
from dc1.services.daemons.daemon_messages import DaemonMessages
from dc1.services.daemons.daemon_session import DaemonSession
from dc1.services.daemons.stream_messages import lease_ref
from dcp.v1 import daemon_stream_pb2 as pb
from tests.control.small_market import JOB_TYPES

Ref = tuple[str, int]
"""One attempt at one job."""


class _Stream(DaemonSession):
    """The server's end of a stream; what it sends arrives at once."""

    def __init__(self, daemon: "ScriptedDaemon", market: ControlPlane) -> None:
        super().__init__(daemon.provider_id, None)
        self.market = market
        self.provider = market.fleet.known(daemon.provider_id)
        self.inbox = DaemonMessages(market, self.provider, self.send)
        self._daemon = daemon

    def send(self, message: pb.ConnectResponse) -> None:
        self._daemon.hear(self, message)

    def close(self) -> None:
        self._daemon.forget_stream(self)


class ScriptedDaemon:
    """Holds what was committed to it until it ends, is stopped or forgets, and repeats an outcome without a receipt."""

    def __init__(self, provider_id: int) -> None:
        self.provider_id = provider_id
        self.offered: list[Ref] = []
        self.held: dict[Ref, pb.LeasePhase.ValueType] = {}
        self.outcomes: list[pb.Outcome] = []
        self.settled: list[Ref] = []
        self._unconfirmed: dict[Ref, pb.Outcome] = {}
        self._stream: _Stream | None = None
        # The server takes the messages of one stream in turn.
        self._turn = asyncio.Lock()

    # What the server says

    def hear(self, stream: _Stream, message: pb.ConnectResponse) -> None:
        """Follow a message that came on the present stream."""
        if stream is not self._stream:
            return
        match message.WhichOneof("message"):
            case "offer":
                self.offered.append(_offered(message.offer))
            case "start":
                self.held[_ref(message.start.lease)] = pb.LEASE_PHASE_RUNNING
            case "stop":
                self._stop(_ref(message.stop.lease))
            case "welcome":
                self._want(message.welcome.desired)
            case "desired":
                self._want(message.desired)
            case "outcome_receipt":
                ref = _ref(message.outcome_receipt.lease)
                self._stop(ref)
                if message.outcome_receipt.verdict == pb.OUTCOME_VERDICT_SETTLED:
                    self.settled.append(ref)
            case _:
                pass

    def _want(self, desired: pb.Desired) -> None:
        self.offered = [_offered(offer) for offer in desired.offers]
        for stop in desired.stops:
            self._stop(_ref(stop.lease))
        for start in desired.starts:
            ref = _ref(start.lease)
            if self.held.get(ref) == pb.LEASE_PHASE_ACCEPTED:
                self.held[ref] = pb.LEASE_PHASE_RUNNING

    def _stop(self, ref: Ref) -> None:
        self.held.pop(ref, None)
        self._unconfirmed.pop(ref, None)

    def forget_stream(self, stream: _Stream) -> None:
        """Know that a stream was ended by the server."""
        if self._stream is stream:
            self._stream = None

    # What the daemon does

    @property
    def connected(self) -> bool:
        return self._stream is not None

    async def connect(self, market: ControlPlane) -> None:
        """Open a stream in place of an older one, say what is held and repeat what was not confirmed."""
        async with self._turn:
            stream = self._stream = _Stream(self, market)
            market.open_stream(stream, stream.provider)
            await stream.inbox.hello(pb.Hello(state=self._state()))
            for outcome in list(self._unconfirmed.values()):
                await stream.inbox.take(pb.ConnectRequest(outcome=outcome))

    async def cut(self, silent_seconds: float) -> None:
        """Lose the stream, which the server noticed after a while."""
        async with self._turn:
            stream, self._stream = self._stream, None
            if stream is not None:
                stream.market.close_stream(stream, stream.provider, silent_seconds)

    def server_died(self) -> None:
        """Lose the stream with its server."""
        self._stream = None

    def crash(self) -> None:
        """Lose all memory; the stream goes with it."""
        self.offered.clear()
        self.held.clear()
        self._unconfirmed.clear()

    async def beat(self, *, draining: bool) -> None:
        await self._say(pb.ConnectRequest(beat=pb.Beat(state=self._state(draining))))

    async def accept(self) -> None:
        """Accept every offer that was made, some of which may be long gone."""
        for ref in list(self.offered):
            self.held.setdefault(ref, pb.LEASE_PHASE_ACCEPTED)
            await self._say(pb.ConnectRequest(accept=pb.Accept(lease=lease_ref(*ref))))

    async def decline(self) -> None:
        if self.offered:
            ref = self.offered.pop()
            await self._say(pb.ConnectRequest(decline=pb.Decline(lease=lease_ref(*ref), reason="not today")))

    async def end(self, pick: int, failure: pb.Failure | None = None) -> None:
        """End one of the runs: the outcome is told now, or as soon as a stream is open."""
        running = [ref for ref, phase in self.held.items() if phase == pb.LEASE_PHASE_RUNNING]
        if not running:
            return
        ref = running[pick % len(running)]
        outcome = pb.Outcome(lease=lease_ref(*ref), failure=failure, gpu_seconds=pick if pick % 2 else None)
        if failure is None:
            outcome.result.CopyFrom(Value(string_value="done"))
        self.held[ref] = pb.LEASE_PHASE_ENDED
        self._unconfirmed[ref] = outcome
        self.outcomes.append(outcome)
        await self._say(pb.ConnectRequest(outcome=outcome))

    async def repeat(self, pick: int) -> None:
        """Tell an outcome again, whatever became of the job meanwhile."""
        if self.outcomes:
            await self._say(pb.ConnectRequest(outcome=self.outcomes[pick % len(self.outcomes)]))

    def was_handed(self, ref: Ref) -> None:
        """Hold a run that was fetched by HTTP."""
        self.held[ref] = pb.LEASE_PHASE_RUNNING

    async def _say(self, message: pb.ConnectRequest) -> None:
        async with self._turn:
            if self._stream is not None:
                await self._stream.inbox.take(message)

    def _state(self, draining: bool = False) -> pb.DaemonState:
        leases = [pb.HeldLease(lease=lease_ref(*ref), phase=phase) for ref, phase in self.held.items()]
        return pb.DaemonState(leases=leases, draining=draining, job_types=sorted(JOB_TYPES))


def _ref(lease: pb.LeaseRef) -> Ref:
    return lease.job_id, lease.attempt_number


def _offered(offer: pb.Offer) -> Ref:
    return offer.assignment.job_id, offer.assignment.attempt_number
