"""An exception at any boundary of the daemon is the end of the one thing it was raised in."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from io import FileIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from dc1.daemon.agent import Agent
from dc1.daemon.config import DaemonConfig
from dc1.daemon.leases import log_spool
from dc1.daemon.leases.log_buffer import LogBuffer
from dc1.daemon.leases.log_spool import LogSpool
from dc1.daemon.runners.base import Readiness, Result, Sink, Work
from dc1.domain.jobs.states import JobType
from dc1.testing.machine import MadeUpMachine
from tests.daemon.loop.fake_server import DEADLINE_SECONDS, FakeServer, FakeStream
from tests.daemon.loop.scripted_runner import ScriptedImageRunner, ScriptedRunner
from tests.daemon.loop.whole_daemon import KEY, DaemonUnderTest
from tests.support.made_up_failures import FAILURES, KINDS

Failure = Callable[[], BaseException]
PLACES = (
    "reading the driver",
    "looking at a runner",
    "running",
    "approving images",
    "taking GPUs",
    "judging an offer",
    "writing to the disk",
    "reading from the disk",
    "closing a file",
)


class Faults:
    """What is to be raised, and where: as often as it is asked there."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.place = ""
        self.failure: Failure = ValueError
        self.raised = asyncio.Event()

    def at(self, place: str) -> None:
        if place == self.place:
            # Also called by the thread that reads the driver.
            self._loop.call_soon_threadsafe(self.raised.set)
            raise self.failure()


