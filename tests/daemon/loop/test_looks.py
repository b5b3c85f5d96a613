"""What a daemon knows of its runners: how much they take at once, and when it looks at them."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from dc1.daemon import agent
from dc1.daemon.runners.base import Readiness, RunFailed
from dc1.daemon.runners.runner_registry import RunnerRegistry
from dc1.domain.jobs.states import ErrorCategory
from dc1.testing.machine import MadeUpMachine
from tests.daemon.loop.fake_server import FakeServer
from tests.daemon.loop.scripted_runner import ScriptedRunner
from tests.daemon.loop.whole_daemon import connected


async def test_runner_that_appears_later_is_advertised(server: FakeServer) -> None:
    runner = ScriptedRunner("m")
    runner.found = Readiness(False, "not up yet")
    async with connected(server, runner, probe_interval_seconds=0.05) as (_, stream):
        assert not stream.hello.state.job_types
        runner.found = Readiness(True, "up", ("m",))
        await stream.next("beat", lambda beat: list(beat.state.job_types) == ["llm_inference"])


async def test_transient_failure_makes_the_daemon_look_at_its_runners(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        daemon.runner.found = Readiness(False, "crashed")
        run.fail(RunFailed(ErrorCategory.EXECUTION, "engine is gone", transient=True))
        await stream.next("beat", lambda beat: not beat.state.job_types)


async def test_a_failure_of_an_engine_makes_the_daemon_look_which_models_it_has(server: FakeServer) -> None:
    """404 as a rule: its owner has started it with another model."""
    async with connected(server, ScriptedRunner("m")) as (daemon, stream):
        run = await daemon.started(stream)
        daemon.runner.found = Readiness(True, "another", ("n",))
        run.fail(RunFailed(ErrorCategory.ENGINE, "the engine answered 404"))
        await stream.next("beat", lambda beat: "n" in str(beat.state.report.cached_models))


async def test_an_engine_that_was_lost_is_looked_for_again_soon(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "SOON_SECONDS", 0.01)
    async with connected(server) as (daemon, stream):
        daemon.runner.found = Readiness(False, "stopped")
        daemon.agent._registry.look_again()
        await stream.next("beat", lambda beat: not beat.state.job_types)
        daemon.runner.found = Readiness(True, "started")
        await stream.next("beat", lambda beat: list(beat.state.job_types) == ["llm_inference"])


@pytest.mark.parametrize("usual", [60.0, 1.0])
async def test_one_that_stays_away_is_looked_for_less_and_less_until_another_is_lost(usual: float) -> None:
    waited: list[float] = []

    class Lost:
        lost = frozenset({"an engine"})

        async def stale(self, seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 9:
                self.lost |= {"another"}
            elif len(waited) > 10:
                raise asyncio.CancelledError

        async def probe(self) -> bool:
            return False

    looking: Any = SimpleNamespace(_config=SimpleNamespace(probe_interval_seconds=usual), _registry=Lost())
    with pytest.raises(asyncio.CancelledError):
        await agent.Agent._probe(looking)
    assert waited == [min(usual, each) for each in (usual, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 64.0, 64.0, 2.0, 4.0)]


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


async def test_doubts_that_were_for_nothing_are_followed_less_and_less() -> None:
    """Each call that an engine fails is a doubt: it would be looked at without a pause."""
    rested: list[float] = []
    changes = iter([False] * 8 + [True] + [False] * 4)

    class Doubted:
        lost: frozenset[Any] = frozenset()

        async def stale(self, _seconds: float) -> bool:
            return True

        async def told(self, seconds: float) -> bool:
            rested.append(seconds)
            return len(rested) == 12

        async def probe(self) -> bool:
            try:
                return next(changes)
            except StopIteration:
                raise asyncio.CancelledError from None

    looking: Any = SimpleNamespace(
        _config=SimpleNamespace(probe_interval_seconds=60.0),
        _registry=Doubted(),
        _connection=SimpleNamespace(beat_now=lambda: None),
    )
    with pytest.raises(asyncio.CancelledError):
        await agent.Agent._probe(looking)
    # What a server said was the twelfth, and no doubt.
    assert rested == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 0.0, 1.0, 2.0, 0.0, 1.0]


async def test_approved_images_are_no_doubt_of_a_runner() -> None:
    """Each list of them let the next doubt be followed later, and was itself followed when a doubt would have been."""
    registry = RunnerRegistry([ScriptedRunner("m")])
    registry.serve(1, ["a/b"])
    assert await registry.stale(60)
    assert await registry.told(60)
    await registry.probe()
    registry.look_again()
    assert await registry.stale(60)
    assert not await registry.told(0)
    registry.approve(["a/b", "c/d"])
    assert await registry.told(60)
