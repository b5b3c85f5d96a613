"""A whole daemon with a scripted runner, connected to the fake server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from dc1.daemon.agent import Agent
from dc1.daemon.config import DaemonConfig
from dc1.daemon.leases.leases import LeaseTable
from dc1.testing.machine import MadeUpMachine
from tests.daemon.loop.fake_server import DEADLINE_SECONDS, FakeServer, FakeStream
from tests.daemon.loop.scripted_runner import Run, ScriptedRunner

KEY = "dc1-provider-testtesttesttest"


@dataclass
class DaemonUnderTest:
    """The parts a test talks to. `task` is the agent's `run`."""

    agent: Agent
    runner: ScriptedRunner
    telemetry: MadeUpMachine
    config: DaemonConfig
    task: "asyncio.Task[None]"

    @property
    def leases(self) -> LeaseTable:
        return self.agent.assignments.leases

    async def started(self, stream: FakeStream, job_id: str = "job-1") -> Run:
        """Give the daemon a job, and return the run."""
        stream.offer(job_id)
        await stream.next("accept")
        stream.start(job_id)
        return await self.runner.next_run()

    def beat_now(self) -> None:
        """Have it tell its state at once, as it does by itself where something has changed."""
        self.agent._connection.beat_now()

    async def no_leases(self) -> None:
        await asyncio.wait_for(self.agent.assignments.idle.wait(), DEADLINE_SECONDS)

    async def ended(self) -> None:
        """Wait for the end of `run`, and raise what it raises."""
        await asyncio.wait_for(self.task, DEADLINE_SECONDS)


@asynccontextmanager
async def running_daemon(
    server: FakeServer,
    runner: ScriptedRunner | None = None,
    telemetry: MadeUpMachine | None = None,
    host: str = "127.0.0.1",
    **settings: Any,
) -> AsyncIterator[DaemonUnderTest]:
    runner, telemetry = runner or ScriptedRunner(), telemetry or MadeUpMachine()
    config = DaemonConfig(key=KEY, server=f"{host}:{server.port}", **settings)
    agent = Agent(config, [runner], telemetry)
    task = asyncio.create_task(agent.run())
    try:
        yield DaemonUnderTest(agent, runner, telemetry, config, task)
    finally:
        agent.drain()
        agent.drain()
        await asyncio.wait({task}, timeout=DEADLINE_SECONDS)
    assert task.done()
    assert runner.closed
    assert telemetry.closed


@asynccontextmanager
async def connected(
    server: FakeServer,
    runner: ScriptedRunner | None = None,
    telemetry: MadeUpMachine | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[DaemonUnderTest, FakeStream]]:
    async with running_daemon(server, runner, telemetry, **settings) as daemon:
        yield daemon, await server.stream()
