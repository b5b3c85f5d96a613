"""Simulated daemons: each holds its own stream, many share a connection, all run in one process.

What they say is the script of every made-up daemon; what differs is the carrier, a loop that holds thousands of streams
and notes when what came.
"""

import asyncio
import gc
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Literal, TypeAlias

import grpc
from google.protobuf import json_format
from grpc import aio

from bench.children import serve_questions
from dc1.daemon.connection.backoff import Backoff, seconds_told
from dc1.daemon.connection.connection import WELCOME_SECONDS
from dc1.testing.daemon_script import DaemonScript, attempt_of, attempt_offered
from dcp.v1 import daemon_stream_pb2 as pb
from dcp.v1 import provider_service_pb2_grpc as provider_service
from dcp.v1.report_pb2 import HeartbeatRequest

STREAMS_PER_CONNECTION = 50
_WATCH_SECONDS = 0.02
_BUSY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)

Manner: TypeAlias = Literal["steady", "eager", "hold"]
"""How daemons behave: beat as told, beat again as soon as they were answered, or as told and never end a job."""

Call: TypeAlias = "aio.StreamStreamCall[pb.ConnectRequest, pb.ConnectResponse]"

REPORT = {
    "gpu_status": {
        "gpu_name": "NVIDIA H100 80GB HBM3",
        "gpu_vram_mib": 81559,
        "free_vram_mib": 60321,
        "gpu_util_pct": 37,
        "temp_c": 61,
        "power_w": 412.5,
        "gpu_count": 1,
        "driver_version": "550.54.15",
        "cuda_version": "12.4",
        "compute_capability": "9.0",
        "daemon_version": "3.3.0",
        "all_gpus": [{"index": 0, "uuid": "GPU-5a1e9f0c", "temp_c": 61, "gpu_util_pct": 37, "power_w": 412.5}],
    },
    "provider_ip": "203.0.113.7",
    "provider_hostname": "gpu-1",
    "cached_models": ["meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen2.5-7B-Instruct"],
}


def daemon_state(slots: int = 1) -> pb.DaemonState:
    """An idle machine with so many GPUs."""
    report = json_format.ParseDict(REPORT, HeartbeatRequest())
    report.gpu_status.struct_value.fields["gpu_count"].number_value = slots
    return pb.DaemonState(report=report, job_types=["llm_inference", "benchmark"])


@dataclass
class Tally:
    """What all daemons of a process saw; `started` has the moment by the job's public id.

    `delays` is how late the loop was that they share: so much of what they saw may be their own.
    """

    open: int = 0
    ended: int = 0
    refused: int = 0
    beats: int = 0
    jobs: int = 0
    latencies: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    started: dict[str, float] = field(default_factory=dict)
    delays: list[float] = field(default_factory=list)


