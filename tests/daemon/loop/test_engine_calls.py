"""Calls beside each other on an engine that takes several."""

from dc1.daemon.runners.base import Readiness
from dc1.testing.machine import MadeUpMachine
from tests.daemon.loop.fake_server import FakeServer
from tests.daemon.loop.scripted_runner import ScriptedRunner
from tests.daemon.loop.whole_daemon import connected


async def test_an_engine_takes_as_many_calls_as_it_says_whatever_gpus_there_are(server: FakeServer) -> None:
    runner = ScriptedRunner()
    runner.found = Readiness(True, "an engine of three slots", calls=3)
    async with connected(server, runner, MadeUpMachine(gpu_count=1)) as (daemon, stream):
        assert stream.hello.state.inference_slots == 3
        runs = [await daemon.started(stream, f"job-{number}") for number in (1, 2, 3)]
        stream.offer("job-4")
        assert (await stream.next("decline")).reason == "3 of 3 calls are under way"
        runs[1].finish()
        await stream.next("outcome")
        await daemon.started(stream, "job-4")
