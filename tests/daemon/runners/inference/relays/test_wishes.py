"""An engine that passes over what a chat asks for is told so by a 400, and its caller never reads a 200 without it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dc1.daemon.runners.base import EngineCall, RunFailed
from dc1.daemon.runners.inference.event_stream import Event, EventReader
from dc1.daemon.runners.inference.forced_calls import ForcedCallRelay, relay_of
from dc1.daemon.runners.inference.relays.relay import EventRelay
from dc1.domain.base.json_types import JsonObject
from dc1.domain.errors import engine_refusals
from dc1.domain.jobs.states import ErrorCategory

CHAT = "/v1/chat/completions"
LOGPROBS: JsonObject = {"logprobs": True}
OBJECT: JsonObject = {"response_format": {"type": "json_object"}}
SCHEMA: JsonObject = {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "array"}}}}
TOOLS: JsonObject = {"tools": [{"type": "function", "function": {"name": name}} for name in ("f", "g")]}
MUST: JsonObject = {**TOOLS, "tool_choice": "required"}
NAMED: JsonObject = {**TOOLS, "tool_choice": {"type": "function", "function": {"name": "f"}}}


def allowed(mode: str, *names: str) -> JsonObject:
    tools: Any = [{"type": "function", "function": {"name": name}} for name in names]
    return {**TOOLS, "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}}


def calls(name: str) -> JsonObject:
    return {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": name, "arguments": "{}"}}]}


def says(text: str, **choice: Any) -> JsonObject:
    return {"delta": {"content": text}, **choice}


def heard(asked: JsonObject, *choices: JsonObject, stream: bool = True) -> tuple[list[str], RunFailed | None]:
    """What is told of an answer, and the refusal that it ended with."""
    told: list[str] = []

    async def send(event: str, _text: str, _is_last: bool) -> None:
        told.append(event)

    async def body() -> AsyncIterator[bytes]:
        for choice in choices:
            said = json.dumps({"choices": [{"index": 0, **choice}]}).encode()
            yield b"data: %s\n\n" % said if stream else said
        if stream:
            yield b"data: [DONE]\n\n"

    async def read() -> None:
        relay = EventRelay(EngineCall(CHAT, json.dumps({"messages": [], "stream": stream, **asked}), 50), "m", send)
        async for event in EventReader(body()).events():
            await relay.take(event)
        await relay.end()

    try:
        asyncio.run(read())
    except RunFailed as failed:
        return told, failed
    return [event for event in told if event], None


ROLE = says("", finish_reason=None)
STOP: JsonObject = {"delta": {}, "finish_reason": "stop"}
CUT: JsonObject = {"delta": {}, "finish_reason": "length"}
PASSED_OVER: dict[str, tuple[JsonObject, list[JsonObject]]] = {
    "logprobs": (LOGPROBS, [says("Hi")]),
    "response_format": (OBJECT, [says("\n"), says("Sure: ")]),
    "response_format, fenced": (SCHEMA, [says("```python\nprint()\n```")]),
    "response_format, half a fence": (OBJECT, [says("``"), STOP]),
    "guided_json": ({"guided_json": {"type": "object"}}, [says("Hi")]),
    "structured_outputs": ({"structured_outputs": {"json": {}}}, [says("Hi")]),
    "tool_choice, none": ({**TOOLS, "tool_choice": "none"}, [{"delta": calls("f")}]),
    "tool_choice, another": (NAMED, [{"delta": calls("g")}]),
    "tool_choice, not allowed": (allowed("auto", "g"), [{"delta": calls("f")}]),
    "tool called, required": (MUST, [says("I would"), STOP]),
    "tool called, named": (NAMED, [says("I would"), says(" call f"), STOP]),
    "tool called, allowed": (allowed("required", "f"), [says("I would")]),
    "audio": ({"modalities": ["text", "audio"]}, [says("Hi"), STOP]),
    "function_call": ({"function_call": {"name": "f"}}, [says("Hi"), STOP]),
}


@pytest.mark.parametrize("case", PASSED_OVER)
def test_nothing_is_told_of_a_stream_without_what_was_asked_for(case: str) -> None:
    asked, said = PASSED_OVER[case]
    told, failed = heard(asked, ROLE, *said)
    assert told == []
    assert failed is not None
    assert (case.partition(",")[0] in failed.message, failed.category) == (True, ErrorCategory.INVALID_PARAMS)
    assert failed.refusal == engine_refusals.EngineRefusal(400)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (LOGPROBS, [says("Hi", logprobs={"content": []}), STOP]),
        ({"logprobs": False, "response_format": {"type": "text"}, "tool_choice": "auto"}, [says("Hi"), STOP]),
        (OBJECT, [says(" "), says('\n{"a'), says('": 1}'), STOP]),
        (SCHEMA, [says("[1]"), STOP]),
        (OBJECT, [{"delta": {"reasoning_content": "Hm"}}, says("{}"), STOP]),
        (OBJECT, [{"delta": {"refusal": "No"}}, STOP]),
        (MUST, [says("I call"), {"delta": calls("f")}, STOP]),
        (MUST, [says("I call"), CUT]),
        (
            NAMED,
            [{"delta": calls("f")}, {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": ""}}]}}, STOP],
        ),
        (allowed("auto", "f"), [says("No need"), STOP]),
        (allowed("required", "f"), [{"delta": calls("f")}, STOP]),
        # What engines do that pass over nothing.
        (LOGPROBS, [{"delta": {"reasoning_content": "Hm"}, "logprobs": {"content": []}}, says("Hi"), STOP]),
        (allowed("auto", "fetch"), [{"delta": calls("fe")}, {"delta": calls("tch")}, STOP]),
        (LOGPROBS, [says("\ufffd", finish_reason="length")]),
        ({**OBJECT, "echo": True}, [says("Write JSON: "), says("{}"), STOP]),
        ({**OBJECT, **TOOLS}, [says("I call f"), {"delta": calls("f")}, STOP]),
        (OBJECT, [says("<th"), says("ink>Hm</think>"), says("{}"), STOP]),
    ],
)
def test_with_it_all_is_told(asked: JsonObject, said: list[JsonObject]) -> None:
    told, failed = heard(asked, ROLE, *said)
    assert failed is None
    assert len(told) == 1 + len(said)


@pytest.mark.parametrize(
    ("asked", "said", "told"),
    [
        (LOGPROBS, [ROLE, says("Hi", logprobs={"content": []}), says("!")], [0, 2, 3]),
        (OBJECT, [ROLE, says("\n"), says("{"), says("}")], [0, 0, 3, 4]),
        (MUST, [ROLE, says("I call"), {"delta": calls("f")}, says("!")], [0, 0, 3, 4]),
        ({}, [ROLE, says("Hi")], [1, 2]),
    ],
)
async def test_nothing_is_held_back_that_cannot_turn_out_to_be_refused(
    asked: JsonObject, said: list[JsonObject], told: list[int]
) -> None:
    events: list[str] = []

    async def send(event: str, _text: str, _is_last: bool) -> None:
        events.append(event)

    relay = EventRelay(EngineCall(CHAT, json.dumps({"messages": [], "stream": True, **asked}), 50), "m", send)
    found = []
    for choice in said:
        value = {"choices": [{"index": 0, **choice}]}
        await relay.take(Event(json.dumps(value), value, is_whole=False))
        found.append(len(events))
    assert found == told


@pytest.mark.parametrize(
    ("asked", "message", "named"),
    [
        (LOGPROBS, {"content": "Hi"}, "logprobs"),
        (OBJECT, {"content": '{"a": 1'}, "response_format"),
        (SCHEMA, {"content": "[1] is it"}, "response_format"),
        (NAMED, calls("g"), "tool_choice"),
    ],
)
def test_so_is_an_answer_in_one_piece(asked: JsonObject, message: JsonObject, named: str) -> None:
    _, failed = heard(asked, {"message": message, "finish_reason": "stop"}, stream=False)
    assert failed is not None
    assert f"passes over {named}" in failed.message
    # What was cut at its length has no end, and of llama.cpp the marks that it takes away from what is whole.
    for text in ('{"a": 1', "\n```json\n"):
        told, failed = heard(OBJECT, {"message": {"content": text}, "finish_reason": "length"}, stream=False)
        assert (len(told), failed) == (1, None)


@pytest.mark.parametrize(
    ("asked", "text"),
    [({"stop": ["}"]}, '{"a": 1'), ({}, '{"a": "1\n2"}'), ({}, '<think>Hm</think>{"a": 1}'), (TOOLS, "No need")],
)
def test_json_is_taken_as_engines_may_honestly_have_it(asked: JsonObject, text: str) -> None:
    message: JsonObject = {"message": {"content": text}, "finish_reason": "stop"}
    told, failed = heard({**OBJECT, **asked}, message, stream=False)
    assert (len(told), failed) == (1, None)


async def nothing(_event: str, _text: str, _is_last: bool) -> None:
    pass


def test_llama_cpp_is_given_the_tools_alone_that_are_left_to_its_model() -> None:
    """It takes `allowed_tools` for no wish at all."""

    def relay(asked: JsonObject) -> EventRelay:
        return relay_of(EngineCall(CHAT, json.dumps({"messages": [], **asked}), 50), "m", nothing)

    free = relay(allowed("auto", "g"))
    body = json.loads(free.body)
    assert not isinstance(free, ForcedCallRelay)
    assert (body["tool_choice"], [tool["function"]["name"] for tool in body["tools"]]) == ("auto", ["g"])
    forced = relay(allowed("required", "g"))
    assert isinstance(forced, ForcedCallRelay)
    assert '"const":"f"' not in forced.body
    with pytest.raises(RunFailed, match="none of the tools"):
        relay(allowed("required", "h"))
