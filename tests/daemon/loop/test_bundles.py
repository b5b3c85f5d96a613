"""What a daemon says and hears together, and calls that begin with their offer."""

import asyncio
import time

import pytest

from dc1.daemon.leases.token_pace import MANY_RUNS
from dc1.daemon.runners.base import Result, Sink, Work
from dc1.domain.jobs.states import Phase
from dc1.testing.machine import MadeUpMachine
from dcp.v1 import daemon_stream_pb2 as pb
from tests.daemon.loop.fake_server import FakeServer, lease, make_assignment
from tests.daemon.loop.scripted_runner import ScriptedRunner
from tests.daemon.loop.whole_daemon import connected


@pytest.mark.parametrize("together", [True, False])
async def test_runs_that_speak_at_one_moment_are_told_in_one_message(server: FakeServer, together: bool) -> None:
    server.takes_bundles = together
    async with connected(server, telemetry=MadeUpMachine(gpu_count=2)) as (daemon, stream):
        runs = [await daemon.started(stream, job_id) for job_id in ("job-1", "job-2")]
        await asyncio.gather(*(run.sink.token("word") for run in runs))
        said = [await stream.next("tokens") for _ in runs]
        assert [(each.text, each.lease.job_id) for each in said] == [("word", "job-1"), ("word", "job-2")]
        assert (2 in stream.bundles) is together
        for run in runs:
            run.finish({"response": "word"})
            await stream.next("outcome")


async def test_what_the_server_says_together_is_followed_in_its_order(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        offer = pb.Offer(assignment=make_assignment(), expires_in_seconds=15)
        start = pb.Start(lease=lease("job-1", 1), seconds_left=60)
        both = [pb.ConnectResponse(offer=offer), pb.ConnectResponse(start=start)]
        stream.send(bundle=pb.ResponseBundle(messages=both))
        await stream.next("accept")
        (await daemon.runner.next_run()).finish({"response": "ok"})
        await stream.next("outcome")


async def test_a_call_begins_with_its_offer_where_that_says_how_long_it_may_run(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        assert stream.hello.state.begins_with_offers
        stream.send(offer=pb.Offer(assignment=make_assignment(), expires_in_seconds=15, run_seconds=30))
        await stream.next("accept")
        run = await daemon.runner.next_run()
        assert 29 < run.work.deadline <= 30
        stream.start()
        run.finish({"response": "ok"})
        await stream.next("outcome")
        assert not daemon.runner.started_another, "a Start beside it says nothing new"


async def test_an_offer_says_how_closely_its_server_wants_to_be_told(server: FakeServer) -> None:
    server.takes_bundles = True
    async with connected(server) as (daemon, stream):
        offer = pb.Offer(assignment=make_assignment(), expires_in_seconds=15, run_seconds=30, gather_seconds=0.2)
        stream.send(offer=offer)
        run = await daemon.runner.next_run()
        await run.sink.token("first ")
        assert (await stream.next("tokens")).text == "first "
        began_at = time.monotonic()
        for _ in range(10):
            await run.sink.token("word ")
            await asyncio.sleep(0)
        assert (await stream.next("tokens")).text == 10 * "word "
        assert time.monotonic() - began_at > 0.1
        stream.send(desired=pb.Desired(beat_interval_seconds=10))
        await run.sink.token("more ")
        run.finish({"response": "ok"})
        await stream.next("outcome")


class Engine(ScriptedRunner):
    """One that says that it works as soon as it is asked, for which its request takes some turns of the loop."""

    def __init__(self, turns: int = 0) -> None:
        super().__init__()
        self._turns = turns

    async def run(self, work: Work, sink: Sink) -> Result:
        for _ in range(self._turns):
            await asyncio.sleep(0)
        await sink.phase(Phase.GENERATING)
        return await super().run(work, sink)


@pytest.mark.parametrize("turns", [0, 1])
async def test_a_call_is_taken_and_begun_in_one_message(server: FakeServer, turns: int) -> None:
    server.takes_bundles = True
    async with connected(server, Engine(turns)) as (daemon, stream):
        stream.send(offer=pb.Offer(assignment=make_assignment(), expires_in_seconds=15, run_seconds=30))
        await stream.next("accept")
        assert (await stream.next("progress")).phase == Phase.GENERATING
        assert stream.bundles == [2]
        (await daemon.runner.next_run()).finish({"response": "ok"})
        await stream.next("outcome")


@pytest.mark.parametrize(("count", "at_once", "a_second"), [(8, 20, 500), (MANY_RUNS + 1, 4, 100)])
async def test_runs_that_say_much_are_told_in_few_messages(
    server: FakeServer, count: int, at_once: int, a_second: int
) -> None:
    """A message costs both sides by its number, so that they are few in a second after the first, and fewer of many."""
    server.takes_bundles = True
    async with connected(server, telemetry=MadeUpMachine(gpu_count=count)) as (daemon, stream):
        runs = [await daemon.started(stream, f"job-{number}") for number in range(count)]
        before, began_at = stream.requests, time.monotonic()
        for _ in range(100):
            for run in runs:
                await run.sink.token("word ")
                # Each in a turn of its own, as what comes on as many connections does.
                await asyncio.sleep(0)
        left = 100 * len(runs)
        while left:
            left -= (await stream.next("tokens")).text.count(" ")
        assert stream.requests - before <= at_once + a_second * (time.monotonic() - began_at) + 1
        for run in runs:
            run.finish({"response": "ok"})
            await stream.next("outcome")
