"""What an answer of chat says, chunk or whole, as the other dialects look at it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final, Self

from dc1.domain import errors
from dc1.domain.base.json_types import JsonObject, JsonValue, compact
from dc1.domain.base.numeric import as_integer
from dc1.domain.inference.events import content_in, part_texts, reasoning_in

# A daemon may pass on any number of them, and everybody else waits while they are told.
_MOST_CALLS: Final = 1_024
_MOST_NAME: Final = 1_024
_MOST_KEPT: Final = 4 * 1024 * 1024
"""Characters of an answer that are kept until its end: hundreds for each of 8,192 tokens."""

# In part it would be taken for the whole, and what it wants done would be.
_TOO_MANY: Final = "The answer calls more tools than can be told"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, or the next fragment of one; `index` tells those of an answer apart."""

    index: int
    id: str
    name: str
    arguments: str


class Kept:
    """How much of an answer is kept until its end, of which a daemon may pass on any amount."""

    def __init__(self, *, is_bounded: bool = True) -> None:
        self._left: float = _MOST_KEPT if is_bounded else inf

    def add(self, text: str) -> None:
        """Count what is kept.

        Raises:
            provider_unavailable: It is more than an answer can be.
        """
        self._left -= len(text)
        if self._left < 0:
            raise errors.provider_unavailable("The answer is longer than any can be")


class NamedCalls:
    """Fragments of the calls of one answer, of which the first has all of the name: some engines tell it in pieces."""

    def __init__(self, *, is_bounded: bool = True) -> None:
        self._begun: set[int] = set()
        self._held: dict[int, ToolCall] = {}
        self._kept = Kept(is_bounded=is_bounded)

    def take(self, said: Sequence[ToolCall]) -> Iterator[ToolCall]:
        """Yield what can be told of fragments: a call once its arguments begin, or another call does.

        Raises:
            provider_unavailable: They are of more calls than any answer has, or say more.
        """
        for call in said:
            if len(self._begun) > _MOST_CALLS:
                raise errors.provider_unavailable(_TOO_MANY)
            self._kept.add(call.arguments)
            if call.index not in self._held:
                yield from self.rest()
            if call.index in self._begun:
                yield call
                continue
            held = self._held.get(call.index, ToolCall(call.index, "", "", ""))
            # Others tell all of it again.
            is_more = call.name != held.name and len(held.name) < _MOST_NAME
            name = held.name + call.name if is_more else held.name
            self._held[call.index] = ToolCall(call.index, held.id or call.id, name, call.arguments)
            if call.arguments:
                yield from self.rest()

    def rest(self) -> Iterator[ToolCall]:
        """Yield what was held, as nothing of it comes any more."""
        held, self._held = self._held, {}
        self._begun |= held.keys()
        yield from held.values()


@dataclass(frozen=True, slots=True)
class Said:
    """What a chunk or an answer says in its first choice."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    finish_reason: str = ""
    stop: str = ""
    """The sequence that ended it, of engines that say which."""

    @classmethod
    def of(cls, chunk: JsonObject) -> Self:
        """Return what a chat.completion or a chunk of one says; what is of no type that it can have is nothing.

        More calls of tools than any answer has are refused.
        """
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return cls()
        message = choice.get("delta") or choice.get("message")
        said = message if isinstance(message, dict) else {}
        return cls(
            text=content_in(said) or _spoken(said.get("audio")),
            reasoning=reasoning_in(said) or content_in(said, "thinking"),
            refusal=part_texts(said.get("refusal")) or content_in(said, "refusal"),
            calls=[_call(call, at) for at, call in enumerate(_calls_in(said))],
            finish_reason=_text(choice.get("finish_reason")),
            stop=_text(choice.get("stop_reason")),
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens as chat counts them."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0

    @classmethod
    def of(cls, chunk: JsonObject) -> Self | None:
        """Return what an answer or a chunk says of its tokens, None where it says nothing."""
        usage = chunk.get("usage")
        if not isinstance(usage, dict):
            return None
        prompt, completion = (as_integer(usage.get(f"{kind}_tokens")) or 0 for kind in ("prompt", "completion"))
        return cls(
            prompt=prompt,
            completion=completion,
            # No more of a kind than there are, whatever the engine says.
            cached=min(_detail(usage, "prompt_tokens_details", "cached_tokens"), prompt),
            reasoning=min(_detail(usage, "completion_tokens_details", "reasoning_tokens"), completion),
        )


def _calls_in(said: JsonObject) -> list[JsonValue]:
    """Return the calls of tools.

    Raises:
        provider_unavailable: They are more than any answer has.
    """
    calls, function = said.get("tool_calls"), said.get("function_call")
    if isinstance(calls, list) and calls:
        if len(calls) > _MOST_CALLS:
            raise errors.provider_unavailable(_TOO_MANY)
        return calls
    # The one call of before there were several, which has no id.
    return [{"index": 0, "function": function}] if isinstance(function, dict) else []


def _spoken(audio: JsonValue) -> str:
    """Return the words of a sound, for which nobody asks here and some engines make all the same."""
    return part_texts(audio.get("transcript")) if isinstance(audio, dict) else ""


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def _call(call: JsonValue, at: int) -> ToolCall:
    call = call if isinstance(call, dict) else {}
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    arguments = function.get("arguments")
    index = as_integer(call.get("index"))
    return ToolCall(
        index=at if index is None else index,
        id=_text(call.get("id")),
        name=_text(function.get("name")),
        # Some engines send the object itself.
        arguments=compact(arguments) if isinstance(arguments, dict) else _text(arguments),
    )


def _detail(usage: JsonObject, kind: str, name: str) -> int:
    details = usage.get(kind)
    return (as_integer(details.get(name)) or 0) if isinstance(details, dict) else 0
