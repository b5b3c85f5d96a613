"""Answers of one piece: as the engine gives them, or the engine's failure where they are none."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc1.daemon.runners.base import EngineCall, RunFailed
from dc1.daemon.runners.inference.engine import Completion
from dc1.daemon.runners.inference.event_stream import EventReader
from dc1.daemon.runners.inference.infill import InfillRelay, heeded, llamacpp_text
from dc1.daemon.runners.inference.relays.relay import EventRelay, WholeRelay
from dc1.domain.base.json_members import members
from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.states import ErrorCategory
from tests.daemon.runners.inference.json_texts import VALUES, ObjectText, objects

EMBEDDINGS, RERANK, COMPLETIONS = "/v1/embeddings", "/v1/rerank", "/v1/completions"
CHAT = "/v1/chat/completions"
INPUTS: JsonObject = {"model": "a", "input": ["x", "yy"]}
DOCUMENTS: JsonObject = {"model": "a", "query": "q", "documents": ["x", "y", "z"], "top_n": 2}
VECTOR: JsonObject = {"embedding": [1.0, 2.0]}


def heard(relay: Any, said: bytes) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield said

    async def read() -> None:
        reader = EventReader(body())
        async for event in reader.events():
            await relay.take(event)
            if relay.is_cut:
                break
        await relay.end()

    asyncio.run(read())


def told(path: str, asked: JsonObject, said: bytes) -> tuple[list[str], Completion]:
    events: list[str] = []

    async def send(event: str, _text: str, is_last: bool) -> None:
        events.append(event)
        assert is_last

    relay = WholeRelay(EngineCall(path, json.dumps(asked), 0), "m", send)
    heard(relay, said)
    return events, relay.answer.completion("cpu")


@settings(max_examples=40)
@given(
    objects({"data": st.just('[{"index": 1, "embedding": "AAAA"}, {"index": 0, "embedding": [1e-3]}]'), "x": VALUES})
)
def test_embeddings_pass_as_they_are(said: ObjectText) -> None:
    if "data" not in said.keys:
        with pytest.raises(RunFailed, match="no embedding for each of 2 inputs"):
            told(EMBEDDINGS, INPUTS, said.text.encode())
        return
    assert told(EMBEDDINGS, INPUTS, said.text.encode())[0] == [said.text]


@pytest.mark.parametrize(
    ("usage", "paid"),
    [({"prompt_tokens": 3}, 3), ({"total_tokens": 4}, 4), (None, 1), ({"prompt_tokens": -1}, 1), ([1], 1)],
)
def test_what_is_read_is_counted_where_the_engine_does_not(usage: Any, paid: int) -> None:
    answer = {"data": [VECTOR, VECTOR], "usage": usage}
    completion = told(EMBEDDINGS, INPUTS, json.dumps(answer).encode())[1]
    assert (completion.prompt_tokens, completion.completion_tokens, completion.kind) == (paid, 0, "embeddings")


@pytest.mark.parametrize(
    ("path", "asked", "answer"),
    [
        (EMBEDDINGS, INPUTS, {"data": [VECTOR]}),
        (EMBEDDINGS, INPUTS, {"data": [VECTOR] * 3}),
        (EMBEDDINGS, INPUTS, {"data": [VECTOR, {"embedding": []}]}),
        (EMBEDDINGS, INPUTS, {"data": [{**VECTOR, "index": 0}, {**VECTOR, "index": 0}]}),
        (EMBEDDINGS, INPUTS, {"choices": []}),
        (EMBEDDINGS, {**INPUTS, "input": [1, 2, 3]}, {"data": [VECTOR] * 3}),
        (RERANK, DOCUMENTS, {"results": [{"index": 0, "relevance_score": 1}]}),
        (RERANK, DOCUMENTS, {"results": [{"index": at, "relevance_score": 1} for at in (0, 3)]}),
        (RERANK, DOCUMENTS, {"results": [{"index": at, "relevance_score": 1} for at in (1, 1)]}),
        (RERANK, DOCUMENTS, {"results": [{"index": at} for at in (0, 1)]}),
        (RERANK, DOCUMENTS, {}),
    ],
)
def test_what_is_no_answer_is_the_engine_s_failure(path: str, asked: JsonObject, answer: Any) -> None:
    with pytest.raises(RunFailed) as failed:
        told(path, asked, json.dumps(answer).encode())
    assert (failed.value.category, failed.value.transient) == (ErrorCategory.ENGINE, True)


@pytest.mark.parametrize("vector", [[1.0] * 8, "A" * 43 + "="])
def test_other_dimensions_than_were_asked_for_are_a_400(vector: Any) -> None:
    said = json.dumps({"data": [{"embedding": vector}]}).encode()
    asked: JsonObject = {"model": "a", "input": "x"}
    assert told(EMBEDDINGS, {**asked, "dimensions": 8}, said)[0]
    with pytest.raises(RunFailed, match="embeddings of 8 numbers and not of 4") as failed:
        told(EMBEDDINGS, {**asked, "dimensions": 4}, said)
    assert failed.value.category is ErrorCategory.INVALID_PARAMS


def text_relay(**asked: Any) -> tuple[str, EventRelay, list[str]]:
    events: list[str] = []

    async def send(event: str, _text: str, _is_last: bool) -> None:
        events.append(event)

    body = json.dumps({"model": "a", "prompt": "def f():", "zz": 1.0, **asked})
    path, relay = llamacpp_text(EngineCall(COMPLETIONS, body, 10), "m", send)
    return path, relay, events


def test_llama_cpp_fills_in_by_its_own_path() -> None:
    path, relay, events = text_relay(suffix="return 1", stream=True)
    assert (path, type(relay), relay.asking) == ("infill", InfillRelay, relay.body)
    asked = {name: member.value for name, member in members(relay.body).items()}
    assert asked == {
        "model": "m",
        "prompt": "",
        "zz": 1.0,
        "suffix": "return 1",
        "stream": True,
        "input_prefix": "def f():",
        "input_suffix": "return 1",
    }
    end = {"content": "", "stop": True, "stop_type": "limit", "tokens_evaluated": 7, "tokens_predicted": 1}
    heard(
        relay, b"".join(b"data: %s\n\n" % json.dumps(each).encode() for each in ({"content": " x", "stop": False}, end))
    )
    said = [json.loads(event) for event in events if event]
    assert [each["choices"][0]["text"] for each in said] == [" x", ""]
    assert said[-1]["choices"][0]["finish_reason"] == "length"
    assert said[-1]["usage"] == {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
    assert (relay.answer.is_finished, relay.answer.completion("cpu").text) == (True, " x")


def test_what_llama_cpp_would_pass_over_is_a_400() -> None:
    for asked in ({"echo": True}, {"suffix": "x", "n": 2}):
        with pytest.raises(RunFailed) as failed:
            text_relay(**asked)
        assert failed.value.category is ErrorCategory.INVALID_PARAMS
    assert text_relay(suffix="", echo=False)[0] == "v1/completions"


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "a"}}, "modalities"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"guided_json": {"type": "object"}}, "guided_json"),
    ],
)
def test_so_is_it_in_a_chat(asked: JsonObject, named: str) -> None:
    """6.2: never 200 without what was asked for."""
    body: JsonObject = {"messages": [], "modalities": ["text"], "functions": [], "audio": None, "guided_regex": ""}
    heeded(EngineCall(CHAT, json.dumps(body), 10))
    with pytest.raises(RunFailed, match=f"passes over {named}") as failed:
        heeded(EngineCall(CHAT, json.dumps(body | asked), 10))
    assert failed.value.category is ErrorCategory.INVALID_PARAMS


@pytest.mark.parametrize(
    ("asked", "named"),
    [({"modalities": ["text", "audio"]}, "audio"), ({"function_call": {"name": "f"}}, "function_call")],
)
def test_an_engine_that_may_know_it_is_asked_and_its_answer_looked_at(asked: JsonObject, named: str) -> None:
    def answered(**message: Any) -> list[str]:
        events: list[str] = []

        async def send(event: str, _text: str, _is_last: bool) -> None:
            events.append(event)

        body = json.dumps({"model": "a", "messages": [], **asked})
        choice = {"index": 0, "message": {"content": "Hi", **message}, "finish_reason": "stop"}
        heard(EventRelay(EngineCall(CHAT, body, 10), "m", send), json.dumps({"choices": [choice]}).encode())
        return events

    assert len(answered(**{named: {"id": "a"}})) == 1
    with pytest.raises(RunFailed, match=f"passes over {named}"):
        answered()


def test_a_text_is_cut_where_it_has_more_tokens_than_were_paid_ahead() -> None:
    _, relay, events = text_relay(stream=True)
    chunk = b'data: {"choices":[{"index":0,"text":"a","finish_reason":null}]}\n\n'
    with_half = chunk.replace(b'"a"', b'"b\\ud83d"')
    heard(relay, chunk * 3 + with_half + b'data: {"choices":[{"index":0,"text":"\\ude00"}]}\n\n' + chunk * 9)
    assert relay.is_cut
    said = [json.loads(event)["choices"][0] for event in events if event]
    assert "".join(choice["text"] for choice in said).startswith("aaab😀a")
    assert (said[-1]["text"], said[-1]["finish_reason"]) == ("", "length")


def test_llama_cpp_says_logprobs_of_tokens_alone() -> None:
    """It takes `top_logprobs` 0 for no logprobs, and an answer without them is refused."""
    asked: JsonObject = {"messages": [], "logprobs": True, "top_logprobs": 0}
    assert json.loads(heeded(EngineCall(CHAT, json.dumps(asked), 10)).body) == asked | {"top_logprobs": 1}
    call = EngineCall(CHAT, json.dumps(asked | {"logprobs": False}), 10)
    assert heeded(call) is call
