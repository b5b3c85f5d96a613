"""Sound: what calls of /v1/audio may say, what they count for, and how bytes that are no JSON stand among events."""

import base64
import re
from collections.abc import Iterator
from typing import Final

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.errors import FieldViolation
from dc1.domain.inference.calls import MAX_TOKENS, model_faults

FILE: Final = "file"
BYTES_EVENT: Final = "bytes"
"""The type of an event that is a piece of an answer which is no JSON: `content_type`, and `data` in base64."""

BYTES_OF_TOKEN: Final = 1000
"""So much of a recording counts for a token: what a minute of it is worth no engine can say otherwise."""

STREAM_FORMATS: Final = ("audio", "sse")
TEXT_FORMATS: Final = ("text", "srt", "vtt")
_FORMATS: Final = ("json", "verbose_json", "diarized_json", *TEXT_FORMATS)
# What a browser would run on the market's own page is none of these.
_TYPES: Final = re.compile(
    r"audio/[\w.+-]{1,60}(?:; ?[\w-]{1,20}=[\w.+-]{1,40}){0,3}|text/(?:plain|vtt)(?:; ?charset=[\w-]+)?"
)
_OTHER_TYPE: Final = "application/octet-stream"


def speech_faults(body: JsonObject) -> Iterator[FieldViolation]:
    """Yield what is wrong with a call for speech whose required keys are there."""
    yield from model_faults(body)
    if not isinstance(body["input"], str):
        yield FieldViolation("input", "must be a string")
    if not isinstance(body.get("response_format"), str | None):
        yield FieldViolation("response_format", "must be a string")
    if body.get("stream_format") not in (None, *STREAM_FORMATS):
        yield FieldViolation("stream_format", f"must be one of {', '.join(STREAM_FORMATS)}")


def speech_characters(body: JsonObject) -> int:
    """Return how many tokens a text counts for: one for each character, as services of speech are sold."""
    text = body.get("input")
    return len(text) if isinstance(text, str) else 0


def transcription_faults(body: JsonObject) -> Iterator[FieldViolation]:
    """Yield what is wrong with a call for the words of a recording whose required fields are there."""
    yield from model_faults(body)
    if not isinstance(body[FILE], dict):
        yield FieldViolation(FILE, "must be one file")
    wanted = body.get("response_format")
    if wanted not in (None, *_FORMATS):
        yield FieldViolation("response_format", f"must be one of {', '.join(_FORMATS)}")
    if not isinstance(body.get("stream"), bool | None):
        yield FieldViolation("stream", "must be true or false")
    elif body.get("stream") and wanted in TEXT_FORMATS:
        yield FieldViolation("stream", "is offered with a response_format of JSON only")


def transcription_tokens(body: JsonObject) -> int:
    """Return how many tokens a recording counts for."""
    recording = body.get(FILE)
    data = recording.get("data") if isinstance(recording, dict) else None
    size = len(data.rstrip("=")) * 3 // 4 if isinstance(data, str) else 0
    return -(-size // BYTES_OF_TOKEN)


def text_tokens(_: JsonObject) -> int:
    """Return how many tokens the words of a recording are paid as at most."""
    return MAX_TOKENS


def transcription_fault(answer: JsonObject) -> str | None:
    """Return what is wrong with an answer in one piece: it has no text; None when it has one."""
    return None if isinstance(answer.get("text"), str) else "the engine gave no text"


def bytes_event(content_type: str, data: bytes) -> JsonObject:
    """Return the event that a piece of such an answer is."""
    return {"type": BYTES_EVENT, "content_type": content_type, "data": base64.b64encode(data).decode()}


def bytes_in(event: JsonObject) -> tuple[str, bytes] | None:
    """Return content type and bytes of such an event; None for any other."""
    said, data = event.get("content_type"), event.get("data")
    if event.get("type") != BYTES_EVENT or not isinstance(data, str):
        return None
    try:
        return _known_type(said), base64.b64decode(data, validate=True)
    # Of what is no base64, and of letters beyond ASCII.
    except ValueError:
        return None


def _known_type(said: JsonValue) -> str:
    # What a provider says is served from the market's own address.
    return said if isinstance(said, str) and _TYPES.fullmatch(said) else _OTHER_TYPE
