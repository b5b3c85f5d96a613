"""A /v1 call is read strictly out of its body."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

from dc1.domain import errors
from dc1.domain.access.provider_choice import ProviderChoice
from dc1.domain.base.json_members import members, without
from dc1.domain.base.json_types import (
    MAX_VALUES,
    JsonObject,
    JsonValue,
    compact,
    has_halves,
    has_more_values,
    is_deeper,
)
from dc1.domain.base.numeric import as_integer, as_number, plain
from dc1.domain.errors import FieldViolation
from dc1.domain.inference import call_routing
from dc1.domain.inference.affinity import shared_by
from dc1.domain.inference.call_routing import ANYWHERE, CallRouting

CHAT_PATH = "/v1/chat/completions"
MAX_MESSAGES = 1000
MAX_TOKENS = 8192
MAX_ANSWERS = 128
DEFAULT_MAX_TOKENS = 4096
"""Where an answer is cut whose call says nothing of it, and what is held for it."""

DEFAULT_TEMPERATURE = 0.7

_MAX_MODEL = 200
_MAX_DEPTH = 60
_TOKENS_OF_MEDIUM = {"image_url": 4096, "input_audio": 4096, "audio_url": 4096, "video_url": 32768}
"""What a part counts for of which neither its bytes nor its address say how much a model reads."""

_ROLES = ("system", "developer", "user", "assistant", "tool")
_LIMITS = ("max_tokens", "max_completion_tokens")
# Keys that are not passed on: they say how the caller is answered, or are passed on under another name.
_OURS = frozenset({"model", "stream", "stream_options", "n", "max_completion_tokens"})
# What decides how tokens are chosen, counted or kept; numbers and flags are no text anyhow.
_NOT_READ = frozenset(
    {
        "logit_bias",
        "metadata",
        "modalities",
        "model",
        "prompt_cache_key",
        call_routing.FIELD,
        "safety_identifier",
        "service_tier",
        "stop",
        "stream_options",
        "user",
    }
)
_MESSAGE_KEYS = frozenset(
    {"role", "content", "name", "refusal", "reasoning", "reasoning_content", "tool_calls", "tool_call_id"}
)


@dataclass(frozen=True, slots=True)
class ChatCall:
    """An acceptable call: its JSON as it was sent, and the path of an engine's API that takes it.

    `prompt_bytes` bounds the tokens of what the model reads of it, and `max_tokens` those of all its `answers`
    together. `wants_usage` is whether a stream is to tell them in a chunk of their own. `shared` is what it has in
    common with calls that the same engine answers best, and `routing`
    what it says of who should answer it, which no engine is sent.
    """

    model: str
    path: str
    body: str
    prompt_bytes: int
    max_tokens: int
    stream: bool
    answers: int = 1
    wants_usage: bool = False
    shared: bytes = b""
    routing: CallRouting = ANYWHERE

    def allowed(self, choice: ProviderChoice) -> Self:
        """Return the call for those providers that are allowed beside itself."""
        return replace(self, routing=replace(self.routing, choice=self.routing.choice.within(choice)))


def read_chat(sent: bytes, max_bytes: int) -> ChatCall:
    """Return the call that a body stands for.

    Raises:
        missing_fields: required keys are absent or blank.
        validation_failed: otherwise, for all keys that are wrong together.
    """
    text, body = read_body(sent, max_bytes)
    # Before anything else: what is not there can be neither right nor wrong.
    missing = [name for name in ("model", "messages") if _is_missing(body.get(name))]
    if missing:
        raise errors.missing_fields(missing)
    faults = list(_faults(body))
    if faults:
        raise errors.validation_failed(faults)
    routing = CallRouting.read(body)
    model, options = body["model"], body.get("stream_options")
    assert isinstance(model, str)
    return ChatCall(
        model=model,
        path=CHAT_PATH,
        body=without(text, call_routing.FIELD) if call_routing.FIELD in body else text,
        prompt_bytes=prompt_bytes(body),
        max_tokens=most_tokens(body),
        stream=body.get("stream") is True,
        answers=answers_wanted(body),
        wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
        shared=shared_by(body),
        routing=routing,
    )


def read_body(sent: bytes, max_bytes: int) -> tuple[str, JsonObject]:
    """Return the JSON object of a body as text and as it is read.

    Raises:
        malformed_json: It is none, or one that readers read differently.
        request_body_too_large: It has more bytes or values than are taken.
    """
    if len(sent) > max_bytes:
        raise errors.request_body_too_large()
    try:
        text = sent.decode()
        if has_more_values(text, MAX_VALUES):
            raise errors.request_body_too_large()
        body = {key: member.value for key, member in members(text).items()}
    except ValueError:
        raise errors.malformed_json() from None
    # Deeper than this no answer that shows the job could say it.
    if has_halves(text, body) or is_deeper(body, _MAX_DEPTH):
        raise errors.malformed_json()
    return text, body


def most_tokens_of_each(body: JsonObject) -> int:
    """Return where each answer to a call is cut: at the larger of both spellings, of which engines take either."""
    return max(
        (as_integer(body[name]) or 0 for name in _LIMITS if body.get(name) is not None), default=DEFAULT_MAX_TOKENS
    )


def most_tokens(body: JsonObject) -> int:
    """Return how many tokens all answers to a call have together at most."""
    return most_tokens_of_each(body) * answers_wanted(body)


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
    if body.get("n") is not None and not _is_within(as_integer(body["n"]), 1, MAX_ANSWERS):
        yield FieldViolation("n", f"must be an integer from 1 to {MAX_ANSWERS}")


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
    return names + sum(_value_size(value) for name, value in message.items() if name != "role")


def _value_size(value: JsonValue) -> int:
    kinds = {str(part.get("type")) for part in value if isinstance(part, dict)} if isinstance(value, list) else set()
    if not isinstance(value, list) or kinds.isdisjoint(_TOKENS_OF_MEDIUM):
        return _text_size(value)
    return sum(_part_size(part) for part in value)


def _part_size(part: JsonValue) -> int:
    kind = str(part.get("type")) if isinstance(part, dict) else ""
    if not isinstance(part, dict) or kind not in _TOKENS_OF_MEDIUM:
        return _text_size(part)
    # What stands beside the medium may be read as well.
    return _TOKENS_OF_MEDIUM[kind] + _text_size({name: value for name, value in part.items() if name != kind})


def _text_size(value: JsonValue) -> int:
    return len((value if isinstance(value, str) else compact(value)).encode())
