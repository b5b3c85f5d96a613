"""A call of Anthropic's Messages API as one of chat."""

from collections.abc import Iterator
from dataclasses import dataclass

from dc1.domain import errors
from dc1.domain.base.json_types import JsonObject, JsonValue, compact
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

_SAME = ("model", "stream", FIELD, PREFER)
_NUMBERS = ("temperature", "top_p", "top_k")
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
# What only Anthropic's own servers can do: an answer without it would not be what was asked for.
_NOT_HERE = ("mcp_servers", "container")
_THINKING = ("thinking", "redacted_thinking")


@dataclass(frozen=True, slots=True)
class MessagesCall:
    """What a call is in chat, and what its answer depends on besides."""

    chat: InferenceCall
    stops: tuple[str, ...] = ()
    thinks: bool = False
    """Whether the caller wants to read what the model thinks."""


def read_messages(sent: bytes, max_bytes: int) -> MessagesCall:
    """Return what a body of `/v1/messages` asks of chat."""
    body = required_body(sent, max_bytes, ("model", "messages", "max_tokens"))
    return MessagesCall(
        chat=as_chat(_chat_of(body) | {"max_tokens": answer_tokens(body["max_tokens"], "max_tokens")}),
        stops=tuple(_stops(body)),
        thinks=body.get("thinking") is not None and object_of(body["thinking"], "thinking").get("type") != "disabled",
    )


def read_counted(sent: bytes, max_bytes: int) -> InferenceCall:
    """Return what a body of `/v1/messages/count_tokens` would ask of chat."""
    return as_chat(_chat_of(required_body(sent, max_bytes, ("model", "messages"))))


def _chat_of(body: JsonObject) -> JsonObject:
    for name in _NOT_HERE:
        if body.get(name):
            raise errors.invalid_field(name, "is not offered by this market")
    chat: JsonObject = kept(body, _SAME) | numbers(body, _NUMBERS)
    chat["messages"] = [*_system(body.get("system")), *_messages(body["messages"])]
    if body.get("tools"):
        chat["tools"] = [_tool(tool, field) for field, tool in objects_of(body["tools"], "tools")]
    if body.get("tool_choice") is not None:
        chat |= _tool_choice(object_of(body["tool_choice"], "tool_choice"))
    if stops := _stops(body):
        chat["stop"] = [*stops]
    if body.get("metadata") is not None:
        # Who asks again is best answered by the same engine; chat says so by `user`.
        chat |= without_nulls(user=object_of(body["metadata"], "metadata").get("user_id"))
    if (schema := _schema(body)) is not None:
        wanted: JsonObject = {"name": "answer", "schema": schema, "strict": True}
        chat["response_format"] = {"type": "json_schema", "json_schema": wanted}
    if body.get("stream") is True:
        chat["stream_options"] = {"include_usage": True}
    return chat


def _stops(body: JsonObject) -> list[str]:
    stops = body.get("stop_sequences") or []
    if not isinstance(stops, list):
        raise errors.invalid_field("stop_sequences", "must be an array")
    return [text_of(stop, f"stop_sequences.{at}") for at, stop in enumerate(stops)]


def _schema(body: JsonObject) -> JsonObject | None:
    config = object_of(body.get("output_config") or {}, "output_config")
    wanted = config.get("format") or body.get("output_format")
    if wanted is None:
        return None
    wanted = object_of(wanted, "output_config.format")
    if wanted.get("type") != "json_schema":
        raise errors.invalid_field("output_config.format.type", "must be json_schema")
    return object_of(wanted.get("schema"), "output_config.format.schema")


def _system(system: JsonValue) -> Iterator[JsonObject]:
    if not system:
        return
    # One text: the templates of many models take no parts there.
    yield {"role": "system", "content": system if isinstance(system, str) else _text(system, "system")}


def _text(blocks: JsonValue, field: str) -> str:
    texts = []
    for name, block in objects_of(blocks, field):
        if block.get("type") != "text":
            raise errors.invalid_field(f"{name}.type", "must be text")
        texts.append(text_of(block.get("text"), f"{name}.text"))
    return "\n".join(texts)


def _messages(messages: JsonValue) -> Iterator[JsonObject]:
    for field, message in objects_of(messages, "messages"):
        role, content = message.get("role"), message.get("content")
        if role not in ("user", "assistant"):
            raise errors.invalid_field(f"{field}.role", "must be user or assistant")
        if isinstance(content, str):
            yield {"role": role, "content": content}
        elif role == "user":
            yield from _user(objects_of(content, f"{field}.content"))
        else:
            yield _assistant(objects_of(content, f"{field}.content"))


