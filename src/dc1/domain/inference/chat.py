"""A /v1 call is read strictly out of its body."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dc1.domain import errors
from dc1.domain.base.json_types import JsonObject, JsonValue, compact, is_oversized
from dc1.domain.base.numeric import as_integer, as_number, plain
from dc1.domain.errors import FieldViolation

MAX_MESSAGES = 100
MAX_TOKENS = 8192
DEFAULT_MAX_TOKENS = 512
DEFAULT_TEMPERATURE = 0.7

_MAX_MODEL = 200
_ROLES = ("system", "developer", "user", "assistant", "tool")
_LIMITS = ("max_tokens", "max_completion_tokens")
# Keys that are not passed on: they say how the caller is answered, or are passed on under another name.
_OURS = frozenset({"model", "stream", "stream_options", "n", "max_completion_tokens"})
# What decides how tokens are chosen, counted or kept; numbers and flags are no text anyhow.
_NOT_READ = frozenset(
    {"logit_bias", "metadata", "modalities", "prompt_cache_key", "safety_identifier", "service_tier", "stop", "user"}
)
_MESSAGE_KEYS = frozenset(
    {"role", "content", "name", "refusal", "reasoning", "reasoning_content", "tool_calls", "tool_call_id"}
)


@dataclass(frozen=True, slots=True)
class ChatCall:
    """An acceptable call. `params` is what the daemon gets; `prompt_bytes` the UTF-8 of what the model reads of it."""

    model: str
    params: JsonObject
    prompt_bytes: int
    max_tokens: int
    stream: bool


def read_chat(body: JsonObject) -> ChatCall:
    """Return the call that a body stands for, with defaults filled in.

    Keys that are not documented are kept in `params`.

    Raises:
        missing_fields: required keys are absent or blank.
        validation_failed: otherwise, for all keys that are wrong together.
        invalid_field: the whole is too large.
    """
    # Before anything else: what is not there can be neither right nor wrong.
    missing = [name for name in ("model", "messages") if _is_missing(body.get(name))]
    if missing:
        raise errors.missing_fields(missing)
    faults = list(_faults(body))
    if faults:
        raise errors.validation_failed(faults)
    model, messages = body["model"], body["messages"]
    assert isinstance(model, str)
    assert isinstance(messages, list)
    max_tokens = as_integer(_first(body, *_LIMITS, default=DEFAULT_MAX_TOKENS)) or DEFAULT_MAX_TOKENS
    temperature = as_number(_first(body, "temperature", default=DEFAULT_TEMPERATURE))
    assert temperature is not None
    passed_on: JsonObject = {name: value for name, value in body.items() if name not in _OURS and value is not None}
    params: JsonObject = {**passed_on, "max_tokens": max_tokens, "temperature": plain(temperature)}
    if is_oversized(params):
        raise errors.invalid_field("messages", "must be at most 256 KiB of JSON, with all other keys")
    return ChatCall(
        model=model,
        params=params,
        prompt_bytes=prompt_bytes(params),
        max_tokens=max_tokens,
        stream=body.get("stream") is True,
    )


def _faults(body: JsonObject) -> Iterator[FieldViolation]:
    model = body["model"]
    if not isinstance(model, str) or len(model) > _MAX_MODEL:
        yield FieldViolation("model", f"must be a string of at most {_MAX_MODEL} characters")
    yield from _message_faults(body["messages"])
    for name in _LIMITS:
        if body.get(name) is not None and not _is_within(as_integer(body[name]), 1, MAX_TOKENS):
            yield FieldViolation(name, f"must be an integer from 1 to {MAX_TOKENS}")
    if body.get("temperature") is not None and not _is_within(as_number(body["temperature"]), 0, 2):
        yield FieldViolation("temperature", "must be a number from 0 to 2")
    if not isinstance(body.get("stream"), bool | None):
        yield FieldViolation("stream", "must be true or false")
    if body.get("n") is not None and as_integer(body["n"]) != 1:
        yield FieldViolation("n", "must be 1")


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


def _is_content(message: JsonObject) -> bool:
    content = message.get("content")
    if content is None:
        # An assistant that calls a tool need not say anything.
        return bool(message.get("tool_calls"))
    if isinstance(content, list):
        return all(isinstance(part, dict) for part in content)
    return isinstance(content, str)


def _is_missing(value: JsonValue) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _is_within(number: Any, low: int, high: int) -> bool:
    return number is not None and low <= number <= high


def _first(body: JsonObject, *names: str, default: JsonValue) -> JsonValue:
    return next((body[name] for name in names if body.get(name) is not None), default)


def prompt_bytes(params: JsonObject) -> int:
    """Return the bytes of UTF-8 that bound the tokens of a call's prompt: the messages, and what else a model reads.

    A key is taken to be read, as tools and schemas are, unless it is known not to be: an engine may know more keys.
    """
    messages = params.get("messages")
    said = sum(
        _size(message) for message in (messages if isinstance(messages, list) else ()) if isinstance(message, dict)
    )
    others = (value for name, value in params.items() if name != "messages" and name not in _NOT_READ)
    return said + sum(_text_size(value) for value in others if isinstance(value, str | list | dict) and value)


def _size(message: JsonObject) -> int:
    # The names are not read where they are the API's own; of other keys they may hold as much as the values.
    names = sum(len(name.encode()) for name in message if name not in _MESSAGE_KEYS)
    return names + sum(_text_size(value) for name, value in message.items() if name != "role")


def _text_size(value: JsonValue) -> int:
    return len((value if isinstance(value, str) else compact(value)).encode())