class FaultyMachine(MadeUpMachine):
    """A driver that raises."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(gpu_count=4)
        self._faults = faults

    def read(self) -> MadeUpMachine:
        self._faults.at("reading the driver")
        return self


class FaultyFile(FileIO):
    """A file on a disk that raises."""

    def __init__(self, path: Path, faults: Faults) -> None:
        super().__init__(path, "w+b")
        self._faults = faults

    def write(self, data: Any) -> int:
        self._faults.at("writing to the disk")
        return super().write(data)

    def read(self, size: int | None = -1) -> bytes:
        self._faults.at("reading from the disk")
        return super().read(size)

    def close(self) -> None:
        was_open = not self.closed
        super().close()
        if was_open:
            self._faults.at("closing a file")


class FaultyRunner(ScriptedImageRunner):
    """A container engine that raises."""

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults

    async def probe(self) -> Readiness:
        self._faults.at("looking at a runner")
        return await super().probe()

    async def run(self, work: Work, sink: Sink) -> Result:
        self._faults.at("running")
        for _ in range(60):
            await sink.log("info", "x" * 100)
        return Result("done")

    def serve(self, provider_id: int, images: Iterable[str]) -> None:
        self._faults.at("approving images")

    def pytorch_image(self) -> tuple[str, str] | None:
        return None

    def use_gpus(self, uuids: Iterable[str]) -> None:
        self._faults.at("taking GPUs")

    def refusal(self, work: Work) -> str | None:
        self._faults.at("judging an offer")
        return None


class Struck:
    """A daemon at whose boundaries something is raised, and the stream that it is to keep."""

    def __init__(self, daemon: DaemonUnderTest, stream: FakeStream, faults: Faults, directory: Path) -> None:
        self._registry = daemon.agent._registry
        self._daemon = daemon
        self._stream = stream
        self._faults = faults
        self._directory = directory
        self._number = 0

    async def strike(self, place: str, failure: Failure) -> None:
        """Raise there while a job runs that is struck, and see another one end well."""
        self._number += 1
        faults = self._faults
        faults.place, faults.failure = place, failure
        faults.raised.clear()
        self._stream.send(approved_images={"names": []})
        await self._run_struck(f"struck-{self._number}")
        async with asyncio.timeout(DEADLINE_SECONDS):
            await faults.raised.wait()
        await self._neighbour_lives(f"neighbour-{self._number}")
        faults.place = ""
        # A runner that could not be looked at takes work again once it was.
        await self._registry.probe()

    async def _run_struck(self, job_id: str) -> None:
        """Give a job to the runner that may fail; its end is told, or that it is not taken."""
        self._stream.offer(job_id, job_type=JobType.TRAINING.value)
        if not await self._is_taken(job_id):
            return
        lease = self._daemon.leases.of_job(job_id)
        assert lease is not None
        path = self._directory / job_id
        lease.logs = LogBuffer(spool=LogSpool(lambda: FaultyFile(path, self._faults)))
        self._stream.start(job_id)
        receipts = asyncio.create_task(self._receipt_logs(job_id))
        await self._stream.next("outcome", lambda it: _is_of(it, job_id))
        receipts.cancel()
        self._stream.receipt_outcome(job_id)

    async def _is_taken(self, job_id: str) -> bool:
        answers = [
            asyncio.create_task(self._stream.next(kind, lambda it: _is_of(it, job_id)))
            for kind in ("accept", "decline")
        ]
        done, others = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        for other in others:
            other.cancel()
        return answers[0] in done

    async def _receipt_logs(self, job_id: str) -> None:
        while True:
            batch = await self._stream.next("logs", lambda it: _is_of(it, job_id))
            self._stream.receipt_logs(batch.sequence, job_id)

    async def _neighbour_lives(self, job_id: str) -> None:
        self._stream.offer(job_id)
        await self._stream.next("accept", lambda it: _is_of(it, job_id))
        self._stream.start(job_id)
        run = await self._daemon.runner.next_run()
        run.finish("well")
        outcome = await self._stream.next("outcome", lambda it: _is_of(it, job_id))
        assert outcome.result.string_value == "well"
        self._stream.receipt_outcome(job_id)
        await self._daemon.no_leases()
        assert not self._daemon.task.done()

    async def beats_on(self) -> None:
        """See two more beats on the stream that was opened first."""
        before = self._stream.count("beat")
        await self._stream.next("beat", lambda it: it.sequence > before + 1)


def _is_of(message: Any, job_id: str) -> bool:
    return bool(message.lease.job_id == job_id)


@asynccontextmanager
async def struck_daemon() -> AsyncIterator[Struck]:
    """Which ends well, whatever happened to it."""
    server, faults = FakeServer(), Faults()
    server.beat_interval_seconds = 0.3
    neighbour, machine = ScriptedRunner(), FaultyMachine(faults)
    # Unrendered: what a log makes of them is the log's affair, and the default one takes a second for each.
    with TemporaryDirectory() as directory, capture_logs(), pytest.MonkeyPatch.context() as patch:
        # So that few lines suffice for all to go by the disk.
        patch.setattr(log_spool, "_IN_MEMORY_LINES", 0)
        patch.setattr(log_spool, "_CHUNK_BYTES", 1_000)
        async with server.listening():
            config = DaemonConfig(key=KEY, server=f"127.0.0.1:{server.port}", probe_interval_seconds=0.05)
            agent = Agent(config, [FaultyRunner(faults), neighbour], machine)
            task = asyncio.create_task(agent.run())
            try:
                stream = await server.stream()
                yield Struck(DaemonUnderTest(agent, neighbour, machine, config, task), stream, faults, Path(directory))
            finally:
                agent.drain()
                agent.drain()
                await asyncio.wait({task}, timeout=DEADLINE_SECONDS)
            assert task.done()
            assert task.exception() is None


async def survive(strikes: Sequence[tuple[str, Failure]]) -> None:
    async with struck_daemon() as daemon:
        for place, failure in strikes:
            await daemon.strike(place, failure)
        await daemon.beats_on()


@pytest.mark.parametrize("place", PLACES)
async def test_no_kind_of_failure_is_felt_by_the_neighbours(place: str) -> None:
    await survive([(place, kind) for kind in KINDS])


# Whole daemons take too long to look for the shortest order.
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])
@given(st.lists(st.tuples(st.sampled_from(PLACES), FAILURES), min_size=1, max_size=5))
def test_no_order_of_failures_is_felt_by_the_neighbours(strikes: list[tuple[str, Failure]]) -> None:
    asyncio.run(survive(strikes))
