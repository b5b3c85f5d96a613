"""Chunks of chat, as engines say them."""

from typing import Any

from dc1.domain.base.json_types import JsonObject

USAGE: JsonObject = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 6},
    "completion_tokens_details": {"reasoning_tokens": 1},
}


def chunk(delta: JsonObject, finish_reason: str | None = None, **more: Any) -> JsonObject:
    return {
        "id": "job-1",
        "created": 1774206010,
        "model": "a/model",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        **more,
    }


def tool(index: int, arguments: str, **more: str) -> JsonObject:
    """A fragment of a call; the first has its id and name."""
    function: JsonObject = {"arguments": arguments}
    call: JsonObject = {"index": index, "function": function}
    if more:
        function["name"], call["id"] = more["name"], more["id"]
    return {"tool_calls": [call]}


THOUGHT_AND_CALLED: tuple[JsonObject, ...] = (
    chunk({"role": "assistant", "content": None, "reasoning_content": "Hm"}),
    chunk({"content": "I "}),
    chunk({"content": "look"}),
    chunk(tool(0, "", id="call-a", name="find")),
    chunk(tool(0, '{"q":')),
    chunk(tool(0, '"بحر"}')),
    chunk(tool(1, "{}", id="call-b", name="list")),
    chunk({}, "tool_calls"),
    {"id": "job-1", "choices": [], "usage": USAGE},
)
WHOLE: JsonObject = {
    "id": "job-1",
    "created": 1774206010,
    "model": "a/model",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "I look",
                "reasoning_content": "Hm",
                "tool_calls": [
                    {"id": "call-a", "type": "function", "function": {"name": "find", "arguments": '{"q":"بحر"}'}},
                    {"id": "call-b", "type": "function", "function": {"name": "list", "arguments": "{}"}},
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": USAGE,
}
