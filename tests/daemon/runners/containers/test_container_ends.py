"""What ended a container: its program, or whoever is at its machine. By the records of engine and kernel."""

import asyncio
import os
import platform
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dc1.daemon.runners.base import Result, RunFailed
from dc1.daemon.runners.container import verdicts
from dc1.daemon.runners.container.engine import connect_engine
from dc1.daemon.runners.container.runner import ContainerRunner
from dc1.domain.jobs.states import ErrorCategory
from tests.daemon.runners.podman import Engine
from tests.daemon.runners.sinks import RecordingSink
from tests.daemon.runners.test_container import LIMITS, MARKET, container_job

pytestmark = pytest.mark.container

# Before, SIGKILL from outside cannot be told from a program's own 137 unless the engine has written it down.
_KERNEL = tuple(int(part) for part in platform.release().split(".")[:2])
_KERNEL_TELLS = (6, 15)


@pytest.fixture
async def runner(container_engine: Engine) -> AsyncIterator[ContainerRunner]:
    runner = ContainerRunner(MARKET, base_url=container_engine.base_url, limits=LIMITS)
    runner.serve(7, [container_engine.image])
    yield runner
    await runner.aclose()


class Run:
    """A job whose program has printed 1."""

    def __init__(self, engine: Engine, task: "asyncio.Task[Result]") -> None:
        self._engine = engine
        self.task = task

    async def act(self, name: str, **options: Any) -> None:
        """Have its owner do something to its container."""
        await asyncio.to_thread(self._act, name, options)

    def _act(self, name: str, options: dict[str, Any]) -> None:
        client = connect_engine(self._engine.base_url)
        try:
            (container,) = client.containers.list()
            if name == "kill past the engine":
                os.kill(container.attrs["State"]["Pid"], 9)
            else:
                getattr(container, name)(**options)
        finally:
            client.close()

    async def failure(self) -> RunFailed:
        with pytest.raises(RunFailed) as failure:
            await asyncio.wait_for(self.task, 40)
        return failure.value


async def started(runner: ContainerRunner, engine: Engine, program: str) -> Run:
    sink = RecordingSink()
    run = Run(engine, asyncio.create_task(runner.run(container_job(engine, program), sink)))
    await sink.wait_for_line("1")
    return run


@pytest.mark.skipif(_KERNEL < _KERNEL_TELLS, reason="the kernel does not tell how a process ended (6.15 does)")
@pytest.mark.parametrize(("act", "options"), [("stop", {"timeout": 0}), ("kill past the engine", {})])
async def test_a_program_that_was_killed_from_outside_has_not_failed(
    runner: ContainerRunner, container_engine: Engine, act: str, options: dict[str, Any]
) -> None:
    """Whether the engine wrote it down, which Podman does of a hasty stop now and then, or never heard of it."""
    run = await started(runner, container_engine, "echo 1; sleep 600")
    await run.act(act, **options)
    failure = await run.failure()
    assert (failure.category, failure.transient) == (ErrorCategory.ENGINE, True)
    assert failure.message == "the container was stopped on the provider's machine"


async def test_a_program_that_was_told_to_end_and_does_so_in_good_order_has_not_completed(
    runner: ContainerRunner, container_engine: Engine
) -> None:
    program = "trap 'echo half; exit 0' TERM; echo 1; while :; do sleep 0.1; done"
    run = await started(runner, container_engine, program)
    await run.act("kill", signal="SIGTERM")
    failure = await run.failure()
    assert (failure.category, failure.transient) == (ErrorCategory.ENGINE, True)


@pytest.mark.parametrize("status", [0, 3])
async def test_a_signal_that_a_program_outlived_for_long_has_not_ended_it(
    runner: ContainerRunner, container_engine: Engine, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(verdicts, "_GRACE_SECONDS", 1)
    run = await started(runner, container_engine, f"trap '' HUP; echo 1; sleep 4; exit {status}")
    await run.act("kill", signal="SIGHUP")
    if status:
        failure = await run.failure()
        assert (failure.category, failure.exit_code) == (ErrorCategory.EXECUTION, status)
    else:
        assert (await asyncio.wait_for(run.task, 40)).exit_code == 0
