"""The life of a lease on one stream, against a real gRPC server."""

import asyncio
from typing import Any

import pytest
from google.protobuf import json_format

from dc1.daemon.connection.stream import MOST_REPLIES
from dc1.daemon.runners.base import RunFailed
from dc1.domain.jobs.states import ErrorCategory, JobType, Phase
from dc1.testing.machine import MadeUpMachine
from dcp.v1 import daemon_stream_pb2 as pb
from tests.daemon.loop.fake_server import FakeServer, lease, make_assignment
from tests.daemon.loop.scripted_runner import ScriptedRunner
from tests.daemon.loop.whole_daemon import connected, running_daemon


async def test_hello_carries_key_and_whole_state(server: FakeServer) -> None:
    async with running_daemon(server, ScriptedRunner("Qwen/Qwen3-8B")) as daemon:
        stream = await server.stream()
        assert stream.metadata["x-provider-key"] == daemon.config.key
        hello = stream.hello
        assert hello.instance_id == daemon.agent.instance_id
        assert json_format.MessageToDict(hello.state.report.gpu_status)["gpu_name"] == "NVIDIA H100"
        assert [model.string_value for model in hello.state.report.cached_models.list_value.values] == ["Qwen/Qwen3-8B"]
        assert list(hello.state.job_types) == ["llm_inference"]
        assert not hello.state.report.HasField("api_key")
        assert not hello.state.draining
        assert not hello.state.leases


