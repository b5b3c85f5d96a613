"""A control plane that does what the test says, on a real gRPC server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
from google.protobuf import json_format
from grpc import aio

from dcp.v1 import daemon_stream_pb2 as pb
from dcp.v1 import report_pb2

DEADLINE_SECONDS = 15.0
Refusal = tuple[grpc.StatusCode, str] | tuple[grpc.StatusCode, str, tuple[tuple[str, str], ...]]


class FakeStream:
    """One daemon's stream, as the server sees it."""

    def __init__(self, hello: pb.Hello, metadata: dict[str, str], answers_beats: bool) -> None:
        self.hello = hello
        self.metadata = metadata
        self.answers_beats = answers_beats
        self.ended_by_daemon = asyncio.Event()
        self.reading = asyncio.Event()
        """Cleared by a test that lets the daemon's messages pile up."""
        self.reading.set()
        self.received: list[tuple[str, Any]] = []
        self.bundles: list[int] = []
        """How many messages each bundle had."""
        self.requests = 0
        """How many messages came, a bundle counting one."""
        self._seen: dict[str, int] = {}
        self._arrived = asyncio.Condition()
        self._outgoing: asyncio.Queue[pb.ConnectResponse | Refusal | None] = asyncio.Queue()

    def send(self, **message: Any) -> None:
        """Send a message, given as `kind=message`."""
        self._outgoing.put_nowait(pb.ConnectResponse(**message))

    def end(self) -> None:
        """End the stream with OK."""
        self._outgoing.put_nowait(None)

    def cut(self) -> None:
        """End the stream as a broken connection does."""
        self._outgoing.put_nowait((grpc.StatusCode.UNAVAILABLE, "cut"))

    def offer(self, job_id: str = "job-1", attempt: int = 1, **assignment: Any) -> None:
        self.send(offer=pb.Offer(assignment=make_assignment(job_id, attempt, **assignment), expires_in_seconds=15))

    def start(self, job_id: str = "job-1", attempt: int = 1, seconds_left: float = 60.0) -> None:
        self.send(start=pb.Start(lease=lease(job_id, attempt), seconds_left=seconds_left))

    def stop(self, job_id: str = "job-1", attempt: int = 1) -> None:
        self.send(stop=pb.Stop(lease=lease(job_id, attempt), reason=pb.STOP_REASON_CANCELLED))

    def receipt_logs(self, sequence: int, job_id: str = "job-1", attempt: int = 1) -> None:
        self.send(log_receipt=pb.LogReceipt(lease=lease(job_id, attempt), sequence=sequence))

    async def receipt_all_logs(self) -> None:
        """Receipt every batch as it arrives, until cancelled."""
        while True:
            with suppress(TimeoutError):
                batch = await self.next("logs")
                self.receipt_logs(batch.sequence, batch.lease.job_id, batch.lease.attempt_number)

    def receipt_outcome(self, job_id: str = "job-1", attempt: int = 1) -> None:
        verdict = pb.OUTCOME_VERDICT_SETTLED
        self.send(outcome_receipt=pb.OutcomeReceipt(lease=lease(job_id, attempt), verdict=verdict))

    async def next(self, kind: str, where: Callable[[Any], bool] = lambda _: True) -> Any:
        """Return the next message of a kind, skipping those that do not fit; other kinds stay for their own callers."""
        async with asyncio.timeout(DEADLINE_SECONDS), self._arrived:
            while True:
                position = self._seen.get(kind, 0)
                for index in range(position, len(self.received)):
                    self._seen[kind] = index + 1
                    name, message = self.received[index]
                    if name == kind and where(message):
                        return message
                await self._arrived.wait()

    def count(self, kind: str) -> int:
        return sum(name == kind for name, _ in self.received)

    async def serve(self, context: "aio.ServicerContext[pb.ConnectRequest, pb.ConnectResponse]") -> None:
        reading = asyncio.create_task(self._read(context))
        try:
            while (message := await self._outgoing.get()) is not None:
                if isinstance(message, tuple):
                    await context.abort(*message)
                else:
                    await context.write(message)
        finally:
            reading.cancel()

    async def _read(self, context: "aio.ServicerContext[pb.ConnectRequest, pb.ConnectResponse]") -> None:
        while isinstance(request := await context.read(), pb.ConnectRequest):
            await self.reading.wait()
            self.requests += 1
            if request.HasField("bundle"):
                self.bundles.append(len(request.bundle.messages))
            for message in request.bundle.messages or [request]:
                await self._take(message)
        self.ended_by_daemon.set()
        self.end()

    async def _take(self, request: pb.ConnectRequest) -> None:
        kind = request.WhichOneof("message")
        assert kind is not None
        if kind == "beat" and self.answers_beats:
            self.send(desired=pb.Desired(sequence=request.beat.sequence))
        async with self._arrived:
            self.received.append((kind, getattr(request, kind)))
            self._arrived.notify_all()


