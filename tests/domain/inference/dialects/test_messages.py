"""Anthropic's Messages API in chat's words and back (contract 6.2)."""

import json
import time
from typing import Any

import pytest

from dc1.domain.base.json_types import JsonObject
from dc1.domain.errors import ApiError
from dc1.domain.inference.dialects.messages_answer import MessagesStream, message_of
from dc1.domain.inference.dialects.messages_request import MessagesCall, read_messages
from tests.domain.inference.dialects.chunks import THOUGHT_AND_CALLED, WHOLE, chunk, tool

MIB = 1024 * 1024
HELLO: dict[str, Any] = {"model": "a/model", "max_tokens": 32, "messages": [{"role": "user", "content": "Hi"}]}
SPENT = {"input_tokens": 3, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 6, "output_tokens": 4}
NOTHING = dict.fromkeys(SPENT, 0)


def read(**changes: Any) -> MessagesCall:
    return read_messages(json.dumps({**HELLO, **changes}).encode(), MIB)


def chat(**changes: Any) -> Any:
    return json.loads(read(**changes).chat.body)


def events(stream: MessagesStream, *chunks: JsonObject) -> list[JsonObject]:
    return [event for each in chunks for event in stream.take(each)] + list(stream.end())


def test_what_means_the_same_is_passed_on() -> None:
    assert chat(
        temperature=0.5, top_p=0.9, top_k=40, stop_sequences=["END"], stream=True, metadata={"user_id": "u"}
    ) == {
        "model": "a/model",
        "stream": True,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "messages": [{"role": "user", "content": "Hi"}],
        "stop": ["END"],
        "user": "u",
        "stream_options": {"include_usage": True},
        "max_tokens": 32,
    }


def test_a_conversation_with_tools_and_pictures() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}
    asked = chat(
        system=[
            {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "!"},
        ],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "Look"}, image]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm", "signature": "s"},
                    {"type": "text", "text": "I look"},
                    {"type": "tool_use", "id": "call-a", "name": "find", "input": {"q": "بحر"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "call-a",
                        "content": [{"type": "text", "text": "sea"}, image],
                    },
                    {"type": "text", "text": "Go on"},
                ],
            },
        ],
        tools=[{"name": "find", "description": "Finds", "input_schema": {"type": "object"}}],
        tool_choice={"type": "tool", "name": "find", "disable_parallel_tool_use": True},
    )
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    function = {"name": "find", "arguments": '{"q":"بحر"}'}
    assert asked["messages"] == [
        {"role": "system", "content": "Be brief.\n!"},
        {"role": "user", "content": [{"type": "text", "text": "Look"}, picture]},
        {
            "role": "assistant",
            "content": "I look",
            "tool_calls": [{"id": "call-a", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "call-a", "content": "sea"},
        {"role": "user", "content": [picture, {"type": "text", "text": "Go on"}]},
    ]
    described = {"name": "find", "description": "Finds", "parameters": {"type": "object"}}
    assert asked["tools"] == [{"type": "function", "function": described}]
    assert asked["tool_choice"] == {"type": "function", "function": {"name": "find"}}
    assert asked["parallel_tool_calls"] is False


def test_a_schema_of_the_answer() -> None:
    wanted = chat(output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}})["response_format"]
    assert wanted == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
    }