async def test_job_from_offer_to_receipt(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        stream.offer(model="m", params={"prompt": "سلام", "n": 4}, env_vars={"A": "b"})
        accept = await stream.next("accept")
        assert accept.lease == lease("job-1", 1)
        assert not daemon.runner.started_another, "work waits for Start"
        stream.start(seconds_left=30)
        run = await daemon.runner.next_run()
        assert (run.work.job_type, run.work.model, run.work.env) == (JobType.LLM_INFERENCE, "m", {"A": "b"})
        assert run.work.params == {"prompt": "سلام", "n": 4}
        assert 29 < run.work.deadline <= 30
        await run.sink.phase(Phase.GENERATING)
        assert (await stream.next("progress")).phase == "generating"
        await run.sink.log("warn", "careful")
        logs = await stream.next("logs")
        assert (logs.sequence, logs.lines[0].level, logs.lines[0].message) == (1, pb.LOG_LEVEL_WARN, "careful")
        await run.sink.token("Hel")
        assert (await stream.next("tokens")).text == "Hel"
        run.finish({"response": "Hello"}, prompt_tokens=3, completion_tokens=2)
        outcome = await stream.next("outcome")
        assert json_format.MessageToDict(outcome.result) == {"response": "Hello"}
        assert (outcome.prompt_tokens, outcome.completion_tokens) == (3, 2)
        assert 0 <= outcome.gpu_seconds < 15
        assert not outcome.HasField("exit_code")
        stream.receipt_logs(1)
        stream.receipt_outcome()
        await daemon.no_leases()


async def test_tokens_are_gathered_and_complete(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        words = [f"word{number} " for number in range(500)]
        for word in words:
            await run.sink.token(word)
        run.finish()
        await stream.next("outcome")
        batches = [message for kind, message in stream.received if kind == "tokens"]
        assert "".join(batch.text for batch in batches) == "".join(words)
        assert sum(batch.count for batch in batches) == len(words)
        assert len(batches) < len(words) / 2


async def test_everything_told_of_a_run_precedes_its_outcome(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        receipts = asyncio.create_task(stream.receipt_all_logs())
        for number in range(1200):
            await run.sink.log("info", str(number))
            # The daemon sends meanwhile: more batches than may be under way without a receipt.
            await asyncio.sleep(0)
        run.finish()
        await stream.next("outcome")
        receipts.cancel()
        kinds = [kind for kind, _ in stream.received]
        assert kinds.index("outcome") == len(kinds) - 1
        lines = [line.message for kind, batch in stream.received if kind == "logs" for line in batch.lines]
        assert lines == [str(number) for number in range(1200)]


async def test_repeated_offer_and_start_change_nothing(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        stream.offer()
        stream.offer()
        await stream.next("accept")
        await stream.next("accept")
        stream.start()
        stream.start()
        stream.send(desired=pb.Desired(starts=[pb.Start(lease=lease("job-1", 1), seconds_left=9)]))
        run = await daemon.runner.next_run()
        stream.offer()
        await stream.next("accept")
        assert not daemon.runner.started_another
        assert not run.stopped.is_set()


async def test_desired_state_alone_is_enough(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        stream.offer("job-1")
        await stream.next("accept")
        offer = pb.Offer(assignment=make_assignment("job-2"))
        stream.send(desired=pb.Desired(stops=[pb.Stop(lease=lease("job-1", 1))], offers=[offer]))
        assert (await stream.next("accept")).lease == lease("job-2", 1)
        stream.send(desired=pb.Desired(starts=[pb.Start(lease=lease("job-2", 1), seconds_left=60)]))
        assert (await daemon.runner.next_run()).work.job_id == "job-2"


async def test_a_named_offer_is_accepted_again_or_called_unknown(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        stream.offer("job-1")
        await stream.next("accept")
        named = [lease("job-1", 1), lease("job-2", 1)]
        stream.send(desired=pb.Desired(offered=named, beat_interval_seconds=0.1))
        assert (await stream.next("accept")).lease == named[0]
        beat = await stream.next("beat", lambda beat: beat.state.unknown_offers)
        assert list(beat.state.unknown_offers) == named[1:]
        stream.send(desired=pb.Desired(offers=[pb.Offer(assignment=make_assignment("job-2"))]))
        assert (await stream.next("decline")).lease == named[1]
        assert not daemon.runner.started_another


async def test_start_of_a_lease_that_is_not_held_starts_nothing(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        stream.start("job-unknown")
        stream.offer()
        await stream.next("accept")
        assert not daemon.runner.started_another


async def test_stop_cancels_the_run_and_forgets_the_lease(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        stream.stop(attempt=2)
        stream.stop()
        await asyncio.wait_for(run.stopped.wait(), 15)
        await daemon.no_leases()
        assert stream.count("outcome") == 0
        await daemon.started(stream, "job-2")


async def test_later_attempt_supersedes_the_one_held(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        stream.offer(attempt=2)
        await stream.next("accept", lambda accept: accept.lease.attempt_number == 2)
        await asyncio.wait_for(run.stopped.wait(), 15)
        stream.offer(attempt=1)
        assert (await stream.next("decline")).reason == "attempt 2 is held here"


@pytest.mark.parametrize(
    ("assignment", "reason"),
    [
        ({"job_type": "training"}, "no runner for training is available"),
        ({"job_type": "telepathy"}, "'telepathy' is not a valid JobType"),
        ({"model": "other"}, "model 'other' is not served here"),
        ({"container_spec": {"gpu_count": 3}}, "0 of 2 slots are taken"),
        ({"container_spec": {"image": "evil:latest"}}, "container_spec.image is not approved"),
        ({"params": {"image_override": "evil:latest"}}, "params.image_override is not approved"),
    ],
)
async def test_offer_that_does_not_fit_is_declined(server: FakeServer, assignment: Any, reason: str) -> None:
    async with connected(server, ScriptedRunner("m"), MadeUpMachine(gpu_count=2)) as (daemon, stream):
        stream.offer(**assignment)
        decline = await stream.next("decline")
        assert (decline.lease, decline.reason) == (lease("job-1", 1), reason)
        assert not daemon.leases


async def test_approved_image_is_accepted(server: FakeServer) -> None:
    server.approved_images = ["dc1/trainer:1"]
    async with connected(server) as (_, stream):
        stream.offer(container_spec={"image": "dc1/trainer:1", "gpu_count": 1})
        await stream.next("accept")


async def test_images_are_judged_by_the_newest_list(server: FakeServer) -> None:
    server.approved_images = ["dc1/trainer:1"]
    async with connected(server) as (_, stream):
        stream.send(approved_images=pb.ApprovedImages(names=["dc1/trainer:2"]))
        stream.offer("job-1", container_spec={"image": "dc1/trainer:1", "gpu_count": 1})
        assert (await stream.next("decline")).reason == "container_spec.image is not approved"
        stream.offer("job-2", container_spec={"image": "dc1/trainer:2", "gpu_count": 1})
        await stream.next("accept")


async def test_offers_beyond_the_slots_are_declined_until_one_is_free(server: FakeServer) -> None:
    async with connected(server, telemetry=MadeUpMachine(gpu_count=2)) as (daemon, stream):
        first = await daemon.started(stream, "job-1")
        await daemon.started(stream, "job-2")
        stream.offer("job-3")
        assert (await stream.next("decline")).reason == "2 of 2 slots are taken"
        first.finish()
        await stream.next("outcome")
        stream.offer("job-3")
        await stream.next("accept", lambda accept: accept.lease.job_id == "job-3")


@pytest.mark.parametrize(
    ("failure", "category", "transient", "error"),
    [
        (RunFailed(ErrorCategory.OOM, "out of memory", transient=True, exit_code=137), "oom", True, "out of memory"),
        (KeyError("x"), "engine", False, "the runner failed: KeyError: 'x'"),
        (asyncio.CancelledError(), "engine", True, "the run was abandoned"),
    ],
)
async def test_failed_run_tells_why(
    server: FakeServer, failure: BaseException, category: str, transient: bool, error: str
) -> None:
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        run.fail(failure)
        outcome = await stream.next("outcome")
        told = outcome.failure
        assert (told.category, told.transient, told.error) == (category, transient, error)
        assert outcome.exit_code == (137 if category == "oom" else 0)


@pytest.mark.parametrize("payload", [{"loss": float("nan")}, {"text": "\ud800"}, {"set": {1}}])
async def test_result_that_is_no_json_is_a_failure(server: FakeServer, payload: Any) -> None:
    async with connected(server) as (daemon, stream):
        (await daemon.started(stream)).finish(payload)
        failure = (await stream.next("outcome")).failure
        assert failure.category == "invalid_result"
        assert failure.error.startswith("the result is not JSON")


async def test_result_beyond_the_limit_is_a_failure_and_one_at_the_limit_is_not(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        (await daemon.started(stream)).finish("x" * (2 * 1024 * 1024 - 2))
        assert (await stream.next("outcome")).WhichOneof("end") == "result"
        (await daemon.started(stream, "job-2")).finish("x" * (2 * 1024 * 1024))
        assert "larger than" in (await stream.next("outcome")).failure.error


async def test_text_that_is_not_unicode_does_not_break_the_stream(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        await run.sink.log("info", "half \ud83d")
        await run.sink.token("half \ud83d")
        assert (await stream.next("logs")).lines[0].message == "half ?"
        assert (await stream.next("tokens")).text == "half ?"


async def test_run_is_stopped_at_its_deadline(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        stream.offer()
        await stream.next("accept")
        stream.start(seconds_left=0.2)
        run = await daemon.runner.next_run()
        outcome = await stream.next("outcome")
        assert outcome.failure.category == "timeout"
        await asyncio.wait_for(run.stopped.wait(), 15)


async def test_beats_are_numbered_and_list_leases_with_their_state(server: FakeServer) -> None:
    server.beat_interval_seconds = 0.05
    async with connected(server) as (daemon, stream):
        stream.offer()
        await stream.next("accept")
        beat = await stream.next("beat", lambda beat: len(beat.state.leases) == 1)
        assert beat.state.leases[0].phase == pb.LEASE_PHASE_ACCEPTED
        stream.start()
        run = await daemon.runner.next_run()
        await stream.next("beat", lambda beat: beat.state.leases[0].phase == pb.LEASE_PHASE_RUNNING)
        run.finish()
        await stream.next("beat", lambda beat: beat.state.leases[0].phase == pb.LEASE_PHASE_ENDED)
        beats = [message.sequence for kind, message in stream.received if kind == "beat"]
        assert beats == list(range(1, len(beats) + 1))


async def test_logs_and_outcome_without_receipt_are_sent_again_on_the_same_stream(server: FakeServer) -> None:
    server.beat_interval_seconds = 0.05
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        await run.sink.log("info", "line")
        run.finish()
        first = await stream.next("logs"), await stream.next("outcome")
        again = await stream.next("logs"), await stream.next("outcome")
        assert first == again
        stream.receipt_logs(1)
        stream.receipt_outcome()
        await daemon.no_leases()


async def test_runner_that_is_slow_to_stop_delays_no_outcome_but_the_next_run(server: FakeServer) -> None:
    runner = ScriptedRunner()
    runner.cleanup = asyncio.Event()
    async with connected(server, runner) as (_, stream):
        stream.offer()
        await stream.next("accept")
        stream.start(seconds_left=0.1)
        await runner.next_run()
        assert (await stream.next("outcome")).failure.category == "timeout"
        stream.receipt_outcome()
        stream.offer("job-2")
        await stream.next("accept", lambda accept: accept.lease.job_id == "job-2")
        stream.start("job-2")
        stream.send(desired=pb.Desired())
        stream.offer("job-2")
        await stream.next("accept", lambda accept: accept.lease.job_id == "job-2")
        assert not runner.started_another
        runner.cleanup.set()
        assert (await runner.next_run()).work.job_id == "job-2"


async def test_server_that_does_not_read_holds_up_no_run(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        stream.reading.clear()
        async with asyncio.timeout(15):
            for number in range(20_000):
                await run.sink.log("info", f"{number} {'x' * 500}")
            await run.sink.log("error", "the last words")
        run.finish()
        stream.reading.set()
        lines: list[pb.LogRecord] = []
        while len(lines) <= 20_000:
            batch = await stream.next("logs")
            stream.receipt_logs(batch.sequence)
            lines += batch.lines
        await stream.next("outcome")
        # None is lost: together they are less than what a job's log may be.
        assert [line.message.split()[0] for line in lines[:-1]] == [str(number) for number in range(20_000)]
        assert lines[-1].message == "the last words"


async def test_answers_that_the_server_does_not_read_are_bounded(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        await daemon.started(stream)
        stream.reading.clear()
        for number in range(5 * MOST_REPLIES):
            stream.offer(f"job-{number}-{'x' * 4_000}")
        # The last of them is followed once all are.
        stream.stop()
        await daemon.no_leases()
        waiting = daemon.agent._connection._stream
        assert waiting is not None
        assert len(waiting._replies) <= MOST_REPLIES


async def test_notices_of_the_server_are_said_once(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    async with connected(server) as (_, stream):
        for _ in range(2):
            stream.send(
                desired=pb.Desired(paused=True, suspended=True, min_version="99.0", preload_model="Qwen/Qwen3-8B")
            )
        stream.offer()
        await stream.next("accept")
        said = capsys.readouterr().out
        for notice in ("paused", "suspended by an admin", "out of date", "Qwen/Qwen3-8B"):
            assert said.count(notice) == 1


async def test_values_of_a_newer_protocol_do_not_end_the_stream(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        stream.send(stop=pb.Stop.FromString(pb.Stop(lease=lease("job-1", 1)).SerializeToString() + b"\x10\x63"))
        await asyncio.wait_for(run.stopped.wait(), 15)
        await daemon.started(stream, "job-2")