class FakeServer:
    """Welcomes every daemon, unless `refusal` is set."""

    def __init__(self) -> None:
        self.refusal: Refusal | None = None
        self.refused = 0
        self.welcomes_after_seconds = 0.0
        self.answers_beats = True
        self.beat_interval_seconds = 60.0
        self.approved_images: list[str] = []
        self.in_welcome: dict[str, Any] = {}
        self.takes_bundles = False
        self.port = 0
        self._streams: asyncio.Queue[FakeStream] = asyncio.Queue()
        self._changed = asyncio.Event()

    async def stream(self) -> FakeStream:
        """Return the next stream that a daemon has opened."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self._streams.get()

    async def wait_refused(self, times: int) -> None:
        """Wait until that many streams have been refused."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while self.refused < times:
                self._changed.clear()
                await self._changed.wait()

    async def connect(self, _: Any, context: Any) -> None:
        # Also of one that is refused: gRPC may lose a status that comes while Hello is written, and a second is asked.
        first = await context.read()
        if self.refusal is not None:
            self.refused += 1
            self._changed.set()
            await context.abort(*self.refusal)
        assert isinstance(first, pb.ConnectRequest)
        assert first.WhichOneof("message") == "hello", "Hello comes first"
        await asyncio.sleep(self.welcomes_after_seconds)
        metadata = {str(key): str(value) for key, value in context.invocation_metadata() or ()}
        stream = FakeStream(first.hello, metadata, self.answers_beats)
        desired = pb.Desired(beat_interval_seconds=self.beat_interval_seconds, **self.in_welcome)
        stream.send(
            welcome=pb.Welcome(
                provider_id=7,
                provider_name="Riyadh 1",
                approved_images=self.approved_images,
                desired=desired,
                takes_bundles=self.takes_bundles,
            )
        )
        self._streams.put_nowait(stream)
        await stream.serve(context)

    @asynccontextmanager
    async def listening(self, credentials: grpc.ServerCredentials | None = None) -> AsyncIterator[None]:
        """Serve on loopback; a second time on the port of the first."""
        server = aio.server(options=(("grpc.so_reuseport", 0),))
        handler = grpc.stream_stream_rpc_method_handler(
            self.connect, pb.ConnectRequest.FromString, pb.ConnectResponse.SerializeToString
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("dcp.v1.ProviderService", {"Connect": handler}),)
        )
        address = f"127.0.0.1:{self.port}"
        if credentials is None:
            self.port = server.add_insecure_port(address)
        else:
            self.port = server.add_secure_port(address, credentials)
        await server.start()
        try:
            yield
        finally:
            await server.stop(None)


def lease(job_id: str, attempt: int) -> pb.LeaseRef:
    return pb.LeaseRef(job_id=job_id, attempt_number=attempt)


def make_assignment(job_id: str = "job-1", attempt: int = 1, **fields: Any) -> report_pb2.Assignment:
    """Build an assignment as the server sends it; fields are JSON."""
    whole = {
        "id": 1,
        "job_id": job_id,
        "job_type": "llm_inference",
        "priority": 2,
        "pricing_class": "standard",
        "attempt_number": attempt,
        "container_spec": {"image_type": "llm", "gpu_count": 1},
        "max_duration_seconds": 180,
        **fields,
    }
    return json_format.ParseDict(whole, report_pb2.Assignment())
