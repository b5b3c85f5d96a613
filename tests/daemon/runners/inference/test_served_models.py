"""How often an engine is asked for its models: at every look, and not at every call."""

import pytest

from dc1.daemon.runners.base import RunFailed, Work
from dc1.daemon.runners.inference.engine import EngineRunner
from dc1.daemon.runners.inference.engine_openai import OpenAIEngine
from dc1.domain.jobs.states import JobType
from tests.daemon.runners.openai_server import MODEL, OpenAIServer
from tests.daemon.runners.sinks import RecordingSink

NEWER = "acme/Chat-8B"


def work(model: str | None = MODEL) -> Work:
    return Work("job-1", 1, JobType.VLLM_SERVE, 30, model=model, params={"prompt": "Hi"})


async def test_calls_go_by_the_last_look() -> None:
    async with OpenAIServer().serving() as server:
        runner = EngineRunner(OpenAIEngine(server.url))
        await runner.probe()
        for model in (MODEL, MODEL.upper(), None):
            await runner.run(work(model), RecordingSink())
        await runner.aclose()
    assert server.looks == 1


async def test_a_model_that_the_last_look_did_not_find_is_looked_for_again() -> None:
    async with OpenAIServer().serving() as server:
        runner = EngineRunner(OpenAIEngine(server.url))
        await runner.probe()
        server.models = [{"id": NEWER}]
        await runner.run(work(NEWER), RecordingSink())
        with pytest.raises(RunFailed, match="not served here"):
            await runner.run(work(MODEL), RecordingSink())
        await runner.aclose()
    assert [request["model"] for request in server.requests] == [NEWER]


async def test_after_a_failure_the_engine_is_asked_anew() -> None:
    async with OpenAIServer().serving() as server:
        runner = EngineRunner(OpenAIEngine(server.url))
        await runner.probe()
        server.models, server.refusal = [{"id": NEWER}], (404, '{"error": {"message": "The model does not exist."}}')
        with pytest.raises(RunFailed, match="does not exist"):
            await runner.run(work(None), RecordingSink())
        server.refusal = None
        await runner.run(work(None), RecordingSink())
        await runner.aclose()
    assert [request["model"] for request in server.requests] == [MODEL, NEWER]
