"""OpenAI's Responses API in chat's words and back (contract 6.2)."""

import json
from typing import Any

import pytest

from dc1.domain.errors import ApiError
from dc1.domain.inference.dialects.responses_request import ResponsesCall, read_responses
from dc1.domain.inference.dialects.responses_stream import ResponsesStream, response_of
from tests.domain.inference.dialects.chunks import THOUGHT_AND_CALLED, USAGE, WHOLE, chunk, tool

MIB = 1024 * 1024
FUNCTION = {"type": "function", "name": "find", "parameters": {"type": "object"}, "strict": True}
SPENT = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 6},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 13,
}


def read(**changes: Any) -> ResponsesCall:
    return read_responses(json.dumps({"model": "a/model", "input": "Hi", **changes}).encode(), MIB)


def chat(**changes: Any) -> Any:
    return json.loads(read(**changes).chat.body)


def events(call: ResponsesCall, *chunks: Any) -> list[Any]:
    stream = ResponsesStream(call)
    return [event for each in chunks for event in stream.take(each)] + list(stream.end())


def test_what_means_the_same_is_passed_on() -> None:
    schema = {"type": "json_schema", "name": "sea", "schema": {"type": "object"}, "strict": True}
    assert chat(
        instructions="Be brief.",
        max_output_tokens=64_000,
        temperature=0.5,
        text={"format": schema, "verbosity": "low"},
        reasoning={"effort": "low", "summary": None},
        tools=[FUNCTION],
        tool_choice={"type": "function", "name": "find"},
        stream=True,
        store=False,
        prompt_cache_key="k",
    ) == {
        "model": "a/model",
        "stream": True,
        "prompt_cache_key": "k",
        "temperature": 0.5,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "max_tokens": 8192,
        "tools": [
            {"type": "function", "function": {name: FUNCTION[name] for name in ("name", "parameters", "strict")}}
        ],
        "tool_choice": {"type": "function", "function": {"name": "find"}},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "sea", "schema": {"type": "object"}, "strict": True},
        },
        "verbosity": "low",
        "reasoning_effort": "low",
        "stream_options": {"include_usage": True},
    }


def test_tools_that_are_left_to_a_model_are_named_as_chats_do() -> None:
    wish = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "find"}]}
    tools = [{"type": "function", "function": {"name": "find"}}]
    assert chat(tools=[FUNCTION], tool_choice=wish)["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": tools},
    }


def test_a_conversation_with_tools_and_pictures() -> None:
    url = "https://example.sa/sea.png"
    asked = chat(
        instructions="Be brief.",
        input=[
            {"role": "developer", "content": [{"type": "input_text", "text": "And kind."}]},
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": url}],
            },
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look"}]},
            {"type": "function_call", "call_id": "call-a", "name": "find", "arguments": '{"q":1}'},
            {"type": "function_call", "call_id": "call-b", "name": "list", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call-a", "output": "sea"},
            {"type": "function_call_output", "call_id": "call-b", "output": [{"type": "input_text", "text": "sky"}]},
        ],
    )

    def call(call_id: str, name: str, arguments: str) -> Any:
        return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}

    assert asked["messages"] == [
        {"role": "system", "content": "Be brief.\n\nAnd kind."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": url}}],
        },
        {
            "role": "assistant",
            "content": "I look",
            "tool_calls": [call("call-a", "find", '{"q":1}'), call("call-b", "list", "{}")],
        },
        {"role": "tool", "tool_call_id": "call-a", "content": "sea"},
        {"role": "tool", "tool_call_id": "call-b", "content": "sky"},
    ]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"input": None}, "input"),
        ({"input": 7}, "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input.0.type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "content.0.image_url"),
        ({"input": [{"role": "assistant", "content": [{"type": "input_image", "image_url": "u"}]}]}, "input.0.content"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "maybe"}}, "tool_choice.mode"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_name(changes: Any, named: str) -> None:
    with pytest.raises(ApiError) as refusal:
        read(**changes)
    assert refusal.value.status == 400
    assert named in f"{refusal.value.message} {[fault.field for fault in refusal.value.fields]}"


