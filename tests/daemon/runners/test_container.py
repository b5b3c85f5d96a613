"""Container jobs on a real engine."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import docker
import pytest

from dc1.daemon.runners.base import Readiness, Result, RunFailed, Work
from dc1.daemon.runners.container import ownership
from dc1.daemon.runners.container.engine import connect_engine
from dc1.daemon.runners.container.options import LABEL_JOB, ContainerLimits
from dc1.daemon.runners.container.runner import ContainerRunner
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.jobs.states import ErrorCategory, JobType, Phase
from tests.daemon.runners.podman import Engine
from tests.daemon.runners.sinks import RecordingSink

pytestmark = pytest.mark.container

MARKET = "market.example.sa:443"
WRITABLE = ("/tmp", "/var/tmp", "/run", "/data", "/dev/shm")
LIMITS = ContainerLimits(memory_mib=64, cpus=0.5, pids=32, tmp_mib=16, open_files=256)


@pytest.fixture
async def runner(container_engine: Engine) -> AsyncIterator[ContainerRunner]:
    runner = ContainerRunner(MARKET, base_url=container_engine.base_url, limits=LIMITS)
    runner.serve(7, [container_engine.image])
    yield runner
    await runner.aclose()


@pytest.fixture
def client(container_engine: Engine) -> Iterator[Any]:
    with contextlib.closing(connect_engine(container_engine.base_url)) as client:
        yield client
        assert client.containers.list(all=True) == []


def container_job(engine: Engine, command: JsonValue, *, deadline: float = 60, **spec: JsonValue) -> Work:
    container_spec: JsonObject = {"image": engine.image, "job_cmd": command, **spec}
    return Work("job-1", 1, JobType.CUSTOM_CONTAINER, deadline, container_spec=container_spec)


async def run(runner: ContainerRunner, work: Work) -> tuple[Result, RecordingSink]:
    sink = RecordingSink()
    return await runner.run(work, sink), sink


async def test_probe_finds_the_engine(runner: ContainerRunner) -> None:
    availability = await runner.probe()
    assert availability.available
    assert "1 approved" in availability.reason


async def test_probe_says_why_not(container_engine: Engine) -> None:
    nowhere = ContainerRunner(MARKET, base_url="unix:///nonexistent/docker.sock")
    nowhere.serve(7, [container_engine.image])
    assert not (await nowhere.probe()).available
    assert "no container engine" in (await nowhere.probe()).reason
    without_images = ContainerRunner(MARKET, base_url=container_engine.base_url)
    assert await without_images.probe() == Readiness(False, "no image is approved")
    await without_images.aclose()


async def test_streams_lines_and_returns_the_marked_result(
    runner: ContainerRunner, client: Any, container_engine: Engine
) -> None:
    script = """echo one; echo two >&2; printf 'three'; echo; echo 'DC1_RESULT_JSON: {"answer": 42}'"""
    result, sink = await run(runner, container_job(container_engine, script))
    assert result.payload == {"answer": 42}
    assert result.exit_code == 0
    assert result.gpu_seconds == 0
    assert sorted(sink.logs) == [("info", "one"), ("info", "three"), ("warn", "two")]
    assert sink.phases == [Phase.GENERATING]


async def test_without_a_marked_result_the_output_is_the_result(
    runner: ContainerRunner, client: Any, container_engine: Engine
) -> None:
    result, _ = await run(runner, container_job(container_engine, ["/bin/echo", "مرحبا $HOME"]))
    assert result.payload == "مرحبا $HOME"


async def test_job_reads_its_input_from_the_environment(
    runner: ContainerRunner, client: Any, container_engine: Engine
) -> None:
    spec: JsonObject = {"image": container_engine.image}
    work = Work(
        "job-7",
        2,
        JobType.TRAINING,
        60,
        params={"command": "env", "epochs": 3},
        task_spec={"lr": 0.1},
        env={"MODE": "fast"},
        container_spec=spec,
    )
    result, _ = await run(runner, work)
    variables = dict(line.split("=", 1) for line in str(result.payload).splitlines())
    assert variables["MODE"] == "fast"
    assert variables["DC1_JOB_ID"] == "job-7"
    assert variables["DC1_ATTEMPT"] == "2"
    assert json.loads(variables["DC1_PARAMS"])["epochs"] == 3
    assert json.loads(variables["DC1_TASK_SPEC"]) == {"lr": 0.1}


async def test_without_a_gpu_an_image_that_asks_for_every_card_gets_none(
    runner: ContainerRunner, client: Any, container_engine: Engine
) -> None:
    greedy = variant(client, container_engine, "greedy", "ENV NVIDIA_VISIBLE_DEVICES=all")
    runner.serve(7, [greedy])
    result, _ = await run(runner, container_job(container_engine, "echo $NVIDIA_VISIBLE_DEVICES", image=greedy))
    assert result.payload == "void"
    client.images.remove(greedy)


async def test_what_a_container_writes_stays_off_the_owners_disk(
    runner: ContainerRunner, client: Any, container_engine: Engine
) -> None:
    keeps_data = variant(client, container_engine, "volume", "VOLUME /data")
    runner.serve(7, [keeps_data])
    # Message queues have bounds of the kernel's own, by their number and length.
    script = f"""
    for place in {" ".join(WRITABLE)}; do
      dd if=/dev/zero of=$place/big bs=1M count=40 2>/dev/null && echo $place is unbounded
      ls -l $place/big > /dev/null || echo $place cannot be written to
      rm $place/big
    done
    while read device place kind options rest; do
      case "$kind $options" in mqueue*|*" rw,"*size=*) ;; *" rw"*) touch $place/file 2>/dev/null && echo $place has no size;; esac
    done < /proc/mounts
    """
    sink = RecordingSink()
    running = asyncio.create_task(
        runner.run(container_job(container_engine, f"{script}\necho done; sleep 60", image=keeps_data), sink)
    )
    await sink.wait_for_line("done")
    try:
        assert sink.lines == ["done"]
        assert client.volumes.list() == []
        (made,) = client.containers.list()
        assert made.attrs["HostConfig"]["LogConfig"]["Type"] == "none"
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    client.images.remove(keeps_data)


def variant(client: Any, engine: Engine, name: str, change: str) -> str:
    """The reference of an image like the engine's with a line of a Containerfile more."""
    container = client.containers.create(engine.image, ["true"])
    container.commit(f"localhost/dc1-test/{name}", "latest", changes=change)
    container.remove()
    return f"localhost/dc1-test/{name}:latest"


