"""A call of OpenAI's Responses API as one of chat: stateless, so that all it refers to stands in it."""

from dataclasses import dataclass

from dc1.domain import errors
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.inference.call_routing import FIELD, PREFER
from dc1.domain.inference.calls import InferenceCall
from dc1.domain.inference.dialects.reading import (
    answer_tokens,
    as_chat,
    kept,
    numbers,
    object_of,
    objects_of,
    required_body,
    text_of,
    without_nulls,
)

_SAME = ("model", "stream", FIELD, PREFER, "parallel_tool_calls", "user", "prompt_cache_key", "safety_identifier")
_NUMBERS = ("temperature", "top_p")
# What would take a memory of earlier answers, which nobody here keeps, or another's tools and texts.
_NOT_HERE = {
    "previous_response_id": "is not kept here: send the conversation so far as input",
    "conversation": "is not kept here: send the conversation so far as input",
    "background": "is not offered: an answer that nobody waits for is not kept",
    "prompt": "is not kept here: send its text as instructions",
    "top_logprobs": "is offered by /v1/chat/completions only",
}
_TEXT_PARTS = ("input_text", "output_text", "text")
_SYSTEM = ("system", "developer")


@dataclass(frozen=True, slots=True)
class ResponsesCall:
    """What a call is in chat, and its own body, of which the answer repeats much."""

    chat: InferenceCall
    asked: JsonObject


def read_responses(sent: bytes, max_bytes: int) -> ResponsesCall:
    """Return what a body of `/v1/responses` asks of chat.

    Raises:
        invalid_field: It asks for what an answer that nobody keeps cannot have.
    """
    body = required_body(sent, max_bytes, ("model", "input"))
    for name, reason in _NOT_HERE.items():
        if body.get(name):
            raise errors.invalid_field(name, reason)
    chat: JsonObject = kept(body, _SAME) | numbers(body, _NUMBERS)
    chat["messages"] = _messages(body)
    if body.get("max_output_tokens") is not None:
        chat["max_tokens"] = answer_tokens(body["max_output_tokens"], "max_output_tokens")
    if body.get("tools"):
        chat["tools"] = [_tool(tool, field) for field, tool in objects_of(body["tools"], "tools")]
    if body.get("tool_choice") is not None:
        chat["tool_choice"] = _tool_choice(body["tool_choice"])
    text = object_of(body.get("text") or {}, "text")
    chat |= without_nulls(
        response_format=_format(text.get("format")),
        verbosity=text.get("verbosity"),
        reasoning_effort=object_of(body.get("reasoning") or {}, "reasoning").get("effort"),
    )
    if body.get("stream") is True:
        chat["stream_options"] = {"include_usage": True}
    return ResponsesCall(as_chat(chat), body)


def _messages(body: JsonObject) -> list[JsonValue]:
    messages: list[JsonObject] = []
    if body.get("instructions") is not None:
        messages.append({"role": "system", "content": text_of(body["instructions"], "instructions")})
    sent = body["input"]
    said: list[JsonObject] = [{"role": "user", "content": sent}] if isinstance(sent, str) else _items(sent)
    # The templates of many models take one message of the system, and that at the beginning.
    while messages and said and said[0]["role"] == "system" and isinstance(said[0]["content"], str):
        messages[0]["content"] = f"{messages[0]['content']}\n\n{said.pop(0)['content']}"
    return [*messages, *said]


def _items(items: JsonValue) -> list[JsonObject]:
    messages: list[JsonObject] = []
    for field, item in objects_of(items, "input"):
        match item.get("type", "message"):
            case "message":
                messages.append(_message(item, field))
            case "function_call":
                _add_call(messages, item, field)
            case "function_call_output":
                call_id = text_of(item.get("call_id"), f"{field}.call_id")
                output = _output(item.get("output"), f"{field}.output")
                messages.append({"role": "tool", "tool_call_id": call_id, "content": output})
            case "reasoning":
                # What a model thought is its own; chat has no place for it.
                pass
            case _:
                raise errors.invalid_field(
                    f"{field}.type", "must be message, function_call, function_call_output or reasoning"
                )
    return messages


