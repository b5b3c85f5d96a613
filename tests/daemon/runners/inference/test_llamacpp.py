"""The built-in engine on the real model."""

import asyncio
import json
import os
import signal
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from dc1.daemon.build import build_runners
from dc1.daemon.config import DaemonConfig
from dc1.daemon.runners.base import RunFailed, Work
from dc1.daemon.runners.inference import engine_llamacpp
from dc1.daemon.runners.inference.engine import EngineRunner, EngineUnavailableError
from dc1.daemon.runners.inference.engine_llamacpp import LlamaCppEngine, bundled_model
from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.states import ErrorCategory, JobType, Phase
from dc1.testing.waiting import eventually
from tests.daemon.runners.sinks import RecordingSink

pytestmark = pytest.mark.model

MODEL_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
LONG_STORY: JsonObject = {"prompt": "Tell a long story about a ship.", "max_tokens": 400}


def inference(params: JsonObject, *, model: str | None = None, deadline: float = 120) -> Work:
    return Work("job-1", 1, JobType.LLM_INFERENCE, deadline, model=model, params=params)


def settings(**given: Any) -> DaemonConfig:
    return DaemonConfig(key="dc1-provider-x", server="127.0.0.1:8083", containers=False, **given)


def children() -> set[int]:
    """The processes that this one's event loop has started."""
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()}


@pytest.fixture
async def runner() -> AsyncIterator[EngineRunner]:
    runner = EngineRunner(LlamaCppEngine(bundled_model()))
    yield runner
    await runner.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def warm() -> AsyncIterator[EngineRunner]:
    """A runner whose model is loaded: that takes as long as all that the tests which do not look at it ask for."""
    runner = EngineRunner(LlamaCppEngine(bundled_model()))
    await runner.run(inference({"prompt": "Hi", "max_tokens": 1}), RecordingSink())
    yield runner
    await runner.aclose()