def test_a_streamed_answer_tells_every_step_and_ends_with_the_whole() -> None:
    call = read(tools=[FUNCTION], temperature=0.5)
    told = events(call, *THOUGHT_AND_CALLED)
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    steps = {
        "reasoning_text": ["content_part.added", "reasoning_text.delta", "reasoning_text.done", "content_part.done"],
        "text": ["content_part.added", *["output_text.delta"] * 2, "output_text.done", "content_part.done"],
        "find": [*["function_call_arguments.delta"] * 2, "function_call_arguments.done"],
        "list": ["function_call_arguments.delta", "function_call_arguments.done"],
    }
    items = [kind for step in steps.values() for kind in ("output_item.added", *step, "output_item.done")]
    assert [event["type"].removeprefix("response.") for event in told] == [
        "created",
        "in_progress",
        *items,
        "completed",
    ]
    assert [event["delta"] for event in told if "delta" in event] == ["Hm", "I ", "look", '{"q":', '"بحر"}', "{}"]
    whole = told[-1]["response"]
    assert [event["item"] for event in told if event["type"] == "response.output_item.done"] == whole["output"]
    assert whole == response_of(WHOLE, call)


def test_a_whole_answer() -> None:
    response = response_of(WHOLE, read(temperature=0.5, metadata={"a": "b"}))
    text = {"type": "output_text", "text": "I look", "annotations": [], "logprobs": []}

    def call(index: int, call_id: str, name: str, arguments: str) -> Any:
        of_call = {"call_id": call_id, "name": name, "arguments": arguments}
        return {"id": f"fc_job-1_{index}", "type": "function_call", "status": "completed", **of_call}

    assert response["output"] == [
        {"id": "rs_job-1_0", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm"}]},
        {"id": "msg_job-1_1", "type": "message", "status": "completed", "role": "assistant", "content": [text]},
        call(2, "call-a", "find", '{"q":"بحر"}'),
        call(3, "call-b", "list", "{}"),
    ]
    said = {
        name: response[name] for name in ("id", "status", "store", "temperature", "metadata", "usage", "created_at")
    }
    assert said == {
        "id": "job-1",
        "status": "completed",
        "store": False,
        "temperature": 0.5,
        "metadata": {"a": "b"},
        "usage": SPENT,
        "created_at": 1774206010,
    }


def test_an_answer_that_was_cut_is_incomplete() -> None:
    last = events(read(), chunk({"content": "I"}), chunk({}, "length", usage=USAGE))[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["status"] for item in last["response"]["output"] if "status" in item] == ["incomplete"]


def test_an_answer_that_fails_says_so_with_what_there_is() -> None:
    stream = ResponsesStream(read())
    list(stream.take(chunk({"content": "I"})))
    (event,) = stream.failed("The provider left", chunk({}))
    response: Any = event["response"]
    assert (event["type"], response["status"]) == ("response.failed", "failed")
    assert response["error"] == {"code": "server_error", "message": "The provider left"}
    assert response["output"][0]["content"][0]["text"] == "I"


def test_a_call_begins_with_all_of_its_name() -> None:
    said = [chunk(tool(0, "", id="call-a", name="get_")), chunk(tool(0, "{}", id="call-a", name="weather"))]
    told = events(read(), *said, chunk({}, "tool_calls"))
    (begun,) = [event["item"] for event in told if event["type"] == "response.output_item.added"]
    (item,) = told[-1]["response"]["output"]
    assert begun["name"] == item["name"] == "get_weather"
    assert item["arguments"] == "{}"


def test_a_refusal_is_a_part_of_its_own() -> None:
    told = events(read(), chunk({"refusal": "No."}), chunk({}, "stop"))
    assert told[-1]["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]
    assert "response.refusal.delta" in [event["type"] for event in told]


def test_what_fails_before_anything_was_said_begins_all_the_same() -> None:
    told: list[Any] = list(ResponsesStream(read()).failed("Timed out", chunk({})))
    assert [event["type"] for event in told] == ["response.created", "response.in_progress", "response.failed"]
    assert {event["response"]["id"] for event in told} == {"job-1"}


def test_the_one_call_of_before_there_were_several_is_told() -> None:
    message: Any = {"function_call": {"name": "find", "arguments": "{}"}}
    output: Any = response_of({"choices": [{"message": message}]}, read())["output"]
    (item,) = output
    assert (item["type"], item["name"], item["arguments"]) == ("function_call", "find", "{}")


@pytest.mark.parametrize(
    "said", [{"content": "x" * 2**20}, {"reasoning_content": "x" * 2**20}, tool(0, "x" * 2**20, id="c", name="find")]
)
def test_no_more_is_kept_of_an_answer_than_it_can_be(said: Any) -> None:
    with pytest.raises(ApiError, match="longer than any"):
        events(read(), *[chunk(said)] * 5)
