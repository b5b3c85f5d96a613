"""Conversations: what a chat under /v1 may say, and what of it a model reads."""

from collections.abc import Iterator
from typing import Final

from dc1.domain.base.json_types import JsonObject, JsonValue, objects
from dc1.domain.base.numeric import as_integer, as_number, plain
from dc1.domain.errors import FieldViolation
from dc1.domain.inference.calls import (
    DEFAULT_MAX_TOKENS,
    MAX_TOKENS,
    N_PREDICT,
    address_faults,
    generation_faults,
    model_faults,
    others_size,
    server_faults,
    text_size,
)

MAX_MESSAGES: Final = 1000
DEFAULT_TEMPERATURE: Final = 0.7

_TOKENS_OF_MEDIUM = {"image_url": 4096, "input_audio": 4096, "audio_url": 4096, "video_url": 32768}
"""What a part counts for of which neither its bytes nor its address say how much a model reads."""

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_LIMITS = ("max_tokens", "max_completion_tokens", N_PREDICT)
# Keys that are not passed on: they say how the caller is answered, or are passed on under another name.
_OURS = frozenset({"model", "stream", "stream_options", "n", "max_completion_tokens", N_PREDICT})
_MESSAGE_KEYS = frozenset(
    {"role", "content", "name", "refusal", "reasoning", "reasoning_content", "tool_calls", "tool_call_id"}
)


def most_tokens_of_each(body: JsonObject) -> int:
    """Return where each answer to a call is cut: at the largest of all spellings, of which engines take any."""
    return max(
        (as_integer(body[name]) or 0 for name in _LIMITS if body.get(name) is not None), default=DEFAULT_MAX_TOKENS
    )


def chat_tokens_of_each(body: JsonObject) -> int:
    """Return how many tokens are held for each answer to a chat, and paid at most."""
    # Nobody can cut what comes in one piece, and its caller has all of it.
    is_cut = body.get("stream") is True or any(body.get(name) is not None for name in _LIMITS)
    return most_tokens_of_each(body) if is_cut else MAX_TOKENS


def answers_wanted(body: JsonObject) -> int:
    """Return how many answers a call asks for."""
    return as_integer(body.get("n")) or 1


def params_of(body: JsonObject) -> JsonObject:
    """Return what daemons get that take no bytes: the keys that they pass on, with the defaults that they want."""
    passed_on: JsonObject = {name: value for name, value in body.items() if name not in _OURS and value is not None}
    temperature = as_number(body.get("temperature"))
    return {
        **passed_on,
        "max_tokens": most_tokens_of_each(body),
        "temperature": DEFAULT_TEMPERATURE if temperature is None else plain(temperature),
    }


def chat_faults(body: JsonObject) -> Iterator[FieldViolation]:
    """Yield what is wrong with a conversation whose required keys are there."""
    yield from model_faults(body)
    yield from _message_faults(body["messages"])
    yield from generation_faults(body, _LIMITS)
    yield from server_faults(body)
    yield from choice_faults(body, "tool_choice", "tools")
    yield from choice_faults(body, "function_call", "functions")


def choice_faults(body: JsonObject, choosing: str, offering: str) -> Iterator[FieldViolation]:
    """Yield what is wrong with a choice that wants a call made: whatever came of it would be none, and free."""
    choice, tools = body.get(choosing), {*map(_meant, objects(body.get(offering)))} - {""}
    named = None
    if isinstance(choice, dict):
        # A choice of functions has no type, whatever else stands there.
        kind = choice.get("type", "function") if choosing == "tool_choice" else "function"
        allowed = choice.get("allowed_tools")
        allowed = allowed if isinstance(allowed, dict) else choice
        if kind == "allowed_tools" and allowed.get("mode") != "required":
            return
        named = {"function": [choice], "allowed_tools": objects(allowed.get("tools"))}.get(str(kind))
    elif choice != "required":
        return
    if named is not None:
        if tools.isdisjoint(map(_meant, named)):
            yield FieldViolation(choosing, f"must name one of {offering}")
    elif not tools:
        yield FieldViolation(choosing, f"must not be required without {offering}")


def _meant(tool: JsonObject) -> str:
    """Return what tells a tool from others: its name or, of an engine's own, its type; empty where it has neither."""
    known = tool.get("function") or tool.get("custom")
    name = known.get("name") if isinstance(known, dict) else tool.get("name")
    if name is None and tool.get("type") not in ("function", "custom"):
        name = tool.get("type")
    return name if isinstance(name, str) else ""


def _message_faults(messages: JsonValue) -> Iterator[FieldViolation]:
    if not isinstance(messages, list) or not 1 <= len(messages) <= MAX_MESSAGES:
        yield FieldViolation("messages", f"must be an array of 1 to {MAX_MESSAGES} messages")
        return
    for place, message in enumerate(messages):
        if not isinstance(message, dict):
            yield FieldViolation(f"messages.{place}", "must be an object")
            continue
        if message.get("role") not in _ROLES:
            yield FieldViolation(f"messages.{place}.role", f"must be one of {', '.join(_ROLES)}")
        if not _is_content(message):
            yield FieldViolation(f"messages.{place}.content", "must be a string or an array of parts")
        if not isinstance(content := message.get("content"), str):
            yield from address_faults(content, f"messages.{place}.content")
        if not message.keys() <= _MESSAGE_KEYS:
            # To an engine in Go it would take the content's place.
            other = (name for name in message if name != "content" and name.casefold() == "content")
            yield from (FieldViolation(f"messages.{place}.{name}", "must be spelled content") for name in other)


def _is_content(message: JsonObject) -> bool:
    content = message.get("content")
    if content is None:
        # As it came in an answer: of one that calls a tool, refuses or was cut while it thought there is no text.
        return message.get("role") == "assistant"
    if isinstance(content, list):
        return all(isinstance(part, dict) for part in content)
    return isinstance(content, str)


def prompt_bytes(params: JsonObject) -> int:
    """Return the bytes of UTF-8 that bound the tokens of a call's prompt: the messages, and what else a model reads.

    A key is taken to be read, as tools and schemas are, unless it is known not to be: an engine may know more keys.
    """
    messages = params.get("messages")
    said = sum(
        _size(message) for message in (messages if isinstance(messages, list) else ()) if isinstance(message, dict)
    )
    return said + others_size(params, ("messages",))


def _size(message: JsonObject) -> int:
    # The names are not read where they are the API's own; of other keys they may hold as much as the values.
    size = 0
    # Of each of a thousand messages, so without what makes a loop short to read.
    for name, value in message.items():
        if name not in _MESSAGE_KEYS:
            size += text_size(name)
        if name != "role":
            size += _value_size(value)
    return size


def _value_size(value: JsonValue) -> int:
    if not isinstance(value, list):
        return text_size(value)
    kinds = {str(part.get("type")) for part in value if isinstance(part, dict)}
    if kinds.isdisjoint(_TOKENS_OF_MEDIUM):
        return text_size(value)
    return sum(_part_size(part) for part in value)


def _part_size(part: JsonValue) -> int:
    kind = str(part.get("type")) if isinstance(part, dict) else ""
    if not isinstance(part, dict) or kind not in _TOKENS_OF_MEDIUM:
        return text_size(part)
    # What stands beside the medium may be read as well.
    return _TOKENS_OF_MEDIUM[kind] + text_size({name: value for name, value in part.items() if name != kind})
