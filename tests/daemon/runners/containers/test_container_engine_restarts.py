"""The container engine is stopped, killed, slow, or used by its owner while a job runs on it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import docker
import pytest

from dc1.daemon.runners.base import Result, RunFailed
from dc1.daemon.runners.container.engine import connect_engine
from dc1.daemon.runners.container.runner import ContainerRunner
from dc1.domain.jobs.log_notices import ENGINE_AWAY
from dc1.domain.jobs.states import ErrorCategory
from dc1.testing.waiting import eventually
from tests.daemon.runners.podman import Engine, Service, short_directory, start_service
from tests.daemon.runners.sinks import RecordingSink
from tests.daemon.runners.test_container import LIMITS, MARKET, container_job
from tests.support.signals import stopped

pytestmark = [
    pytest.mark.container,
    # Docker's client leaves to the collector what it had open to an engine that was killed.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"),
]

COUNT = "i=0; while [ $i -lt 30 ]; do echo $i; i=$((i+1)); sleep 0.2; done; echo 'DC1_RESULT_JSON:{\"n\": 30}'"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with short_directory() as directory:
        service = Service(directory)
        yield service
        service.stop()


@pytest.fixture(scope="module")
def engine(service: Service) -> Engine:
    """An engine of these tests' own, for they end it."""
    return start_service(service)


@pytest.fixture
async def runner(engine: Engine) -> AsyncIterator[ContainerRunner]:
    runner = ContainerRunner(MARKET, base_url=engine.base_url, limits=LIMITS)
    runner.serve(7, [engine.image])
    yield runner
    await runner.aclose()


def containers(engine: Engine, *, whole: bool = False) -> list[Any]:
    with contextlib.closing(connect_engine(engine.base_url)) as client:
        # Not whole where one may go: each is asked about by itself then, and what is gone by that is Podman's failure.
        return list(client.containers.list(all=True, sparse=not whole))


@contextlib.asynccontextmanager
async def running(
    runner: ContainerRunner, engine: Engine, command: str
) -> AsyncIterator[tuple["asyncio.Task[Result]", RecordingSink]]:
    """A job that has printed 1, and leaves nothing behind."""
    sink = RecordingSink()
    task = asyncio.create_task(runner.run(container_job(engine, command), sink))
    await sink.wait_for_line("1")
    try:
        yield task, sink
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await asyncio.to_thread(eventually, lambda: not containers(engine), "the container being removed", 15)


async def fault_of(task: "asyncio.Task[Result]") -> RunFailed:
    with pytest.raises(RunFailed) as failure:
        await asyncio.wait_for(task, 30)
    return failure.value


async def test_a_slow_engine_has_jobs_wait_and_not_beyond_their_deadline(
    service: Service, runner: ContainerRunner, engine: Engine
) -> None:
    patient, hasty = RecordingSink(), RecordingSink()
    with stopped([service.pid]):
        waiting = asyncio.create_task(runner.run(container_job(engine, "echo 1"), patient))
        late = asyncio.create_task(runner.run(container_job(engine, "echo 1", deadline=1), hasty))
        failure = await fault_of(late)
        assert failure.category == ErrorCategory.TIMEOUT
        # Which is told before anything has begun, and so is the provider's doing.
        assert (hasty.phases, waiting.done()) == ([], False)
    await asyncio.wait_for(waiting, 40)
    assert ("info", "1") in patient.logs
    assert await asyncio.to_thread(containers, engine) == []


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_run_goes_on_when_its_engine_is_back(
    service: Service, runner: ContainerRunner, engine: Engine, end: str
) -> None:
    async with running(runner, engine, COUNT) as (task, sink):
        (before,) = await asyncio.to_thread(containers, engine, whole=True)
        await asyncio.to_thread(getattr(service, end))
        await asyncio.to_thread(service.start)
        result = await asyncio.wait_for(task, 40)
        assert result.payload == {"n": 30}
        lines = [message for _, message in sink.logs]
        assert lines.count(ENGINE_AWAY) == 1
        assert lines[-1] == "29"
        assert before.attrs["State"]["Status"] == "running"


