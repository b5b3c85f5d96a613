"""The built-in engine on the real model."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from dc1.daemon.runners.base import RunFailed, Work
from dc1.daemon.runners.inference.engine import EngineRunner
from dc1.daemon.runners.inference.engine_mistralrs import MODEL_NAME, MistralRsEngine
from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.states import ErrorCategory, JobType, Phase
from tests.daemon.runners.sinks import RecordingSink

pytestmark = pytest.mark.model

LONG_STORY: JsonObject = {"prompt": "Tell a long story about a ship.", "max_tokens": 400}


def inference(params: JsonObject, *, model: str | None = None, deadline: float = 120) -> Work:
    return Work("job-1", 1, JobType.LLM_INFERENCE, deadline, model=model, params=params)


@pytest.fixture
async def runner() -> AsyncIterator[EngineRunner]:
    runner = EngineRunner(MistralRsEngine())
    yield runner
    await runner.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def warm() -> AsyncIterator[EngineRunner]:
    """A runner whose model is loaded: that takes as long as all that the tests which do not look at it ask for."""
    runner = EngineRunner(MistralRsEngine())
    await runner.run(inference({"prompt": "Hi", "max_tokens": 1}), RecordingSink())
    yield runner
    await runner.aclose()


async def longest_stall(done: asyncio.Event) -> float:
    """Measure in seconds how late a 5 ms timer of this event loop fires at worst."""
    worst, last = 0.0, time.perf_counter()
    while not done.is_set():
        await asyncio.sleep(0.005)
        now = time.perf_counter()
        worst, last = max(worst, now - last - 0.005), now
    return worst


async def test_model_is_offered_without_being_loaded(runner: EngineRunner) -> None:
    availability = await runner.probe()
    assert availability.available
    assert availability.models == (MODEL_NAME,)


async def test_generates_streams_and_leaves_the_event_loop_free(
    runner: EngineRunner,
) -> None:
    sink, done = RecordingSink(), asyncio.Event()
    watching = asyncio.create_task(longest_stall(done))
    work = inference({"prompt": "Write one sentence about the sea.", "max_tokens": 16, "temperature": 0})
    result = await runner.run(work, sink)
    done.set()
    stall = await watching

    payload = result.payload
    assert isinstance(payload, dict)
    assert "".join(sink.tokens) == payload["response"]
    assert len(sink.tokens) > 3
    assert payload["type"] == "text"
    assert payload["prompt"] == "Write one sentence about the sea."
    assert payload["model"] == MODEL_NAME
    assert payload["device"] == "cpu"
    assert payload["tokens_generated"] == result.completion_tokens
    assert result.prompt_tokens is not None
    assert result.prompt_tokens > 5
    assert result.completion_tokens is not None
    assert 3 < result.completion_tokens <= 16
    assert sink.phases == [Phase.LOADING_MODEL, Phase.GENERATING]
    assert stall < 0.5


@pytest.mark.asyncio(loop_scope="module")
async def test_cancelling_stops_the_generation_and_keeps_the_model(warm: EngineRunner) -> None:
    sink = RecordingSink()
    running = asyncio.create_task(warm.run(inference(LONG_STORY), sink))
    await sink.wait_for_token(3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    # Were it still generating, this answer would come behind hundreds of tokens.
    answer = await warm.run(inference({"prompt": "Hi", "max_tokens": 2}, deadline=30), RecordingSink())
    assert answer.completion_tokens == 2


@pytest.mark.asyncio(loop_scope="module")
async def test_deadline_ends_even_the_reading_of_a_prompt(warm: EngineRunner) -> None:
    started = time.monotonic()
    with pytest.raises(RunFailed) as failure:
        await warm.run(inference({"prompt": "word " * 4000}, deadline=0.5), RecordingSink())
    assert failure.value.category == ErrorCategory.TIMEOUT
    assert time.monotonic() - started < 10
    again = await warm.run(inference({"prompt": "Hi", "max_tokens": 1}), RecordingSink())
    assert again.completion_tokens == 1


@pytest.mark.asyncio(loop_scope="module")
async def test_prompt_beyond_the_context_is_refused_and_the_model_lives_on(warm: EngineRunner) -> None:
    with pytest.raises(RunFailed, match="8192"):
        await warm.run(inference({"prompt": "word " * 9000}), RecordingSink())
    assert (await warm.run(inference({"prompt": "Hi", "max_tokens": 1}), RecordingSink())).completion_tokens == 1


async def test_killed_engine_fails_the_job_and_is_started_again() -> None:
    engine = MistralRsEngine()
    runner, sink = EngineRunner(engine), RecordingSink()
    running = asyncio.create_task(runner.run(inference(LONG_STORY), sink))
    await sink.wait_for_token()
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(RunFailed) as failure:
        await running
    assert failure.value.category == ErrorCategory.OOM
    assert failure.value.transient
    try:
        assert (await runner.run(inference({"prompt": "Hi", "max_tokens": 1}), RecordingSink())).completion_tokens == 1
    finally:
        await runner.aclose()


async def test_unknown_model_is_refused(runner: EngineRunner) -> None:
    with pytest.raises(RunFailed, match="not served here"):
        await runner.run(inference({"prompt": "Hi"}, model="other/Model-7B"), RecordingSink())