async def test_container_is_locked_in(runner: ContainerRunner, client: Any, container_engine: Engine) -> None:
    script = """
    id -u
    touch /stray 2>/dev/null || echo read-only
    touch /tmp/scratch && echo scratch
    dd if=/dev/zero of=/tmp/big bs=1M count=40 2>/dev/null || echo full
    ls /sys/class/net
    cat /proc/self/status
    """
    result, _ = await run(runner, container_job(container_engine, script, network="bridge"))
    lines = str(result.payload).splitlines()
    assert lines[:5] == ["65534", "read-only", "scratch", "full", "lo"]
    status = dict(line.split(":\t", 1) for line in lines[5:] if ":\t" in line)
    assert status["CapEff"] == status["CapBnd"] == "0000000000000000"
    assert status["NoNewPrivs"] == "1"


async def test_limits_reach_the_engine(runner: ContainerRunner, client: Any, container_engine: Engine) -> None:
    sink = RecordingSink()
    work = container_job(container_engine, "echo up; sleep 60", memory_mb=32, pids_limit=9999)
    running = asyncio.create_task(runner.run(work, sink))
    await sink.wait_for_line("up")
    host = client.containers.list(filters={"label": f"{LABEL_JOB}=job-1"})[0].attrs["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 32 * 1024 * 1024
    assert host["PidsLimit"] == LIMITS.pids
    assert host["NanoCpus"] == 500_000_000
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_too_many_processes_are_stopped(runner: ContainerRunner, client: Any, container_engine: Engine) -> None:
    script = "for i in 1 2 3 4 5 6; do for j in 1 2 3 4 5; do sleep 60 & done; done 2>/dev/null; echo survived"
    with pytest.raises(RunFailed) as failure:
        # Fewer than the container's start takes, of which it gets as many.
        await run(runner, container_job(container_engine, script, pids_limit=1))
    assert failure.value.category == ErrorCategory.EXECUTION


async def test_processes_of_one_container_are_not_counted_against_another(
    runner: ContainerRunner, client: Any, container_engine: Engine
) -> None:
    sink = RecordingSink()
    crowd = "for i in 1 2 3 4; do for j in 1 2 3 4 5; do sleep 60 & done; done; echo up; wait"
    running = asyncio.create_task(runner.run(container_job(container_engine, crowd), sink))
    await sink.wait_for_line("up")

    result, _ = await run(runner, container_job(container_engine, "echo from a child | cat", pids_limit=16))

    assert result.payload == "from a child"
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_too_much_memory_is_oom(runner: ContainerRunner, client: Any, container_engine: Engine) -> None:
    with pytest.raises(RunFailed) as failure:
        await run(runner, container_job(container_engine, "x=$(yes | head -c 200000000); echo no"))
    assert failure.value.category == ErrorCategory.OOM
    assert not failure.value.transient


async def test_failing_program_is_an_execution_failure(
    runner: ContainerRunner, client: Any, container_engine: Engine
) -> None:
    with pytest.raises(RunFailed, match="exited with status 7: disk on fire") as failure:
        await run(runner, container_job(container_engine, "echo disk on fire >&2; exit 7"))
    assert failure.value.category == ErrorCategory.EXECUTION
    assert failure.value.exit_code == 7


async def test_a_missing_program_is_the_orders_mistake(
    runner: ContainerRunner, client: Any, container_engine: Engine
) -> None:
    with pytest.raises(RunFailed) as failure:
        await run(runner, container_job(container_engine, ["/bin/nothing"]))
    assert (failure.value.category, failure.value.exit_code) == (ErrorCategory.INVALID_PARAMS, 127)


async def test_deadline_kills_the_container(runner: ContainerRunner, client: Any, container_engine: Engine) -> None:
    started = time.monotonic()
    with pytest.raises(RunFailed) as failure:
        await run(runner, container_job(container_engine, "echo up; sleep 60", deadline=1.5))
    assert failure.value.category == ErrorCategory.TIMEOUT
    assert time.monotonic() - started < 15


async def test_cancelling_kills_the_container(runner: ContainerRunner, client: Any, container_engine: Engine) -> None:
    sink = RecordingSink()
    running = asyncio.create_task(runner.run(container_job(container_engine, "echo up; sleep 60"), sink))
    await sink.wait_for_line("up")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert client.containers.list(all=True) == []


async def test_cancelling_while_it_is_created_leaves_nothing(
    runner: ContainerRunner, client: Any, container_engine: Engine
) -> None:
    for turns in range(12):
        running = asyncio.create_task(run(runner, container_job(container_engine, "sleep 60")))
        for _ in range(turns * 3):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    await runner.aclose()
    assert client.containers.list(all=True) == []


async def test_unapproved_image_is_never_touched(
    runner: ContainerRunner, client: Any, container_engine: Engine
) -> None:
    with pytest.raises(RunFailed, match="'evil/image:latest' is not approved"):
        await run(runner, container_job(container_engine, "true", image="evil/image:latest"))
    runner.serve(7, [])
    with pytest.raises(RunFailed, match="is not approved"):
        await run(runner, container_job(container_engine, "true"))


async def test_failing_pull_is_image_pull(runner: ContainerRunner, client: Any, container_engine: Engine) -> None:
    absent = "127.0.0.1:9/dc1/absent:1"
    runner.serve(7, [absent])
    sink = RecordingSink()
    with pytest.raises(RunFailed) as failure:
        await runner.run(container_job(container_engine, "true", image=absent), sink)
    assert failure.value.category == ErrorCategory.IMAGE_PULL
    assert sink.phases == [Phase.PULLING]


async def test_job_that_needs_a_gpu_is_refused_without_one(
    runner: ContainerRunner, client: Any, container_engine: Engine
) -> None:
    await runner.probe()
    assert runner.refusal(container_job(container_engine, "true")) is None
    assert runner.refusal(container_job(container_engine, "true", vram_required_mb=8192)) is not None
    with pytest.raises(RunFailed, match="needs a GPU and none"):
        await run(runner, container_job(container_engine, "true", vram_required_mb=8192))


async def test_broken_result_is_an_execution_failure(
    runner: ContainerRunner, client: Any, container_engine: Engine
) -> None:
    with pytest.raises(RunFailed, match="is not JSON"):
        await run(runner, container_job(container_engine, "echo 'DC1_RESULT_JSON: {oops'"))


async def test_what_an_earlier_daemon_of_the_provider_left_is_removed(
    runner: ContainerRunner, client: Any, container_engine: Engine
) -> None:
    earlier, stranger, elsewhere = (
        ContainerRunner(market, base_url=container_engine.base_url, limits=LIMITS)
        for market in (MARKET, MARKET, "another.example.sa:443")
    )
    left: list[str] = []
    for other, provider_id in ((earlier, 7), (stranger, 8), (elsewhere, 7)):
        other.serve(provider_id, [container_engine.image])
        left.append(await leave_behind(other, client, container_engine))
        await other.aclose()

    assert (await runner.probe()).available

    assert {container.id for container in client.containers.list(all=True)} == set(left[1:])
    sink = RecordingSink()
    running = asyncio.create_task(runner.run(container_job(container_engine, "echo up; sleep 60"), sink))
    await sink.wait_for_line("up")
    runner.serve(7, [container_engine.image])
    assert (await runner.probe()).available
    assert len(client.containers.list()) == 3
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    for container in client.containers.list(all=True):
        container.kill()
        container.remove(force=True)


async def test_nothing_is_removed_before_the_server_has_named_the_provider(
    runner: ContainerRunner, client: Any, container_engine: Engine
) -> None:
    left = await leave_behind(runner, client, container_engine)
    later = ContainerRunner(MARKET, base_url=container_engine.base_url)
    assert await later.probe() == Readiness(False, "no image is approved")
    assert [container.id for container in client.containers.list()] == [left]
    later.serve(7, [])
    assert not (await later.probe()).available
    assert client.containers.list(all=True) == []
    await later.aclose()


async def test_a_leftover_that_resists_is_tried_again_and_keeps_nobody_from_working(
    runner: ContainerRunner, client: Any, container_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    left = await leave_behind(runner, client, container_engine)
    later = ContainerRunner(MARKET, base_url=container_engine.base_url)
    later.serve(7, [container_engine.image])

    def resist(_: Any) -> None:
        raise docker.errors.APIError("removal is already in progress")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ownership, "remove", resist)
        assert (await later.probe()).available
    assert f"container {left} could not be removed" in caplog.text

    assert (await later.probe()).available
    assert client.containers.list(all=True) == []
    await later.aclose()


async def leave_behind(runner: ContainerRunner, client: Any, engine: Engine) -> str:
    """A container as a daemon that is killed leaves it; its id."""
    before = {container.id for container in client.containers.list(all=True)}
    sink = RecordingSink()
    running = asyncio.create_task(runner.run(container_job(engine, "echo up; sleep 60"), sink))
    await sink.wait_for_line("up")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ownership, "remove", lambda _: None)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await runner.aclose()
    (left,) = {container.id for container in client.containers.list(all=True)} - before
    return str(left)
