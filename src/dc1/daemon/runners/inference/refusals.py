"""What an engine says instead of an answer, and whose affair it is: the order's, or the engine's."""

import json
from typing import Any

from dc1.daemon.runners.base import RunFailed
from dc1.domain.jobs.states import ErrorCategory

# What an engine says to an order that it cannot carry out: too long, or with values that it does not take.
_REFUSED = frozenset({400, 413, 422})
# Overload and restarts pass; what is wrong with the request does not.
_RETRYABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
# OpenAI's code and llama.cpp's type.
_TOO_LONG = ("context_length_exceeded", "exceed_context_size_error")
_MOST_CHARS = 500


def refusal(status: int, body: bytes) -> RunFailed:
    """Return the failure that an answer other than 200 stands for."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return _failure(status, body.decode(errors="replace")[:_MOST_CHARS])
    return _failure(status, error_text(said), _is_too_long(said))


def failure_in_answer(chunk: dict[str, Any]) -> RunFailed | None:
    """Return the failure that an object of an answer stands for; None when it is a part of the answer."""
    # Some say `"error": null` in every chunk; others have no `error` around what they say of it.
    if not chunk.get("error") and (chunk.get("object") != "error" or "choices" in chunk):
        return None
    error = chunk.get("error") or chunk
    code = error.get("code") if isinstance(error, dict) else None
    if type(code) is int and code in _REFUSED:
        # Said with status 200, for the stream had begun before the engine looked.
        return _failure(code, error_text(chunk), _is_too_long(chunk))
    return RunFailed(ErrorCategory.ENGINE, f"the engine failed: {error_text(chunk)}", transient=True)


def error_text(body: Any) -> str:
    """Find the message in an error body: `{"error": {"message"}}`, `{"error": text}`, `{"message"}` or `{"detail"}`."""
    error = (body.get("error") or body.get("detail") or body) if isinstance(body, dict) else body
    return str(error.get("message", error) if isinstance(error, dict) else error)[:_MOST_CHARS]


def _is_too_long(body: Any) -> bool:
    """Tell whether an error says by its code or type that the prompt is too long."""
    error = (body.get("error") or body) if isinstance(body, dict) else None
    return isinstance(error, dict) and any(error.get(name) in _TOO_LONG for name in ("code", "type"))


def _failure(status: int, said: str, is_too_long: bool = False) -> RunFailed:
    memory = "out of memory" in said.casefold()
    category = ErrorCategory.INVALID_PARAMS if status in _REFUSED else ErrorCategory.ENGINE
    text = f"the engine answered {status}{' (prompt too long)' if is_too_long else ''}: {said}"
    return RunFailed(ErrorCategory.OOM if memory else category, text, transient=status in _RETRYABLE)