def _message(item: JsonObject, field: str) -> JsonObject:
    role, content = item.get("role"), item.get("content")
    if role not in ("user", "assistant", *_SYSTEM):
        raise errors.invalid_field(f"{field}.role", "must be user, assistant, system or developer")
    # The templates of most models know no developer.
    role = "system" if role in _SYSTEM else role
    if isinstance(content, str):
        return {"role": role, "content": content}
    parts = [_part(part, name) for name, part in objects_of(content, f"{field}.content")]
    if role == "user":
        return {"role": role, "content": [*parts]}
    return {"role": role, "content": _joined(parts, f"{field}.content")}


def _joined(parts: list[JsonObject], field: str) -> str:
    """Return parts as the one text that most models' templates take there.

    Raises:
        invalid_field: They are not all text.
    """
    if any(part["type"] != "text" for part in parts):
        raise errors.invalid_field(field, "must be text")
    return "".join(str(part["text"]) for part in parts)


def _part(part: JsonObject, field: str) -> JsonObject:
    kind = part.get("type")
    if kind in _TEXT_PARTS:
        return {"type": "text", "text": text_of(part.get("text"), f"{field}.text")}
    if kind == "refusal":
        return {"type": "text", "text": text_of(part.get("refusal"), f"{field}.refusal")}
    if kind == "input_image":
        url = text_of(part.get("image_url"), f"{field}.image_url")
        return {"type": "image_url", "image_url": without_nulls(url=url, detail=part.get("detail"))}
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": object_of(part.get("input_audio"), f"{field}.input_audio")}
    raise errors.invalid_field(f"{field}.type", "must be input_text, input_image, input_audio, output_text or refusal")


def _output(output: JsonValue, field: str) -> str:
    if isinstance(output, str):
        return output
    return _joined([_part(part, name) for name, part in objects_of(output, field)], field)


def _add_call(messages: list[JsonObject], item: JsonObject, field: str) -> None:
    """Add a call of a tool to what the model said before it: in chat both are one message."""
    function: JsonObject = {
        "name": text_of(item.get("name"), f"{field}.name"),
        "arguments": text_of(item.get("arguments"), f"{field}.arguments"),
    }
    call: JsonObject = {
        "id": text_of(item.get("call_id"), f"{field}.call_id"),
        "type": "function",
        "function": function,
    }
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    calls = messages[-1].setdefault("tool_calls", [])
    assert isinstance(calls, list)
    calls.append(call)


def _tool(tool: JsonObject, field: str) -> JsonObject:
    if tool.get("type") != "function":
        raise errors.invalid_field(f"{field}.type", "must be function: this market runs no tools of its own")
    function: JsonObject = {"name": text_of(tool.get("name"), f"{field}.name")}
    function |= kept(tool, ("description", "parameters", "strict"))
    return {"type": "function", "function": function}


def _tool_choice(choice: JsonValue) -> JsonValue:
    if isinstance(choice, str):
        return choice
    choice = object_of(choice, "tool_choice")
    if choice.get("type") != "allowed_tools":
        return _named("tool_choice", choice)
    if choice.get("mode") not in ("auto", "required"):
        raise errors.invalid_field("tool_choice.mode", "must be auto or required")
    tools: list[JsonValue] = [_named(*each) for each in objects_of(choice.get("tools"), "tool_choice.tools")]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice["mode"], "tools": tools}}


def _named(field: str, tool: JsonObject) -> JsonObject:
    if tool.get("type") != "function":
        raise errors.invalid_field(f"{field}.type", "must be function or, of a tool_choice, allowed_tools")
    return {"type": "function", "function": {"name": text_of(tool.get("name"), f"{field}.name")}}


def _format(wanted: JsonValue) -> JsonObject | None:
    if wanted is None:
        return None
    wanted = object_of(wanted, "text.format")
    match wanted.get("type"):
        case "text":
            return None
        case "json_object":
            return {"type": "json_object"}
        case "json_schema":
            return {"type": "json_schema", "json_schema": kept(wanted, ("name", "description", "schema", "strict"))}
    raise errors.invalid_field("text.format.type", "must be text, json_object or json_schema")
