"""A daemon without a network or work: what it knows outlives its streams, and the server's own inbox hears it.

It differs from `dc1.testing.stream_daemon` in its carrier: no bytes travel and no thread waits, so that a message has
been followed when the call that says it returns. That is what makes a hundred steps in any order take a second.
"""

import asyncio
from collections.abc import Callable

from dc1.control.cluster.second_daemons import Asker, instance_of
from dc1.control.control_plane import ControlPlane
from dc1.services.daemons.approved_images import ToldImages
from dc1.services.daemons.daemon_messages import DaemonMessages
from dc1.services.daemons.daemon_session import DaemonSession
from dc1.services.daemons.message_budget import MessageBudget
from dc1.services.daemons.outbox import Outbox
from dc1.testing.daemon_script import Attempt, DaemonScript, lease
from dcp.v1 import daemon_stream_pb2 as pb
from tests.control.small_market import JOB_TYPES


class _Stream(Outbox):
    """The server's end of a stream; what it sends arrives at once."""

    def __init__(self, daemon: "ScriptedDaemon", market: ControlPlane) -> None:
        super().__init__()
        self.market = market
        self.provider = market.fleet.known(daemon.provider_id)
        images = ToldImages(market.catalog, self)
        self.inbox = DaemonMessages(market, self.provider, self, images, MessageBudget())
        self.session = DaemonSession(daemon.provider_id, Asker(instance_of("scripted")), self, images, self.inbox)
        self._daemon = daemon

    def send(self, message: pb.ConnectResponse) -> None:
        self._daemon.hear(self, message)

    def send_desired(self, make: Callable[[], pb.Desired]) -> None:
        self.send(pb.ConnectResponse(desired=make()))

    def close(self) -> None:
        self._daemon.forget_stream(self)


class ScriptedDaemon:
    """Its script is that of every daemon; it accepts, ends and repeats what a test picks."""

    def __init__(self, provider_id: int) -> None:
        self.provider_id = provider_id
        self._script = DaemonScript(pb.DaemonState(job_types=sorted(JOB_TYPES)))
        self._outcomes: list[pb.Outcome] = []
        self._stream: _Stream | None = None
        # The server takes the messages of one stream in turn.
        self._turn = asyncio.Lock()

    @property
    def held(self) -> dict[Attempt, pb.LeasePhase.ValueType]:
        return self._script.held

    @property
    def settled(self) -> list[Attempt]:
        return self._script.settled

    # What the server says

    def hear(self, stream: _Stream, message: pb.ConnectResponse) -> None:
        """Follow a message that came on the present stream."""
        if stream is self._stream:
            self._script.hear(message)

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
            market.open_stream(stream.session, stream.provider)
            await stream.inbox.hello(self._script.hello().hello)
            for repetition in self._script.repetitions():
                await stream.inbox.take(repetition)

    async def cut(self, silent_seconds: float) -> None:
        """Lose the stream, which the server noticed after a while."""
        async with self._turn:
            stream, self._stream = self._stream, None
            if stream is not None:
                stream.market.close_stream(stream.session, stream.provider, silent_seconds)

    def server_died(self) -> None:
        """Lose the stream with its server."""
        self._stream = None

    def crash(self) -> None:
        """Lose all memory; the stream goes with it."""
        self._script.forget()

    async def beat(self, *, draining: bool) -> None:
        await self._say(self._script.beat(draining=draining))

    async def accept(self) -> None:
        """Accept every offer that was made, some of which may be long gone."""
        for attempt in list(self._script.offered):
            await self._say(self._script.accept(attempt))

    async def decline(self) -> None:
        if self._script.offered:
            await self._say(self._script.decline(self._script.offered[-1]))

    async def show_work(self, pick: int) -> None:
        """Say that one of the runs generates something."""
        running = [attempt for attempt, phase in self.held.items() if phase == pb.LEASE_PHASE_RUNNING]
        if running:
            of = lease(running[pick % len(running)])
            await self._say(pb.ConnectRequest(progress=pb.Progress(lease=of, phase="generating")))

    async def end(self, pick: int, failure: pb.Failure | None = None, exit_code: int | None = None) -> None:
        """End one of the runs: the outcome is told now, or as soon as a stream is open."""
        running = [attempt for attempt, phase in self.held.items() if phase == pb.LEASE_PHASE_RUNNING]
        if not running:
            return
        outcome = pb.Outcome(failure=failure, gpu_seconds=pick if pick % 2 else None, exit_code=exit_code)
        if failure is None:
            outcome.result.string_value = "done"
        await self._end(running[pick % len(running)], outcome)

    async def complete(self, text: str, gpu_seconds: float | None = None) -> None:
        """End the only run with a text, and with so many seconds where the daemon says how many."""
        (running,) = (attempt for attempt, phase in self.held.items() if phase == pb.LEASE_PHASE_RUNNING)
        outcome = pb.Outcome(gpu_seconds=gpu_seconds)
        outcome.result.string_value = text
        await self._end(running, outcome)

    async def _end(self, attempt: Attempt, outcome: pb.Outcome) -> None:
        message = self._script.end(attempt, outcome)
        self._outcomes.append(message.outcome)
        await self._say(message)

    async def repeat(self, pick: int) -> None:
        """Tell an outcome again, whatever became of the job meanwhile."""
        if self._outcomes:
            await self._say(pb.ConnectRequest(outcome=self._outcomes[pick % len(self._outcomes)]))

    def was_handed(self, attempt: Attempt) -> None:
        """Hold a run that was fetched by HTTP."""
        self.held[attempt] = pb.LEASE_PHASE_RUNNING

    async def _say(self, message: pb.ConnectRequest) -> None:
        async with self._turn:
            if self._stream is not None:
                await self._stream.inbox.take(message)