def _user(blocks: list[tuple[str, JsonObject]]) -> Iterator[JsonObject]:
    """Yield the results of tools, each a message of its own in chat, and then what else is said."""
    parts: list[JsonValue] = []
    for field, block in blocks:
        if block.get("type") == "tool_result":
            text, images = _result(block.get("content"), f"{field}.content")
            call_id = text_of(block.get("tool_use_id"), f"{field}.tool_use_id")
            yield {"role": "tool", "tool_call_id": call_id, "content": text}
            # A result of a tool is text in chat; what is to be seen follows it.
            parts += images
        else:
            parts.append(_part(block, field))
    if parts:
        yield {"role": "user", "content": parts}


def _result(content: JsonValue, field: str) -> tuple[str, list[JsonValue]]:
    if content is None or isinstance(content, str):
        return content or "", []
    parts = [_part(block, name) for name, block in objects_of(content, field)]
    texts = [str(part["text"]) for part in parts if part["type"] == "text"]
    return "\n".join(texts), [part for part in parts if part["type"] != "text"]


def _part(block: JsonObject, field: str) -> JsonObject:
    kind = block.get("type")
    if kind == "text":
        return {"type": "text", "text": text_of(block.get("text"), f"{field}.text")}
    source = object_of(block.get("source"), f"{field}.source") if kind in ("image", "document") else {}
    if kind == "image" and source.get("type") == "url":
        return _image(text_of(source.get("url"), f"{field}.source.url"))
    if kind == "image" and source.get("type") == "base64":
        media_type = text_of(source.get("media_type"), f"{field}.source.media_type")
        return _image(f"data:{media_type};base64,{text_of(source.get('data'), f'{field}.source.data')}")
    if kind == "document" and source.get("type") == "text":
        return {"type": "text", "text": text_of(source.get("data"), f"{field}.source.data")}
    if source:
        raise errors.invalid_field(f"{field}.source.type", "is of a kind that this market does not carry")
    raise errors.invalid_field(f"{field}.type", "must be text, image, document or tool_result")


def _image(url: str) -> JsonObject:
    return {"type": "image_url", "image_url": {"url": url}}


def _assistant(blocks: list[tuple[str, JsonObject]]) -> JsonObject:
    texts: list[str] = []
    calls: list[JsonValue] = []
    for field, block in blocks:
        kind = block.get("type")
        if kind == "text":
            texts.append(text_of(block.get("text"), f"{field}.text"))
        elif kind == "tool_use":
            calls.append(_tool_use(block, field))
        elif kind not in _THINKING:
            raise errors.invalid_field(f"{field}.type", "must be text, tool_use or thinking")
    text = "".join(texts)
    message: JsonObject = {"role": "assistant", "content": text}
    return message | {"content": text or None, "tool_calls": calls} if calls else message


def _tool_use(block: JsonObject, field: str) -> JsonObject:
    arguments = compact(object_of(block.get("input") or {}, f"{field}.input"))
    function: JsonObject = {"name": text_of(block.get("name"), f"{field}.name"), "arguments": arguments}
    return {"id": text_of(block.get("id"), f"{field}.id"), "type": "function", "function": function}


def _tool(tool: JsonObject, field: str) -> JsonObject:
    if tool.get("type") not in (None, "custom"):
        raise errors.invalid_field(f"{field}.type", "must be custom: this market runs no tools of its own")
    function: JsonObject = {"name": text_of(tool.get("name"), f"{field}.name")}
    function |= without_nulls(description=tool.get("description"), strict=tool.get("strict"))
    function["parameters"] = object_of(tool.get("input_schema"), f"{field}.input_schema")
    return {"type": "function", "function": function}


def _tool_choice(choice: JsonObject) -> JsonObject:
    kind = choice.get("type")
    alone: JsonObject = {"parallel_tool_calls": False} if choice.get("disable_parallel_tool_use") is True else {}
    if kind == "tool":
        name = text_of(choice.get("name"), "tool_choice.name")
        return alone | {"tool_choice": {"type": "function", "function": {"name": name}}}
    if not isinstance(kind, str) or kind not in _CHOICES:
        raise errors.invalid_field("tool_choice.type", "must be auto, any, tool or none")
    return alone | {"tool_choice": _CHOICES[kind]}