class WatchedSink(RecordingSink):
    """Counts, in each phase of a run, how often this event loop came to something else."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = [0]

    async def watch(self) -> None:
        while True:
            self.turns[-1] += 1
            await asyncio.sleep(0.005)

    async def phase(self, name: Phase) -> None:
        self.turns.append(0)
        await super().phase(name)


async def test_model_is_offered_without_being_loaded(runner: EngineRunner) -> None:
    availability = await runner.probe()
    assert availability.available
    assert availability.models == (MODEL_NAME,)


async def test_without_a_library_that_it_is_linked_with_none_is_offered(
    runner: EngineRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_llamacpp, "_NEEDED_LIBRARY", "libnobody.so.1")
    availability = await runner.probe()
    assert (availability.available, availability.models) == (False, ())
    assert "libnobody.so.1 is not installed" in availability.reason


async def test_a_wheel_that_cannot_be_loaded_is_not_offered(
    runner: EngineRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xllamacpp.py").write_text("import os; os.kill(os.getpid(), 4)")
    monkeypatch.syspath_prepend(str(tmp_path))
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(engine_llamacpp, "time", clock)
    availability = await runner.probe()
    assert (availability.available, availability.models) == (False, ())
    assert "xllamacpp package cannot be loaded" in availability.reason
    (tmp_path / "xllamacpp.py").write_text("import time; time.sleep(60)")
    # Not tried at once, and told in the same words.
    clock.now += 59
    assert await runner.probe() == availability
    clock.now += 1
    with monkeypatch.context() as changed:
        changed.setattr(engine_llamacpp, "_LOOK_SECONDS", 0.1)
        late = await runner.probe()
        assert "not there after" in late.reason
    # Once it was mended, without a restart, and twice as long after.
    (tmp_path / "xllamacpp.py").unlink()
    clock.now += 119
    assert await runner.probe() == late
    clock.now += 1
    assert (await runner.probe()).available


def test_what_cannot_be_loaded_is_tried_each_hour_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(engine_llamacpp, "time", clock)
    trouble, pauses = engine_llamacpp._Trouble(), list[float]()
    trouble.require_over()
    for _ in range(9):
        trouble.note("it is broken")
        with pytest.raises(EngineUnavailableError, match="it is broken"):
            trouble.require_over()
        pauses.append(trouble._until - clock.now)
        clock.now = trouble._until
        trouble.require_over()
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    trouble.clear()
    trouble.note("it is broken")
    assert trouble._until == clock.now + 60


async def test_generates_streams_and_leaves_the_event_loop_free(
    runner: EngineRunner,
) -> None:
    sink = WatchedSink()
    watching = asyncio.create_task(sink.watch())
    work = inference({"prompt": "Write one sentence about the sea.", "max_tokens": 16, "temperature": 0})
    result = await runner.run(work, sink)
    watching.cancel()

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
    # Of a loop that is held up they are two at most; how many more there are is the machine's to say.
    _, loading, generating = sink.turns
    assert min(loading, generating) > 5, sink.turns


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
    engine = LlamaCppEngine(bundled_model())
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


@pytest.mark.asyncio(loop_scope="module")
async def test_four_calls_are_answered_beside_each_other(warm: EngineRunner) -> None:
    sinks = [RecordingSink() for _ in range(4)]
    calls = [asyncio.create_task(warm.run(inference(LONG_STORY), sink)) for sink in sinks]
    for sink in sinks:
        await sink.wait_for_token(3)
    assert not [call for call in calls if call.done()]
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.asyncio(loop_scope="module")
async def test_an_answer_keeps_to_a_schema_and_a_seed_and_says_how_likely_it_was(warm: EngineRunner) -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 12}, "legs": {"type": "integer", "maximum": 9}},
        "required": ["name", "legs"],
        "additionalProperties": False,
    }
    asked: JsonObject = {
        "messages": [{"role": "developer", "content": "You make animals up."}, {"role": "user", "content": "Go on."}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "animal", "schema": schema}},
        "seed": 7,
        "logprobs": True,
        "max_tokens": 120,
    }
    first, again = [await warm.run(inference(asked), RecordingSink()) for _ in range(2)]
    assert isinstance(first.payload, dict)
    assert isinstance(again.payload, dict)
    animal = json.loads(str(first.payload["response"]))
    assert animal.keys() == {"name", "legs"}
    assert first.payload["response"] == again.payload["response"]
    assert first.payload["logprobs"]


@pytest.mark.asyncio(loop_scope="module")
async def test_what_tools_answered_is_read(warm: EngineRunner) -> None:
    call: JsonObject = {"id": "1", "type": "function", "function": {"name": "legs", "arguments": '{"of": "ant"}'}}
    asked: JsonObject = {
        "messages": [
            {"role": "user", "content": "How many legs has an ant?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": "six"},
        ],
        "tools": [{"type": "function", "function": {"name": "legs", "parameters": {"type": "object"}}}],
        "max_tokens": 4,
    }
    answer = await warm.run(inference(asked), RecordingSink())
    assert answer.completion_tokens
    assert answer.prompt_tokens is not None
    # Tools, the call and its answer are in the prompt, which the question alone would not fill.
    assert answer.prompt_tokens > 120


async def test_a_file_of_the_provider_s_is_served_by_the_name_in_it(tmp_path: Path) -> None:
    bundled = bundled_model()
    assert bundled is not None
    file = tmp_path / "mine.gguf"
    file.symlink_to(bundled.file)
    (runner,) = build_runners(settings(model=file))[:1]
    (name,) = (await runner.probe()).models
    answer = await runner.run(inference({"prompt": "Hi", "max_tokens": 2}, model=name), RecordingSink())
    await runner.aclose()
    assert "135M" in name
    assert answer.completion_tokens == 2


async def test_a_file_that_llama_cpp_refuses_is_the_engine_s_failure(tmp_path: Path) -> None:
    file = tmp_path / "empty.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))
    (runner,) = build_runners(settings(model=file))[:1]
    found = await runner.probe()
    with pytest.raises(RunFailed, match="the model did not load") as failure:
        await runner.run(inference({"prompt": "Hi"}), RecordingSink())
    await runner.aclose()
    assert failure.value.category == ErrorCategory.ENGINE
    assert str(tmp_path) not in str(failure.value)
    assert not found.available
    assert found.reason.startswith("the model did not load")


async def test_a_caller_that_leaves_does_not_stop_the_loading() -> None:
    engine, others = LlamaCppEngine(bundled_model()), children()
    waiting = asyncio.create_task(engine.prepare())
    processes = await asyncio.to_thread(eventually, lambda: children() - others, "the engine's process", 30)
    waiting.cancel()
    await asyncio.wait({waiting})
    await engine.prepare()
    loaded = engine.pid
    await engine.aclose()
    assert {loaded} == processes
    assert children() == others


async def test_unknown_model_is_refused(runner: EngineRunner) -> None:
    with pytest.raises(RunFailed, match="not served here"):
        await runner.run(inference({"prompt": "Hi"}, model="other/Model-7B"), RecordingSink())