def test_more_tokens_than_are_carried_are_cut() -> None:
    assert chat(max_tokens=64_000)["max_tokens"] == 8192


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages.0.content.0.type"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file"}}]}]}, "source.type"),
        ({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "name": "f"}]}]}, "content.0.id"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0.type"),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
        ({"mcp_servers": [{}]}, "mcp_servers"),
        ({"system": 7}, "system"),
        ({"top_p": "much"}, "top_p"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_name(changes: Any, named: str) -> None:
    with pytest.raises(ApiError) as refusal:
        read(**changes)
    assert refusal.value.status == 400
    assert named in f"{refusal.value.message} {[fault.field for fault in refusal.value.fields]}"


def test_a_whole_answer() -> None:
    said = [
        {"type": "text", "text": "I look"},
        {"type": "tool_use", "id": "call-a", "name": "find", "input": {"q": "بحر"}},
        {"type": "tool_use", "id": "call-b", "name": "list", "input": {}},
    ]
    expected = {
        "id": "job-1",
        "type": "message",
        "role": "assistant",
        "model": "a/model",
        "content": said,
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": SPENT,
    }
    assert message_of(WHOLE, read()) == expected
    thinking = {"type": "thinking", "thinking": "Hm", "signature": ""}
    assert message_of(WHOLE, read(thinking={"type": "enabled", "budget_tokens": 1024}))["content"] == [thinking, *said]


@pytest.mark.parametrize(
    ("reason", "stop", "expected"),
    [
        ("stop", None, "end_turn"),
        ("length", None, "max_tokens"),
        ("content_filter", None, "refusal"),
        ("stop", "END", "stop_sequence"),
    ],
)
def test_why_an_answer_ends(reason: str, stop: str | None, expected: str) -> None:
    answer: Any = {"choices": [{"message": {"content": "x"}, "finish_reason": reason, "stop_reason": stop}]}
    assert message_of(answer, read(stop_sequences=["END"]))["stop_reason"] == expected


@pytest.mark.parametrize(
    "arguments", ['{"q":"\\ud800"}', "[" * 100_000, '{"q":' * 500 + "1" + "}" * 500, '{"q":1e999}', '{"q":NaN}', "[1]"]
)
def test_arguments_that_no_reader_could_use_are_told_as_they_were_written(arguments: str) -> None:
    called: JsonObject = {"id": "call-a", "function": {"name": "find", "arguments": arguments}}
    told = message_of({"choices": [{"message": {"tool_calls": [called]}}]}, read())
    use = {"type": "tool_use", "id": "call-a", "name": "find", "input": {"arguments": arguments}}
    assert told["content"] == [use]


def test_what_is_too_large_for_a_daemon_as_chat_is_refused() -> None:
    call = {"type": "tool_use", "id": "call-a", "name": "find", "input": {"q": '"' * (3 * MIB)}}
    sent = json.dumps({**HELLO, "messages": [{"role": "assistant", "content": [call]}]}).encode()
    # Within the bound of bodies, and twice as long as text in text.
    with pytest.raises(ApiError, match="too large"):
        read_messages(sent, 8 * MIB)


def test_a_streamed_answer() -> None:
    begun = {"id": "job-1", "type": "message", "role": "assistant", "model": "a/model", "content": []}
    start = {**begun, "stop_reason": None, "stop_sequence": None, "usage": NOTHING}

    def block(index: int, block: Any, *deltas: Any) -> list[Any]:
        return [
            {"type": "content_block_start", "index": index, "content_block": block},
            *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": index},
        ]

    def parts(*texts: str) -> list[Any]:
        return [{"type": "input_json_delta", "partial_json": text} for text in texts]

    texts = [{"type": "text_delta", "text": text} for text in ("I ", "look")]
    found = {"type": "tool_use", "id": "call-a", "name": "find", "input": {}}
    listed = {"type": "tool_use", "id": "call-b", "name": "list", "input": {}}
    assert events(MessagesStream(read(thinking={"type": "adaptive"})), *THOUGHT_AND_CALLED) == [
        {"type": "message_start", "message": start},
        *block(0, {"type": "thinking", "thinking": "", "signature": ""}, {"type": "thinking_delta", "thinking": "Hm"}),
        *block(1, {"type": "text", "text": ""}, *texts),
        *block(2, found, *parts('{"q":', '"بحر"}')),
        *block(3, listed, *parts("{}")),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": SPENT},
        {"type": "message_stop"},
    ]


def test_a_stream_that_says_nothing_is_a_message_without_blocks() -> None:
    kinds = [event["type"] for event in events(MessagesStream(read()), chunk({}, "stop"))]
    assert kinds == ["message_start", "message_delta", "message_stop"]


def test_pieces_of_several_calls_that_mix_are_told_one_call_after_the_other() -> None:
    pieces = (
        tool(0, '{"q":', id="call-a", name="find"),
        tool(1, '{"n"', id="call-b", name="list"),
        tool(2, "", id="call-c", name="end"),
        tool(0, '"x}"'),
        tool(1, ":1"),
        tool(0, "}"),
        tool(1, "}"),
    )
    stream = MessagesStream(read())
    told: list[Any] = [event for piece in pieces for event in stream.take(chunk(piece))]
    # What need not wait does not.
    assert (told[-1]["type"], told[-1]["index"]) == ("content_block_start", 2)
    told += stream.end()
    steps = [(event["type"].removeprefix("content_block_"), event["index"]) for event in told if "index" in event]
    assert steps == [
        *[("start", 0), ("delta", 0), ("delta", 0), ("delta", 0), ("stop", 0)],
        *[("start", 1), ("delta", 1), ("delta", 1), ("delta", 1), ("stop", 1)],
        *[("start", 2), ("stop", 2)],
    ]
    said = ["", "", ""]
    for event in told:
        if event["type"] == "content_block_delta":
            said[event["index"]] += event["delta"]["partial_json"]
    assert said == ['{"q":"x}"}', '{"n":1}', ""]


@pytest.mark.parametrize("pieces", [("get_", "weather"), ("get_weather", "get_weather"), ("get_weather", "")])
def test_a_call_begins_with_all_of_its_name(pieces: tuple[str, str]) -> None:
    first, second = pieces
    said: Any = events(
        MessagesStream(read()),
        chunk(tool(0, "", id="call-a", name=first)),
        chunk({"tool_calls": [{"index": 0, "function": {"name": second, "arguments": '{"q":'}}]}),
        chunk(tool(0, "1}")),
        chunk(tool(1, "", id="call-b", name="list")),
        chunk({}, "tool_calls"),
    )
    begun = [event["content_block"] for event in said if event["type"] == "content_block_start"]
    assert [(block["id"], block["name"]) for block in begun] == [("call-a", "get_weather"), ("call-b", "list")]
    told = [event["delta"]["partial_json"] for event in said if event["type"] == "content_block_delta"]
    assert "".join(told) == '{"q":1}'


def test_a_call_ends_with_its_object_however_it_is_cut() -> None:
    arguments = '{"a":[{"b":"}\\"}"}],"c":"\\\\"}'
    pieces = (tool(0, "", id="call-a", name="find"), tool(1, "{}", id="call-b", name="list"))
    stream = MessagesStream(read())
    told: list[Any] = [event for piece in pieces for event in stream.take(chunk(piece))]
    for letter in arguments:
        assert told[-1].get("index", 0) == 0
        told += stream.take(chunk(tool(0, letter)))
    assert (told[-1]["type"], told[-1]["index"]) == ("content_block_delta", 1)
    assert "".join(event["delta"]["partial_json"] for event in told if event.get("delta")) == f"{arguments}{{}}"


def test_a_call_of_many_pieces_is_read_once() -> None:
    stream = MessagesStream(read())
    list(stream.take(chunk(tool(0, '{"a":[{}', id="call-a", name="find"))))
    list(stream.take(chunk(tool(1, "{}", id="call-b", name="list"))))
    begun = time.thread_time()
    for _ in range(40_000):
        list(stream.take(chunk(tool(0, ",{}"))))
    # Read from its beginning with each piece it took half a minute of this thread.
    assert time.thread_time() - begun < 5


def test_names_without_end_are_told_as_far_as_an_answer_can_have_them() -> None:
    pieces = [chunk(tool(0, "", id="c0", name=f"{number:0500}")) for number in range(20)]
    said: Any = events(MessagesStream(read()), *pieces, chunk({}, "tool_calls"))
    (begun,) = [event["content_block"] for event in said if event["type"] == "content_block_start"]
    assert len(begun["name"]) == 1_500


def test_the_one_call_of_before_there_were_several_is_told() -> None:
    begun: Any
    ended: Any
    begun, ended = ({"function_call": {"name": "find", "arguments": said}} for said in ("", '{"q":1}'))
    said: Any = events(MessagesStream(read()), chunk(begun), chunk(ended), chunk({}, "function_call"))
    assert [event["content_block"]["name"] for event in said if event["type"] == "content_block_start"] == ["find"]
    message: Any = {"function_call": {"name": "find", "arguments": '{"q":1}'}}
    told: Any = message_of({"choices": [{"message": message}]}, read())
    assert told["stop_reason"] == "tool_use"
    assert [(each["name"], each["input"]) for each in told["content"]] == [("find", {"q": 1})]


def test_the_words_of_a_sound_are_told() -> None:
    message: Any = {"content": None, "audio": {"data": "AAAA", "transcript": "Hello"}}
    assert message_of({"choices": [{"message": message}]}, read())["content"] == [{"type": "text", "text": "Hello"}]


@pytest.mark.parametrize("at_once", [True, False])
def test_an_answer_of_more_calls_than_can_be_told_is_none(*, at_once: bool) -> None:
    """In part it would be taken for the whole, and what it wants done would be."""
    calls: Any = [tool(number, "{}", id=f"c{number}", name="find") for number in range(1_100)]
    if at_once:
        calls = [{"tool_calls": [call for each in calls for call in each["tool_calls"]]}]
    with pytest.raises(ApiError, match="more tools"):
        events(MessagesStream(read()), *map(chunk, calls))
