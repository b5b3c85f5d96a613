"""Answers whose events say their types: those of Messages, Responses and sound, and what they are in one piece."""

from collections.abc import Iterator
from typing import Final

from dc1.domain.base.json_types import JsonObject, JsonValue, compact
from dc1.domain.inference.audio import BYTES_EVENT
from dc1.domain.providers.model_abilities import EnginePath

TYPED_PATHS: Final = frozenset(
    {
        EnginePath.MESSAGES,
        EnginePath.RESPONSES,
        EnginePath.SPEECH,
        EnginePath.TRANSCRIPTIONS,
        EnginePath.TRANSLATIONS,
    }
)

# What says how an answer ends, and all that follows it.
_ENDS: Final = frozenset(
    {
        "message_delta",
        "message_stop",
        "response.completed",
        "response.incomplete",
        "response.failed",
        "transcript.text.done",
        "speech.audio.done",
    }
)
_LAST: Final = _ENDS - {"message_delta"}
_FAILED: Final = "response.failed"
_TEXTS: Final = ("text", "thinking", "partial_json")
# Keys of what is said in one piece, wherever it stands.
_WHOLE_TEXTS: Final = (*_TEXTS, "refusal", "arguments")
_OUTER: Final = ("message", "response")
"""Where in an event the whole stands that it begins or ends."""


def is_typed_end(value: JsonObject) -> bool:
    """Tell whether an event says how its answer ends, or follows what does."""
    return _text(value.get("type")) in _ENDS


def is_last(value: JsonObject) -> bool:
    """Tell whether nothing follows an event."""
    return _text(value.get("type")) in _LAST


def failure_of(value: JsonObject) -> JsonValue:
    """Return what an event says of a failure of its engine; None for one that is part of an answer."""
    if value.get("type") == "error":
        return value.get("error") or value
    response = value.get("response")
    if value.get("type") != _FAILED:
        return None
    return (response.get("error") if isinstance(response, dict) else None) or value


def is_typed_event(value: JsonObject) -> bool:
    """Tell whether an object is one event of such an answer, and not all of it."""
    return isinstance(value.get("type"), str) and not _says_what_it_is(value)


def typed_text(value: JsonObject) -> str:
    """Return what an event or a whole adds to an answer."""
    if _says_what_it_is(value):
        return "".join(_texts_in(value.get("content") or value.get("output")))
    kind, delta = value.get("type"), value.get("delta")
    if kind == BYTES_EVENT:
        return _text(value.get("data"))
    if isinstance(delta, dict):
        return next((text for name in _TEXTS if (text := _text(delta.get(name)))), "")
    # A transcription in one piece has a text, and the last event of a streamed one repeats it.
    return _text(delta) or _text(value.get("audio")) or ("" if kind else _text(value.get("text")))


def outer_of(value: JsonObject) -> str | None:
    """Return under which key of an event the whole stands, with its `id` and `model`; None where none does."""
    return next((name for name in _OUTER if isinstance(value.get(name), dict)), None)


def usage_in(value: JsonObject) -> JsonObject | None:
    """Return the tokens that an event or a whole says, wherever they stand."""
    for holder in (value, *(value.get(name) for name in _OUTER)):
        said = holder.get("usage") if isinstance(holder, dict) else None
        if isinstance(said, dict):
            return said
    return None


def typed_usage(path: str, prompt: int, made: int, cached: int) -> JsonObject | None:
    """Return the tokens of a call as answers on its path say them; None where they say them as chats do."""
    if path not in TYPED_PATHS:
        return None
    counts: JsonObject = {"input_tokens": prompt, "output_tokens": made}
    if path == EnginePath.MESSAGES:
        # What was read before is no part of `input_tokens` there.
        return counts | ({"input_tokens": prompt - cached, "cache_read_input_tokens": cached} if cached else {})
    counts["total_tokens"] = prompt + made
    return counts if path in (EnginePath.RESPONSES, EnginePath.SPEECH) else {"type": "tokens", **counts}


def _says_what_it_is(value: JsonObject) -> bool:
    return value.get("type") == "message" or value.get("object") == "response"


def _texts_in(said: JsonValue) -> Iterator[str]:
    if isinstance(said, list):
        for each in said:
            yield from _texts_in(each)
    elif isinstance(said, dict):
        yield from (_text(said.get(name)) for name in _WHOLE_TEXTS)
        for name in ("content", "summary"):
            yield from _texts_in(said.get(name))
        if isinstance(said.get("input"), dict):
            yield compact(said["input"])


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""
