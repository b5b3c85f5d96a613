"""What of an answer no reader could use, made what readers look for."""

from typing import Any

from dc1.daemon.runners.inference.answer import index_of
from dc1.daemon.runners.inference.event_stream import Event
from dc1.daemon.runners.inference.text import text_of, well_formed
from dc1.domain.base.json_types import compact, has_halves, objects


class Asked:
    """Which answers to a call are told: as many as are wanted, by their numbers; of one wanted the first that comes."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._only: int | None = None
        self._first = 0
        self._counts_chunks = False
        self._leaves_out = False

    def told(self, value: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
        """Leave those in an event that are, each with its number as readers count; tell whether anything was changed.

        What nobody asked for nobody pays.
        """
        said = objects(value.get("choices"))
        if self._only == 0 and len(said) == 1 and said[0].get("index") == 0 and type(said[0]["index"]) is int:
            # A token, as a rule; asked of every one.
            self._counts_chunks = False
            return said, self._leaves_out and _uncounted(value)
        if self._wanted == 1 and said:
            self._follow([*map(index_of, said)])
        choices = [choice for choice in said if self._is_told(index_of(choice))]
        changed = len(choices) < len(said)
        if changed:
            value["choices"] = choices
            self._leaves_out = True
        changed |= self._leaves_out and _uncounted(value)
        for choice in choices:
            index = 0 if self._wanted == 1 else index_of(choice)
            if type(choice.get("index")) is not int or choice["index"] != index:
                choice["index"], changed = index, True
        return choices, changed

    def _follow(self, said: list[int]) -> None:
        """Find by which number the one answer goes: of some engines (TGI 1.4, Foundry Local) it is the chunk's."""
        if self._only is None:
            self._first = said[0]
            self._only = self._first
            self._counts_chunks = len(said) == 1
        elif self._counts_chunks:
            self._counts_chunks = said == [self._only + 1]
            self._only = self._only + 1 if self._counts_chunks else self._first

    def _is_told(self, index: int) -> bool:
        return 0 <= index < self._wanted if self._only is None else index == self._only


def _uncounted(value: dict[str, Any]) -> bool:
    """Take out how many tokens an engine says that it made, among which are those that are left out."""
    usage = value.get("usage")
    return isinstance(usage, dict) and usage.pop("completion_tokens", None) is not None


def mend_said(choice: dict[str, Any], name: str) -> bool:
    """Have a choice say what it adds under the name where readers look for it; tell whether it did not.

    A chunk has a `delta`, an answer in one piece a `message`; either may come in place of the other, or as a text.
    """
    said, changed = choice.get(name), False
    if isinstance(said, dict) and isinstance(said.get("content"), str) and "tool_calls" not in said:
        return False
    if not isinstance(said, dict):
        other, text = choice.pop("message" if name == "delta" else "delta", None), choice.pop("text", None)
        said = other if isinstance(other, dict) else {"content": text} if isinstance(text, str) else {}
        choice[name], changed = said, True
    return _mend_types(said) or changed


def _mend_types(said: dict[str, Any]) -> bool:
    """Have content and calls of tools be of the types that readers add to each other; tell whether they were not."""
    content, calls = said.get("content"), said.get("tool_calls")
    changed = False
    if not (content is None or isinstance(content, str | list)):
        said["content"] = text_of(content.get("text")) if isinstance(content, dict) else compact(content)
        changed = True
    if not (calls is None or isinstance(calls, list)):
        said["tool_calls"] = [calls] if isinstance(calls, dict) else []
        changed = True
    return changed


def whole_mended(event: Event, choices: list[dict[str, Any]], *, changed: bool = False) -> str:
    """Return an answer in one piece as it is told, each of its choices with who says it."""
    for choice in choices:
        message = choice.get("message")
        if isinstance(message, dict) and "role" not in message:
            message["role"] = "assistant"
            changed = True
    if has_halves(event.text, event.value):
        return well_formed(compact(event.value))
    return compact(event.value) if changed else event.text
