"""Results are read out of what a daemon hands back, and sorted by their kind."""

import base64
import binascii
from enum import StrEnum

from dc1.domain.base.json_types import (
    JsonObject,
    JsonValue,
    compact,
    has_more_values,
    is_deeper,
    objects,
    parse_strictly,
)
from dc1.domain.base.numeric import as_number
from dc1.domain.errors import request_body_too_large

RESULT_MARKER = "DC1_RESULT_JSON:"

MAX_RESULT_BYTES = 10 * 1024 * 1024
"""Largest result, as the JSON that its readers get; what is larger is refused before anything is paid for it."""

MAX_RESULT_VALUES = 200_000
"""Most values in a result that is JSON; a text that has more stays one."""

# A program's JSON text may be nested more deeply than whoever reads the answer around it can follow.
_MAX_DEPTH = 100


class ResultType(StrEnum):
    """Kinds of output."""

    TEXT = "text"
    IMAGE = "image"
    OTHER = "other"


_TEXT_KEYS = ("response", "output", "text")
_REASONING_KEYS = ("reasoning_content", "reasoning")
_IMAGE_FORMATS = {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "webp": "webp"}


def parse_result(sent: JsonValue) -> JsonValue:
    """Return the result in a daemon's report: an object, a string, or None without one.

    In a string, the rest of the last line that starts with `DC1_RESULT_JSON:` is the result, and a string that is a
    JSON object is that object. Any other string is the result itself. A list, a number or a boolean is kept as text:
    whoever reads a result expects no such thing, and the run is over.

    Raises:
        request_body_too_large: As JSON it is over 10 MiB.
    """
    result = _found(sent)
    # Not as it came: a control character is one byte of a native message and six of JSON, 1e15 four bytes and sixteen.
    written = "" if result is None else compact(result)
    if len(written) > MAX_RESULT_BYTES or len(written.encode()) > MAX_RESULT_BYTES:
        raise request_body_too_large()
    return result if result is None or isinstance(result, dict | str) else written


def _found(sent: JsonValue) -> JsonValue:
    if not isinstance(sent, str):
        return sent
    # From the end: what the program printed before may hold the marker too.
    for line in reversed(sent.splitlines()):
        if line.startswith(RESULT_MARKER):
            parsed = _parsed_json(line.removeprefix(RESULT_MARKER))
            return sent if parsed is None else parsed
    parsed = _parsed_json(sent)
    return parsed if isinstance(parsed, dict) else sent


def _parsed_json(text: str) -> JsonValue:
    # Before it is parsed, which alone may take seconds.
    if has_more_values(text, MAX_RESULT_VALUES):
        return None
    try:
        parsed = parse_strictly(text)
    except ValueError:
        return None
    return None if is_deeper(parsed, _MAX_DEPTH) else parsed


def result_type(result: JsonValue) -> ResultType:
    """Return the kind of a parsed result."""
    if isinstance(result, str):
        return ResultType.TEXT
    if not isinstance(result, dict):
        return ResultType.OTHER
    if isinstance(result.get("image_base64"), str):
        return ResultType.IMAGE
    return ResultType.TEXT if result.get("type") == "text" or "response" in result else ResultType.OTHER


def response_text(result: JsonValue) -> str:
    """Return the text of a text result, empty when it has none."""
    if isinstance(result, str):
        return result
    if isinstance(result, dict):
        for key in _TEXT_KEYS:
            value = result.get(key)
            if isinstance(value, str):
                return value
    return ""


def reasoning_text(result: JsonValue) -> str:
    """Return what a model thought before its answer, empty when the result has none."""
    found = (result.get(key) for key in _REASONING_KEYS) if isinstance(result, dict) else ()
    return next((text for text in found if isinstance(text, str)), "")


def refusal_text(result: JsonValue) -> str:
    """Return in which words a model refused to answer, empty when it did not."""
    text = result.get("refusal") if isinstance(result, dict) else None
    return text if isinstance(text, str) else ""


def tool_calls(result: JsonValue) -> list[JsonObject]:
    """Return the calls of tools in a result."""
    return objects(result.get("tool_calls")) if isinstance(result, dict) else []


def is_nothing(result: JsonValue) -> bool:
    """Tell whether a result holds nothing at all: no text where it has a place for one, nor anything else."""
    if isinstance(result, dict):
        # What a generation may consist of instead of text.
        if any(result.get(key) for key in ("image_base64", "tool_calls", "refusal", *_REASONING_KEYS)):
            return False
        has_text = result.get("type") == "text" or any(key in result for key in _TEXT_KEYS)
        return not response_text(result).strip() if has_text else not result
    return result is None or not str(result).strip()


_BENCHMARK_KEYS = ("gflops", "matrix_size", "iterations")


def is_benchmark(result: JsonValue) -> bool:
    """Tell whether a result is the figures of a matrix benchmark and holds neither text nor image."""
    if not isinstance(result, dict) or "image_base64" in result or response_text(result):
        return False
    return all(as_number(result.get(key)) is not None for key in _BENCHMARK_KEYS)


def is_of_other_model(result: JsonValue, model: str | None) -> bool:
    """Tell whether a result says that another model was served than `model`."""
    said = result.get("model") if isinstance(result, dict) else None
    return isinstance(said, str) and model is not None and said.casefold() != model.casefold()


def image_format(name: str) -> str | None:
    """Return the format that a name such as `JPG` means: png, jpeg or webp, else None."""
    return _IMAGE_FORMATS.get(name.lower())


def stored_image_format(result: JsonObject) -> str:
    """Return the format of an image result, png when it does not say."""
    return image_format(str(result.get("format") or "png")) or "png"


def image_bytes(result: JsonObject) -> bytes | None:
    """Return the bytes of an image result, or None when they cannot be decoded."""
    encoded = result.get("image_base64")
    if not isinstance(encoded, str):
        return None
    if encoded.startswith("data:"):
        encoded = encoded.partition(",")[2]
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
