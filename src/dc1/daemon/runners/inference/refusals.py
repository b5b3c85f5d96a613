"""What an engine says instead of an answer, and whose affair it is: the order's, or the engine's."""

import json
from typing import Any

from dc1.daemon.runners.base import RunFailed
from dc1.domain.jobs.states import ErrorCategory

# What an engine says to an order that it cannot carry out: too long, or with values that it does not take.
_REFUSED = frozenset({400, 413, 422})
# Overload and restarts pass; what is wrong with the request does not.
_RETRYABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_MOST_CHARS = 500


def refusal(status: int, body: bytes) -> RunFailed:
    """Return the failure that an answer other than 200 stands for."""
    try:
        text = error_text(json.loads(body))
    except (ValueError, RecursionError):
        text = body.decode(errors="replace")[:_MOST_CHARS]
    return _failure(status, f"the engine answered {status}: {text}")


def failure_in_answer(chunk: dict[str, Any]) -> RunFailed | None:
    """Return the failure that an object of an answer stands for; None when it is a part of the answer."""
    # Some say `"error": null` in every chunk; others have no `error` around what they say of it.
    if not chunk.get("error") and (chunk.get("object") != "error" or "choices" in chunk):
        return None
    error = chunk.get("error") or chunk
    code = error.get("code") if isinstance(error, dict) else None
    if type(code) is int and code in _REFUSED:
        # Said with status 200, for the stream had begun before the engine looked.
        return _failure(code, f"the engine answered {code}: {error_text(chunk)}")
    return RunFailed(ErrorCategory.ENGINE, f"the engine failed: {error_text(chunk)}", transient=True)


def error_text(body: Any) -> str:
    """Find the message in an error body: `{"error": {"message"}}`, `{"error": text}`, `{"message"}` or `{"detail"}`."""
    error = (body.get("error") or body.get("detail") or body) if isinstance(body, dict) else body
    return str(error.get("message", error) if isinstance(error, dict) else error)[:_MOST_CHARS]


def _failure(status: int, text: str) -> RunFailed:
    memory = "out of memory" in text.casefold()
    category = ErrorCategory.INVALID_PARAMS if status in _REFUSED else ErrorCategory.ENGINE
    return RunFailed(ErrorCategory.OOM if memory else category, text, transient=status in _RETRYABLE)
