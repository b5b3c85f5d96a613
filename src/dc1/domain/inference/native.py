"""Calls of the Messages and Responses APIs in their own words, for engines that have their paths."""

from collections.abc import Iterator, Mapping
from typing import Final

from dc1.domain.base.json_members import spliced
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.base.numeric import as_integer
from dc1.domain.errors import FieldViolation
from dc1.domain.inference.calls import (
    MAX_TOKENS,
    N_PREDICT,
    NOT_READ,
    address_faults,
    model_faults,
    server_faults,
)
from dc1.domain.inference.chat import choice_faults
from dc1.domain.providers.model_abilities import EnginePath

LIMITS: Final[Mapping[str, str]] = {
    EnginePath.MESSAGES: "max_tokens",
    EnginePath.RESPONSES: "max_output_tokens",
}
"""By which key an answer is cut, by path."""

# What would take a memory of earlier answers, which is where one engine is and not at the next.
KEPT: Final = ("previous_response_id", "conversation", "background", "prompt")
_TOKENS_OF_MEDIUM: Final = {
    "image": 4096,
    "input_image": 4096,
    "input_audio": 4096,
    "document": 32768,
    "input_file": 32768,
}
# Where the bytes or the address of a medium stand, which say nothing of how much a model reads.
_BYTES_OF_MEDIUM: Final = frozenset({"source", "image_url", "input_audio", "file_data", "file_url", "file_id"})
_TEXTS_AS_SOURCE: Final = ("text", "content")
# Quotes, colon and comma of a key.
_BYTES_OF_KEY: Final = 4


def messages_faults(body: JsonObject) -> Iterator[FieldViolation]:
    """Yield what is wrong with a call of the Messages API whose required keys are there."""
    yield from _faults(body, EnginePath.MESSAGES)
    yield from address_faults(body["messages"], "messages")
    if not isinstance(body["messages"], list):
        yield FieldViolation("messages", "must be an array")


def responses_faults(body: JsonObject) -> Iterator[FieldViolation]:
    """Yield what is wrong with a call of the Responses API whose required keys are there."""
    yield from _faults(body, EnginePath.RESPONSES)
    yield from address_faults(body["input"], "input")
    if not isinstance(body["input"], str | list):
        yield FieldViolation("input", "must be a string or an array")
    for name in KEPT:
        if body.get(name):
            yield FieldViolation(name, "is not kept here")


def native_prompt_bytes(body: JsonObject) -> int:
    """Return the bytes that bound the tokens of what a model reads."""
    return sum(
        _size(value) for name, value in body.items() if name not in NOT_READ and not isinstance(value, int | float)
    )


def native_tokens(path: str, body: JsonObject) -> int:
    """Return where an answer on a path is cut, and how much of one is paid at most that nobody cuts."""
    # By the path's own key alone: of another's an engine knows nothing, and goes on at the price of what that says.
    return min(as_integer(body.get(LIMITS[path])) or MAX_TOKENS, MAX_TOKENS)


def within_limit(path: str, text: str, body: JsonObject) -> str:
    """Return a call's text with as many tokens as the market carries, where it asks for more."""
    name = LIMITS.get(path, "")
    return spliced(text, {name: MAX_TOKENS}) if (as_integer(body.get(name)) or 0) > MAX_TOKENS else text


def _faults(body: JsonObject, path: str) -> Iterator[FieldViolation]:
    yield from model_faults(body)
    limit = body.get(LIMITS[path])
    if limit is not None and (as_integer(limit) or 0) < 1:
        yield FieldViolation(LIMITS[path], "must be a positive integer")
    # llama.cpp makes chats of such calls, with all their keys: one of chats that asks for more would be free.
    for name in (N_PREDICT, "n_cmpl", "max_completion_tokens"):
        if body.get(name) is not None:
            yield FieldViolation(name, "is no key of this API")
    if body.get("n") is not None and as_integer(body["n"]) != 1:
        yield FieldViolation("n", "must be 1: this API has one answer")
    if not isinstance(body.get("stream"), bool | None):
        yield FieldViolation("stream", "must be true or false")
    yield from server_faults(body)
    yield from choice_faults(_with_choice_of_chats(body), "tool_choice", "tools")


def _with_choice_of_chats(body: JsonObject) -> JsonObject:
    """Return a call with what it says of the calls of tools in the words of chats, as Responses say it too."""
    choice = body.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else None
    if isinstance(choice, dict) and kind == "tool":
        return body | {"tool_choice": {"type": "function", "name": choice.get("name")}}
    words: dict[JsonValue, JsonValue] = {"any": "required", "auto": "auto", "none": "none"}
    return body | {"tool_choice": words[kind]} if isinstance(kind, str) and kind in words else body


def _size(value: JsonValue) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list):
        return sum(map(_size, value))
    if isinstance(value, dict):
        known = _TOKENS_OF_MEDIUM.get(str(value.get("type")), 0)
        # What stands beside the medium may be read as well.
        read = {name: each for name, each in value.items() if not (known and _is_medium(name, each))}
        return known + sum(len(name.encode()) + _BYTES_OF_KEY + _size(each) for name, each in read.items())
    return 1


def _is_medium(name: str, value: JsonValue) -> bool:
    if isinstance(value, dict) and value.get("type") in _TEXTS_AS_SOURCE:
        return False
    return name in _BYTES_OF_MEDIUM
