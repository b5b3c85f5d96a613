"""What an engine says instead of an answer, in numbers, so that a caller is told it as it was meant."""

import re
from dataclasses import dataclass
from typing import Self

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.base.numeric import as_integer

BUSY = 429
REFUSED = frozenset({400, 413, 422})
"""What an engine says to a call that it cannot carry out: too long, or with values that it does not take."""

MOST_RETRY_AFTER_SECONDS = 3600
"""What is longer is no news of an engine that is busy."""

CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"

UNHEEDED = (
    "echo",
    "n beside a suffix",
    "functions",
    "function_call",
    "audio",
    "modalities",
    "web_search_options",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "structured_outputs",
    "response_format",
    "logprobs",
    "tool_choice",
)
"""What a call may ask for that some engines pass over, so that they answer 200 without it."""

# Of daemons that say it in words only.
_IN_WORDS = re.compile(r"the engine answered (\d{3})(?!\d)( \(prompt too long\))?", re.ASCII)
_TOO_LONG_IN_WORDS = re.compile(
    r"maximum context length is \d|context length \(\d{1,8} tokens\)|exceeds the available context size"
)
_WORDS_READ = 2000


@dataclass(frozen=True, slots=True)
class EngineRefusal:
    """Status of an engine's answer; whether the prompt was too long, and after how long it wants to be asked again."""

    status: int
    is_too_long: bool = False
    retry_after_seconds: int | None = None

    @classmethod
    def read(cls, status: int, code: str, retry_after_seconds: int | None, words: str) -> Self | None:
        """Return the refusal that a daemon tells, in words if in no other way; None when it is no refusal."""
        if not status:
            said = _IN_WORDS.match(words, 0, _WORDS_READ)
            if said is None:
                return None
            is_too_long = said[2] is not None or _TOO_LONG_IN_WORDS.search(words, 0, _WORDS_READ) is not None
            return cls._of(int(said[1]), is_too_long, None)
        return cls._of(status, code == CONTEXT_LENGTH_EXCEEDED, retry_after_seconds)

    @classmethod
    def _of(cls, status: int, is_too_long: bool, retry_after_seconds: int | None) -> Self | None:
        if status not in REFUSED and status != BUSY:
            return None
        wait = None if retry_after_seconds is None else min(max(retry_after_seconds, 1), MOST_RETRY_AFTER_SECONDS)
        return cls(status, is_too_long and status in REFUSED, wait if status == BUSY else None)

    @classmethod
    def stored(cls, kept: JsonValue) -> Self | None:
        """Return what a job keeps of a refusal; None where that is nothing."""
        status = as_integer(kept.get("status")) if isinstance(kept, dict) else None
        if status is None or not isinstance(kept, dict):
            return None
        return cls._of(status, kept.get("is_too_long") is True, as_integer(kept.get("retry_after_seconds")))

    def to_store(self) -> JsonObject:
        """Return what a job keeps of it."""
        return {
            "status": self.status,
            "is_too_long": self.is_too_long,
            "retry_after_seconds": self.retry_after_seconds,
        }
