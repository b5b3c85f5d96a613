"""An answer put together of the chunks in which an engine sends it, whatever else stands in them."""

from typing import Any

from dc1.daemon.runners.base import token_count
from dc1.daemon.runners.inference.engine import Completion
from dc1.daemon.runners.inference.text import SplitText, carried, text_of, well_formed
from dc1.daemon.runners.inference.tool_calls import ToolCalls
from dc1.domain.base.json_types import JsonObject, JsonValue, compact, has_more_values, objects
from dc1.domain.inference.events import REASONINGS, reasoning_in

_MOST_LOGPROB_VALUES = 20_000
_SAID = (
    "content",
    "text",
    "tool_calls",
    "function_call",
    "refusal",
    "audio",
    *REASONINGS,
)
_DETAILS = ("prompt_tokens_details", "completion_tokens_details")


class Answer:
    """What has come of one answer."""

    def __init__(self, answers: int = 1) -> None:
        """`answers` is how many were asked for, of which only the first is kept."""
        self.finish_reason = ""
        """Empty until the engine has said why the text ends."""
        self._answers = answers
        self._finished: set[Any] = set()
        self._pieces: list[str] = []
        self._content = SplitText()
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._logprobs: dict[str, list[Any]] = {}
        self._tool_calls = ToolCalls()
        self._usage: dict[str, Any] = {}
        self._fingerprint = ""
        self._pieces_made = 0

    @property
    def is_finished(self) -> bool:
        """Whether the engine has said of as many answers as were asked for why they end."""
        return len(self._finished) >= self._answers

    def take(self, chunk: dict[str, Any]) -> str:
        """Return the text that a chunk adds."""
        # The last chunk has the usage and no choice; earlier ones may say null.
        if usage := chunk.get("usage"):
            self._usage = _object(usage) or self._usage
        if fingerprint := chunk.get("system_fingerprint"):
            self._fingerprint = text_of(fingerprint) or self._fingerprint
        choices = objects(chunk.get("choices"))
        first: dict[str, Any] | None = None
        for choice in choices:
            if choice.get("index") in (0, None) and first is None:
                first = choice
            if text_of(choice.get("finish_reason")):
                self._finished.add(str(choice.get("index")))
            if choice.get("delta") and says_something(choice):
                self._pieces_made += 1
        return "" if first is None else self._take_first(first)

    def _take_first(self, choice: dict[str, Any]) -> str:
        """Return the text that the first answer's part of a chunk adds."""
        self.finish_reason = text_of(choice.get("finish_reason")) or self.finish_reason
        delta = said_in(choice)
        if calls := delta.get("tool_calls"):
            self._tool_calls.add(calls)
        if reasoning := reasoning_in(delta):
            self._reasoning.append(reasoning)
        if refusal := text_of(delta.get("refusal")):
            self._refusal.append(refusal)
        if logprobs := choice.get("logprobs"):
            for name, tokens in _object(logprobs).items():
                if isinstance(tokens, list):
                    self._logprobs.setdefault(name, []).extend(tokens)
        return self._said(self._content.take(_content(delta.get("content")) or text_of(delta.get("text"))))

    def rest(self) -> str:
        """Return the text that waited for more."""
        return self._said(self._content.rest())

    def completion(self, device: str) -> Completion:
        """Return the whole."""
        return Completion(
            text="".join(self._pieces),
            prompt_tokens=token_count(self._usage.get("prompt_tokens")),
            # A server that reports no usage, or none that can be, sends a token a piece; how many one piece has that is
            # the whole of an answer is not known here.
            completion_tokens=token_count(self._usage.get("completion_tokens")) or self._pieces_made or None,
            device=device,
            finish_reason=well_formed(self.finish_reason) or "stop",
            tool_calls=self._tool_calls.whole(),
            extras=self._extras(),
        )

    def _said(self, text: str) -> str:
        if text:
            self._pieces.append(text)
        return text

    def _extras(self) -> JsonObject:
        extras: JsonObject = {
            "reasoning_content": well_formed("".join(self._reasoning)),
            "refusal": well_formed("".join(self._refusal)),
            "system_fingerprint": well_formed(self._fingerprint),
            "logprobs": self._kept_logprobs(),
            "usage_details": {name: carried(self._usage[name]) for name in _DETAILS if _object(self._usage.get(name))},
        }
        return {name: value for name, value in extras.items() if value}

    def _kept_logprobs(self) -> JsonValue:
        # The caller has them; of a result that has too many values nobody would have anything.
        logprobs = carried(self._logprobs)
        return None if has_more_values(compact(logprobs), _MOST_LOGPROB_VALUES) else logprobs


def said_in(choice: dict[str, Any]) -> dict[str, Any]:
    """Return what a choice adds: its delta, or the message of an engine that does not stream, or itself with a text."""
    said = _object(choice.get("delta")) or _object(choice.get("message"))
    return said or (choice if isinstance(choice.get("text"), str) else {})


def index_of(choice: dict[str, Any]) -> int:
    """Return which answer a choice is about, the first where it does not say."""
    index = choice.get("index")
    return index if type(index) is int else 0


def says_something(choice: dict[str, Any]) -> bool:
    """Tell whether a choice adds anything that a model made."""
    return any(map(said_in(choice).get, _SAID))


def _content(value: Any) -> str:
    """Return content that is a text, or a list of parts with texts."""
    if isinstance(value, list):
        return "".join(text_of(_object(part).get("text")) for part in value)
    return text_of(value)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
