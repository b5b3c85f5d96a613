"""What an engine said of a call, object by object: counted, and told to the caller as it is but for its names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from dc1.domain.base.json_members import Member, members, spliced
from dc1.domain.base.json_types import JsonObject, JsonValue, compact, has_halves, has_more_values, is_deeper, objects
from dc1.domain.inference.images import IMAGE_TOKENS, pictures_in
from dc1.domain.inference.typed_answers import is_typed_end, is_typed_event, outer_of, typed_text
from dc1.domain.inference.usage import uncounted_tokens

MAX_EVENT_VALUES = 1_000_000
"""Logprobs of 8,192 tokens and their twenty alternatives; reading more would hold up everybody else."""

_MAX_DEPTH = 100
_MOST_COUNTED = 2**31 - 1
_PLAIN = frozenset({"role", "content"})
REASONINGS = ("reasoning_content", "reasoning", "thinking", "reasoning_details", "thinking_blocks")
"""Under which names engines say what a model thinks; those that say it under several mean it once."""

_PART_TEXTS = ("text", "thinking", "summary", "refusal")


@dataclass(frozen=True, slots=True)
class AnswerEvent:
    """One object of an answer: a chunk of a stream, or the whole of another answer."""

    text: str
    members: dict[str, Member]
    choices: list[JsonObject]
    """The answers that it is about: found once, for everybody on its way asks for them."""

    @classmethod
    def read(cls, sent: bytes) -> Self | None:
        """Return the event, or None where a daemon sent what is none that a caller could read."""
        try:
            text = sent.decode()
            if has_more_values(text, MAX_EVENT_VALUES):
                return None
            found = members(text)
        except ValueError:
            return None
        if not _is_writable(text, found):
            return None
        said = found["choices"].value if "choices" in found else None
        return cls(text, found, objects(said))

    @classmethod
    def read_all(cls, sent: Sequence[bytes]) -> tuple[Self, ...]:
        """Return the events up to the first that is none: what follows it is missing a part."""
        found = []
        for each in sent:
            event = cls.read(each)
            if event is None:
                break
            found.append(event)
        return tuple(found)

    @property
    def usage(self) -> JsonObject | None:
        """The tokens that the engine counted, if it says so here."""
        found = self.value("usage")
        return found if isinstance(found, dict) else None

    @property
    def is_end(self) -> bool:
        """Whether it says why its answers end, or nothing but what they took."""
        choices = self.choices
        if choices:
            return all(choice.get("finish_reason") for choice in choices)
        return self.usage is not None or is_typed_end(self.values)

    @property
    def values(self) -> JsonObject:
        """All that it says, by key."""
        return {name: member.value for name, member in self.members.items()}

    def value(self, name: str) -> JsonValue:
        """Return the value of a key; None for one that is not there."""
        member = self.members.get(name)
        return None if member is None else member.value

    def content(self) -> str:
        """Return what it adds to the text of the first answer."""
        first = (_said(choice) for choice in self.choices if choice.get("index") in (0, None))
        return "".join(content_in(said) for said in first)

    def made(self) -> tuple[str, int]:
        """Return all that a model made of it, and how many tokens that is at least."""
        choices = self.choices
        if len(choices) == 1 and self._is_plain_chunk:
            # A token, as a rule; asked of every one.
            text = "".join(_texts(_said(choices[0])))
            return text, int(bool(text))
        pieces = ["".join(_texts(_said(choice))) for choice in choices]
        # The whole of an answer says how many it is; a chunk is a token of each answer that it is about.
        is_whole = any(isinstance(choice.get("message"), dict) for choice in choices)
        text, tokens = "".join(pieces), sum(map(bool, pieces))
        if is_whole:
            tokens = self._counted("completion_tokens") or uncounted_tokens(len(text.encode()))
        elif self.is_end:
            # Of a text that goes on the last piece looks as the whole does.
            tokens = max(tokens, uncounted_tokens(len(text.encode())))
        if not choices and (typed := typed_text(self.values)):
            counted = 1 if is_typed_event(self.values) else self._counted("output_tokens")
            return typed, counted or uncounted_tokens(len(typed.encode()))
        pictures = pictures_in(self.value("data"))
        return "".join([text, *pictures]), tokens + IMAGE_TOKENS * len(pictures)

    def _counted(self, name: str) -> int:
        """Return what the engine counted, 0 for what is no such number: its daemon reports nothing of that either."""
        said = (self.usage or {}).get(name)
        return said if type(said) is int and 0 < said <= _MOST_COUNTED else 0

    @property
    def _is_plain_chunk(self) -> bool:
        """Whether it adds to one answer that goes on, and says nothing else that counts."""
        choice = self.choices[0]
        return not ("message" in choice or choice.get("finish_reason") or "data" in self.members)

    def told(self, **changes: JsonValue) -> str:
        """Return its text with other values of some keys, in one line."""
        is_part = "type" in self.members and is_typed_event(self.values)
        text = self._told_within(changes) if is_part else spliced(self.text, changes, self.members)
        # A line break between the values of an answer would be the end of a frame.
        return text if "\n" not in text and "\r" not in text else text.replace("\r", " ").replace("\n", " ")

    def _told_within(self, changes: JsonObject) -> str:
        """Return its text with what changes of the whole that it begins or ends; of others their usage alone."""
        outer = outer_of(self.values)
        if outer is None:
            return spliced(self.text, {name: value for name, value in changes.items() if name == "usage"}, self.members)
        stands = self.members[outer]
        try:
            whole = spliced(self.text[stands.start : stands.end], changes)
        except ValueError:
            # It names a key twice, of which only the last was read.
            assert isinstance(stands.value, dict)
            whole = compact(stands.value | changes)
        return f"{self.text[: stands.start]}{whole}{self.text[stands.end :]}"


def _is_writable(text: str, found: Mapping[str, Member]) -> bool:
    """Tell whether parts of an event can be written again, which takes no half of a character and no deep nesting."""
    # Most texts need not be looked at more closely, and this is asked of every token.
    may_be_deep = text.count("{") + text.count("[") > _MAX_DEPTH
    if not may_be_deep and "\\u" not in text:
        return True
    value: JsonObject = {name: member.value for name, member in found.items()}
    return not (may_be_deep and is_deeper(value, _MAX_DEPTH)) and not has_halves(text, value)


def _said(choice: JsonObject) -> JsonObject:
    said = choice.get("delta") or choice.get("message")
    if isinstance(said, dict):
        return said
    # A text that goes on has no turns.
    return {"content": choice["text"]} if isinstance(choice.get("text"), str) else {}


def _texts(said: JsonObject) -> Iterator[str]:
    content = said.get("content")
    if isinstance(content, str):
        yield content
        # A token, as a rule; asked of every one.
        if said.keys() <= _PLAIN:
            return
    else:
        yield part_texts(content)
    yield reasoning_in(said)
    yield part_texts(said.get("refusal"))
    audio = said.get("audio")
    if isinstance(audio, dict):
        yield part_texts(audio.get("transcript")) or part_texts(audio.get("data"))
    functions = (call.get("function") for call in objects(said.get("tool_calls")))
    for function in (*functions, said.get("function_call")):
        if isinstance(function, dict):
            yield from (part if isinstance(part, str) else compact(part) for part in function.values() if part)


def content_in(said: JsonObject, kind: str = "text") -> str:
    """Return what the content of a message says of a kind: a text is one, and of a list its parts of that kind."""
    content = said.get("content")
    if isinstance(content, list):
        return "".join(part_texts(part.get(kind)) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) and kind == "text" else ""


def reasoning_in(said: JsonObject) -> str:
    """Return what a message or a part of one says of what its model thinks, empty where it says nothing of it."""
    return next((text for name in REASONINGS if name in said and (text := part_texts(said[name]))), "")


def part_texts(value: JsonValue) -> str:
    """Return a text, also one that is said in a list of parts, as engines do that tell thinking from it so."""
    if isinstance(value, list):
        return "".join(map(part_texts, value))
    if isinstance(value, dict):
        return "".join(part_texts(value.get(name)) for name in _PART_TEXTS)
    return value if isinstance(value, str) else ""
