"""What goes wrong in one call is the affair of that call alone."""

import asyncio
import json

import pytest

from dc1.daemon.runners.base import EngineCall, RunFailed
from dc1.daemon.runners.inference import engine_openai, event_stream
from dc1.daemon.runners.inference.engine_openai import OpenAIEngine
from dc1.daemon.runners.inference.refusals import refusal
from dc1.domain.base.json_types import JsonObject
from dc1.domain.errors.engine_refusals import EngineRefusal
from dc1.domain.jobs.states import ErrorCategory
from tests.daemon.runners.openai_server import OpenAIServer
from tests.daemon.runners.sinks import RecordingSink


def call(**changes: object) -> EngineCall:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True, **changes}
    return EngineCall("/v1/chat/completions", json.dumps(body), 100)


async def test_options_that_one_caller_gets_wrong_are_no_reason_to_leave_the_usage_out_for_all() -> None:
    async with OpenAIServer(refusal=(400, '{"message": "stream_options.x: no such option"}')).serving() as server:
        engine = OpenAIEngine(server.url)
        try:
            with pytest.raises(RunFailed, match="no such option"):
                await engine.call("m", call(stream_options={"x": 1}), RecordingSink().event)
            server.refusal = None
            completion = await engine.call("m", call(), RecordingSink().event)
        finally:
            await engine.aclose()
    assert server.requests[-1]["stream_options"] == {"include_usage": True}
    assert (completion.prompt_tokens, completion.completion_tokens) == (7, 5)


async def test_a_caller_that_reads_slowly_takes_no_time_from_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_openai, "_AFTERWARDS_SECONDS", 0.2)
    heard: list[str] = []

    async def slowly(event: str, _: str, __: bool) -> None:
        # Longer than the engine has once its text has ended.
        await asyncio.sleep(0.3 if '"stop"' in event or '"usage"' in event else 0)
        heard.append(event)

    async with OpenAIServer().serving() as server:
        engine = OpenAIEngine(server.url)
        try:
            completion = await engine.call("m", call(), slowly)
        finally:
            await engine.aclose()
    assert (completion.prompt_tokens, completion.completion_tokens) == (7, 5)
    assert '"usage"' in heard[-2]


@pytest.mark.parametrize(
    "retry_after",
    ["Mon, 01 Jan 2024 00:00:00 +99999999999999999", "Mon, 01 Jan 99999999999999 0:0:0", "9" * 5000, "-1", "\xb2", ""],
)
def test_any_wait_that_an_engine_asks_for_is_a_refusal(retry_after: str) -> None:
    failure = refusal(429, b"{}", {"retry-after": retry_after})
    assert failure.refusal is not None
    assert failure.refusal.status == 429


@pytest.mark.parametrize(
    ("asked", "status"), [({"n": 2}, 413), ({"logprobs": True}, 413), ({"logprobs": False, "n": 1}, None)]
)
async def test_whoever_asks_for_more_than_is_carried_is_told_so_and_no_engine_is_blamed(
    monkeypatch: pytest.MonkeyPatch, asked: JsonObject, status: int | None
) -> None:
    """Some 128 answers of 8,192 tokens are more than any answer may be; three of them would take an engine out."""
    monkeypatch.setattr(event_stream, "MOST_ANSWER_BYTES", 100_000)
    line = b'data: {"x": "' + b"y" * 60_000 + b'"}\n'
    async with OpenAIServer(endless=("200 chat/completions", line)).serving() as server:
        engine = OpenAIEngine(server.url)
        try:
            with pytest.raises(RunFailed) as failed:
                await engine.call("m", call(**asked), RecordingSink().event)
        finally:
            await engine.aclose()
    assert failed.value.category is (ErrorCategory.ENGINE if status is None else ErrorCategory.INVALID_PARAMS)
    assert failed.value.refusal == (None if status is None else EngineRefusal(status))
