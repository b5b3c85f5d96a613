"""A machine that changes while its daemon runs, and what it is told of its work."""

import pytest

from dc1.daemon.runners.base import RunFailed
from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.states import ErrorCategory
from dc1.testing.machine import MadeUpMachine
from tests.daemon.loop.fake_server import FakeServer
from tests.daemon.loop.scripted_runner import ScriptedImageRunner
from tests.daemon.loop.whole_daemon import connected


def gpus(*uuids: str) -> JsonObject:
    return {"gpu_count": len(uuids), "all_gpus": [{"gpu_uuid": uuid, "gpu_name": "NVIDIA H100"} for uuid in uuids]}


async def test_lost_cards_are_said_and_lent_no_more(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.beat_interval_seconds = 0.05
    runner, telemetry = ScriptedImageRunner(), MadeUpMachine()
    telemetry.status = gpus("GPU-1", "GPU-2")
    async with connected(server, runner, telemetry) as (daemon, stream):
        assert runner.gpus == ["GPU-1", "GPU-2"]
        assert daemon.agent.assignments.slots == 2

        telemetry.status = {**gpus("GPU-2"), "problems": ["GPU 0 is left out: GPU is lost"]}
        await stream.next("beat", lambda beat: beat.state.report.gpu_status.struct_value["gpu_count"] == 1)
        assert runner.gpus == ["GPU-2"]
        assert daemon.agent.assignments.slots == 1

        telemetry.status = {"problems": ["no NVIDIA driver in use: GPU is lost"]}
        beat = await stream.next("beat", lambda beat: "all_gpus" not in beat.state.report.gpu_status.struct_value)
        assert beat.state.report.gpu_status.struct_value["gpu_count"] == 1
        assert runner.gpus == []
        for _ in range(3):
            await stream.next("beat")
    said = [line for line in capsys.readouterr().out.splitlines() if "gpus=" in line]
    assert len(said) == 3
    assert "GPU 0 is left out: GPU is lost" in said[1]
    assert "no GPU, so the CPU is offered" in said[2]
    assert "warning" in said[1]


async def test_work_the_machine_cannot_do_is_declined(server: FakeServer) -> None:
    runner = ScriptedImageRunner()
    async with connected(server, runner) as (_, stream):
        runner.refuses = "the job needs a GPU"
        stream.offer("job-1", job_type="training")
        assert (await stream.next("decline")).reason == "the job needs a GPU"
        runner.refuses = None
        stream.offer("job-2", job_type="training")
        await stream.next("accept")


async def test_containers_are_run_for_the_provider_that_the_server_names(server: FakeServer) -> None:
    runner = ScriptedImageRunner()
    server.approved_images = ["dc1/trainer:1"]
    async with connected(server, runner) as (_, stream):
        stream.offer(job_type="training")
        await stream.next("accept")
        assert runner.served == [(7, ["dc1/trainer:1"])]


async def test_a_card_that_fails_is_lent_no_more(server: FakeServer) -> None:
    server.beat_interval_seconds = 0.05
    runner, telemetry = ScriptedImageRunner(), MadeUpMachine()
    telemetry.status = gpus("GPU-1", "GPU-2")
    async with connected(server, runner, telemetry) as (daemon, stream):
        failing = gpus("GPU-1", "GPU-2")
        failing["all_gpus"][0]["xid_errors"] = [{"xid": 79, "count": 1, "seconds_ago": 2}]  # type: ignore[call-overload, index]
        telemetry.status = failing
        await stream.next("beat", lambda beat: "xid_errors" in str(beat.state.report.gpu_status))
        assert (runner.gpus, daemon.agent.assignments.slots) == (["GPU-2"], 1)


@pytest.mark.parametrize(("gpu_failure", "category"), [(None, "execution"), ("Xid 48, double-bit", "gpu_lost")])
async def test_a_run_whose_card_fails_is_not_its_programs_fault(
    server: FakeServer, gpu_failure: str | None, category: str
) -> None:
    runner, telemetry = ScriptedImageRunner(), MadeUpMachine()
    telemetry.gpu_failure = gpu_failure
    async with connected(server, runner, telemetry) as (_, stream):
        stream.offer(job_type="training")
        await stream.next("accept")
        stream.start()
        run = await runner.next_run()
        run.fail(RunFailed(ErrorCategory.EXECUTION, "the program ended with exit code 1", exit_code=1))
        outcome = await stream.next("outcome")
        assert (outcome.failure.category, outcome.exit_code, outcome.failure.transient) == (category, 1, False)