async def test_a_run_that_is_stopped_while_its_engine_is_away_is_removed_when_that_is_back(
    service: Service, runner: ContainerRunner, engine: Engine
) -> None:
    """As when the job was given to another provider meanwhile: it would run on beside its second attempt."""
    async with running(runner, engine, "echo 1; sleep 600") as (task, _):
        await asyncio.to_thread(service.kill)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(service.start)
        # By itself, and without a look that somebody asks for.
        for _ in range(100):
            if not await asyncio.to_thread(containers, engine):
                break
            await asyncio.sleep(0.1)
        assert await asyncio.to_thread(containers, engine) == []


async def test_a_program_that_ends_while_its_engine_is_away_is_no_failure_of_the_program(
    service: Service, runner: ContainerRunner, engine: Engine
) -> None:
    async with running(runner, engine, "echo 1; sleep 1; echo 2") as (task, _):
        await asyncio.to_thread(service.kill)
        await asyncio.sleep(1.5)
        await asyncio.to_thread(service.start)
        failure = await fault_of(task)
        assert (failure.category, failure.transient) == (ErrorCategory.ENGINE, True)


ACTS: dict[str, Callable[[Any], None]] = {
    "kill": lambda container: container.kill(),
    "terminate": lambda container: container.kill(signal="SIGTERM"),
    "stop": lambda container: container.stop(timeout=10),
    "restart": lambda container: container.restart(timeout=0),
    "remove": lambda container: container.remove(force=True),
    "pause": lambda container: container.pause(),
}


@pytest.mark.parametrize("act", ACTS)
async def test_what_the_owner_does_to_a_container_is_no_failure_of_the_program(
    runner: ContainerRunner, engine: Engine, act: str
) -> None:
    """Not either of one that ends in good order when it is asked to, as many do."""
    async with running(runner, engine, "trap 'exit 1' TERM; echo 1; while :; do sleep 0.1; done") as (task, _):
        (container,) = await asyncio.to_thread(containers, engine)
        # Beside it: an engine answers a stop when all is over, and the container is gone by then.
        acting = asyncio.create_task(asyncio.to_thread(_act, container, act))
        failure = await fault_of(task)
        await acting
        assert (failure.category, failure.transient) == (ErrorCategory.ENGINE, True)
        assert "on the provider's machine" in failure.message


def _act(container: Any, act: str) -> None:
    # The daemon removes it under the engine's hands.
    with contextlib.suppress(docker.errors.APIError):
        ACTS[act](container)


@pytest.mark.parametrize(
    ("program", "status"),
    [("exit 143", 143), ("kill -9 1; kill -9 $$; exit 137", 137), ("trap 'exit 9' TERM; kill $$; sleep 9", 9)],
)
async def test_a_program_cannot_pass_its_own_end_off_as_its_owner_s_doing(
    runner: ContainerRunner, engine: Engine, program: str, status: int
) -> None:
    failure = await fault_of(asyncio.create_task(runner.run(container_job(engine, program), RecordingSink())))
    assert (failure.category, failure.exit_code) == (ErrorCategory.EXECUTION, status)


async def test_a_program_that_ends_with_137_is_not_said_to_have_wanted_memory(
    runner: ContainerRunner, engine: Engine
) -> None:
    failure = await fault_of(asyncio.create_task(runner.run(container_job(engine, "exit 137"), RecordingSink())))
    assert (failure.category, failure.exit_code) == (ErrorCategory.EXECUTION, 137)
    assert failure.message == "exited with status 137"


async def test_a_container_that_nobody_runs_is_removed_with_the_next_look(
    runner: ContainerRunner, engine: Engine
) -> None:
    """As an engine leaves it that made a container and failed to say so; it was looked for once, at the start."""
    await runner.probe()
    async with running(runner, engine, "echo 1; sleep 600") as (task, _):
        (ours,) = await asyncio.to_thread(containers, engine, whole=True)
        with contextlib.closing(connect_engine(engine.base_url)) as client:
            labels = {**ours.labels, "dc1.attempt": "0"}
            assert set(labels) == set(ours.labels)
            left = client.containers.create(engine.image, "sleep 600", labels=labels, network_mode="none")
        await runner.probe()
        assert [container.id for container in await asyncio.to_thread(containers, engine)] == [ours.id]
        assert left.id != ours.id
        assert not task.done()