class SimulatedDaemon:
    """Takes every job and, unless its manner is to hold it, ends it at once."""

    def __init__(
        self,
        tally: Tally,
        manner: Manner = "steady",
        slots: int = 1,
        on_start: Callable[[str], None] | None = None,
        *,
        returns: bool = False,
    ) -> None:
        """`on_start` is told each job that is to run; one that `returns` opens another stream when its last ended."""
        self._tally = tally
        self._returns = returns
        self._manner = manner
        self._on_start = on_start
        self._script = DaemonScript(daemon_state(slots))
        self._sent_at = 0.0
        self._interval = 10.0
        self._told_seconds: float | None = None
        self._fleet_seconds = 0.0
        self._writing = asyncio.Lock()

    async def run(self, stub: "provider_service.ProviderServiceAsyncStub", key: str) -> None:
        """Hold one stream until it ends; a server too busy to take it is asked again, as a real daemon does."""
        pauses = Backoff()
        while True:
            self._told_seconds, self._fleet_seconds = None, 0.0
            call = stub.Connect(metadata=(("x-provider-key", key),))
            # As long as a real daemon waits: a line of those who have gone is what a fleet that comes back can fail by.
            leaving = asyncio.get_running_loop().call_later(WELCOME_SECONDS, call.cancel)
            is_refused = await self._is_refused(call, leaving)
            if is_refused:
                self._tally.refused += 1
                self._told_seconds = seconds_told(await call.trailing_metadata())
            else:
                self._tally.ended += 1
                pauses.reset()
                if not self._returns:
                    return
            is_lost = is_refused and await call.code() is grpc.StatusCode.INTERNAL
            await asyncio.sleep(pauses.next(self._fleet_seconds, self._told_seconds, is_lost=is_lost))

    async def _is_refused(self, call: Call, leaving: asyncio.TimerHandle) -> bool:
        """Hold one stream until it ends, and tell whether it never began because the server is busy."""
        beating: asyncio.Task[None] | None = None
        try:
            await self._send(call, self._script.hello())
            while isinstance(message := await call.read(), pb.ConnectResponse):
                leaving.cancel()
                self._script.hear(message)
                if message.HasField("welcome"):
                    self._tally.open += 1
                    self._follow_desired(message.welcome.desired)
                    beating = asyncio.create_task(self._beat(call))
                    for offer in message.welcome.desired.offers:
                        await self._accept(call, offer)
                else:
                    await self._follow(call, message)
        except asyncio.CancelledError:
            # After waiting in vain, or by the bench's end.
            if not call.cancelled() or beating is not None:
                raise
        except (aio.AioRpcError, asyncio.InvalidStateError):
            pass
        finally:
            leaving.cancel()
            if beating is not None:
                beating.cancel()
            call.cancel()
        return beating is None and (self._returns or call.cancelled() or await call.code() in _BUSY)

    async def _follow(self, call: Call, message: pb.ConnectResponse) -> None:
        match message.WhichOneof("message"):
            case "desired":
                self._tally.beats += 1
                self._follow_desired(message.desired)
                self._tally.latencies.append(time.perf_counter() - self._sent_at)
                if self._manner == "eager":
                    await self._send_beat(call)
            case "offer":
                await self._accept(call, message.offer)
            case "start":
                await self._work(call, message.start.lease)
            case "outcome_receipt":
                self._tally.jobs += 1
            case "reconnect":
                self._told_seconds = message.reconnect.after_seconds or None

    def _follow_desired(self, desired: pb.Desired) -> None:
        self._interval, self._fleet_seconds = desired.beat_interval_seconds, desired.return_seconds

    async def _send(self, call: Call, message: pb.ConnectRequest) -> None:
        # gRPC takes one message at a time, and a beat may fall due while a job is accepted.
        async with self._writing:
            await call.write(message)

    async def _accept(self, call: Call, offer: pb.Offer) -> None:
        await self._send(call, self._script.accept(attempt_offered(offer)))

    async def _work(self, call: Call, lease: pb.LeaseRef) -> None:
        now = time.perf_counter()
        self._tally.starts.append(now)
        self._tally.started[lease.job_id] = now
        if self._on_start is not None:
            self._on_start(lease.job_id)
        if self._manner == "hold":
            return
        await self._send(call, self._script.complete(attempt_of(lease)))

    async def _beat(self, call: Call) -> None:
        if self._manner == "eager":
            await self._send_beat(call)
            return
        await asyncio.sleep(random.uniform(0, self._interval))
        while True:
            await self._send_beat(call)
            await asyncio.sleep(self._interval)

    async def _send_beat(self, call: Call) -> None:
        self._sent_at = time.perf_counter()
        await self._send(call, self._script.beat())


def run_fleet(
    pipe: Connection,
    target: str,
    keys: Sequence[str],
    manner: Manner = "steady",
    slots: int = 1,
    *,
    returns: bool = False,
) -> None:
    """Hold a stream for each key until the bench closes the pipe; daemons that `returns` come back to a new server."""
    asyncio.run(_fleet(pipe, target, keys, manner, slots, returns=returns))


async def _fleet(
    pipe: Connection, target: str, keys: Sequence[str], manner: Manner, slots: int, *, returns: bool
) -> None:
    tally = Tally()
    connections = [connect(target) for _ in range(-(-len(keys) // STREAMS_PER_CONNECTION))]
    stubs = [provider_service.ProviderServiceStub(connection) for connection in connections]
    streams = [
        asyncio.create_task(
            SimulatedDaemon(tally, manner, slots, returns=returns).run(stubs[number // STREAMS_PER_CONNECTION], key)
        )
        for number, key in enumerate(keys)
    ]

    def take() -> Tally:
        """What was seen since the last time; the number of open streams is the present one."""
        seen = replace(tally, open=tally.open - tally.ended)
        tally.beats, tally.jobs = 0, 0
        tally.latencies, tally.starts, tally.started, tally.delays = [], [], {}, []
        return seen

    watching = asyncio.create_task(_watch(tally))
    asked, gone = asyncio.Event(), False
    asyncio.get_running_loop().add_reader(pipe.fileno(), asked.set)
    # What a collector of ours would stop for is no time that the market took.
    gc.freeze()
    gc.disable()
    while not gone:
        await asked.wait()
        asked.clear()
        gone = not serve_questions(pipe, {"tally": take})
    asyncio.get_running_loop().remove_reader(pipe.fileno())
    for task in (*streams, watching):
        task.cancel()
    await asyncio.gather(*streams, watching, return_exceptions=True)
    for connection in connections:
        await connection.close()


async def _watch(tally: Tally) -> None:
    """Note how late this loop wakes whoever sleeps, which is how late it reads an answer that has come."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _WATCH_SECONDS
        await asyncio.sleep(_WATCH_SECONDS)
        tally.delays.append(loop.time() - due)


def connect(target: str) -> aio.Channel:
    """A connection of its own to the edge."""
    return grpc.aio.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])
