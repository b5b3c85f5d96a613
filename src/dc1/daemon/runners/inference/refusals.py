"""What an engine says instead of an answer, and whose affair it is: the order's, or the engine's."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from dc1.daemon.runners.base import RunFailed
from dc1.domain.base.json_types import compact
from dc1.domain.errors.engine_refusals import BUSY, CONTEXT_LENGTH_EXCEEDED, REFUSED, EngineRefusal
from dc1.domain.jobs.states import ErrorCategory

# Overload and restarts pass; what is wrong with the request does not.
_RETRYABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
# OpenAI's code and llama.cpp's type.
_TOO_LONG = (CONTEXT_LENGTH_EXCEEDED, "exceed_context_size_error")
_BAD_REQUEST = 400
# What OpenAI's API, vLLM and TGI call a refusal where nothing has its status.
_STATUSES = {"invalid_request_error": 400, "BadRequestError": 400, "validation": 422, "rate_limit_error": BUSY}
# llama.cpp has 500 and 501 for what an order asks of it that it cannot do, now or later.
_FAULTS = frozenset({500, 501})
_UNSUPPORTED = re.compile(
    "(?:input|Infill) is not supported|does not support|is too large to process|^Failed to parse (?:tools|messages):"
)
_MOST_CHARS = 500
_MOST_DIGITS = 9


def refusal(status: int, body: bytes, headers: Mapping[str, str]) -> RunFailed:
    """Return the failure that an answer other than 200 stands for."""
    wait = _seconds(headers.get("retry-after", ""))
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return _failure(status, body.decode(errors="replace")[:_MOST_CHARS], retry_after_seconds=wait)
    if status in _FAULTS and _UNSUPPORTED.search(error_text(said)):
        status = _BAD_REQUEST
    return _failure(status, error_text(said), is_too_long=_is_too_long(said), retry_after_seconds=wait)


def unheeded(what: str) -> RunFailed:
    """Return what a call is told that asks for what the engine would pass over; `what` is one of `UNHEEDED`."""
    return refusal(400, compact({"message": f"the engine passes over {what}"}).encode(), {})


def too_large() -> RunFailed:
    """Return what a call is told whose answer is larger than any that is carried: it can ask for less at once."""
    return refusal(413, b'{"message": "the answer is larger than the market carries; send less at once"}', {})


def failure_in_answer(chunk: dict[str, Any]) -> RunFailed | None:
    """Return the failure that an object of an answer stands for; None when it is a part of the answer."""
    # Some say `"error": null` in every chunk; others have no `error` around what they say of it.
    if not chunk.get("error") and (chunk.get("object") != "error" or "choices" in chunk):
        return None
    status = _status_said(chunk)
    if status in REFUSED or status == BUSY:
        # Said with status 200, for the stream had begun before the engine looked.
        return _failure(status, error_text(chunk), is_too_long=_is_too_long(chunk))
    return RunFailed(ErrorCategory.ENGINE, f"the engine failed: {error_text(chunk)}", transient=True)


def _status_said(chunk: dict[str, Any]) -> int:
    """Return the status that an error in an answer stands for, 0 where it says none."""
    if _is_too_long(chunk):
        return _BAD_REQUEST
    error = chunk.get("error") or chunk
    said = error if isinstance(error, dict) else chunk
    for name in ("code", "http_status_code", "status_code", "status"):
        code = said.get(name)
        if type(code) is int or (isinstance(code, str) and re.fullmatch("[1-5][0-9][0-9]", code)):
            return int(code)
    # A word for a code says what it is about, which need not stand in the call: the key of an engine for one.
    named = "" if said.get("code") else str(said.get("type") or chunk.get("error_type"))
    return _STATUSES.get(named, 0)


def error_text(body: Any) -> str:
    """Find the message in an error body: `{"error": {"message"}}`, `{"error": text}`, `{"message"}` or `{"detail"}`."""
    error = (body.get("error") or body.get("detail") or body) if isinstance(body, dict) else body
    return str(error.get("message", error) if isinstance(error, dict) else error)[:_MOST_CHARS]


def _is_too_long(body: Any) -> bool:
    """Tell whether an error says by its code or type that the prompt is too long."""
    error = (body.get("error") or body) if isinstance(body, dict) else None
    return isinstance(error, dict) and any(error.get(name) in _TOO_LONG for name in ("code", "type"))


def _seconds(retry_after: str) -> int | None:
    """Return a Retry-After, which is seconds or a date; None of anything else."""
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return int(text[:_MOST_DIGITS])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return round((at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _failure(status: int, said: str, *, is_too_long: bool = False, retry_after_seconds: int | None = None) -> RunFailed:
    text = f"the engine answered {status}{' (prompt too long)' if is_too_long else ''}: {said}"
    refused = EngineRefusal.read(status, CONTEXT_LENGTH_EXCEEDED if is_too_long else "", retry_after_seconds, text)
    return RunFailed(_category(status, said), text, transient=status in _RETRYABLE, refusal=refused)


def _category(status: int, said: str) -> ErrorCategory:
    if "out of memory" in said.casefold():
        return ErrorCategory.OOM
    if status == BUSY:
        return ErrorCategory.ENGINE_BUSY
    return ErrorCategory.INVALID_PARAMS if status in REFUSED else ErrorCategory.ENGINE
