"""An answer of chat as one of Anthropic's Messages API, whole or event by event."""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from dc1.domain.base.json_types import JsonObject, JsonValue, is_deeper, parse_strictly
from dc1.domain.inference.dialects.chat_answer import Counts, NamedCalls, Said, ToolCall
from dc1.domain.inference.dialects.messages_request import MessagesCall

_STOP_REASONS = {"length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


_MAX_DEPTH = 100
"""Arguments that are nested more deeply are told as they were written."""


_MARKS: Final = re.compile(r'[][{}"]|\\.?', re.DOTALL)
_OPENING, _CLOSING = ("{", "["), ("}", "]")


class _Block(StrEnum):
    """The blocks that an answer is made of."""

    TEXT = "text"
    THINKING = "thinking"
    TOOL_USE = "tool_use"


def message_of(answer: JsonObject, call: MessagesCall) -> JsonObject:
    """Return the message that a chat.completion is."""
    said = Said.of(answer)
    content: list[JsonValue] = []
    if call.thinks and said.reasoning:
        content.append({"type": _Block.THINKING, "thinking": said.reasoning, "signature": ""})
    if text := said.text + said.refusal:
        content.append({"type": _Block.TEXT, "text": text})
    content += [_tool_use(tool, _input(tool.arguments)) for tool in said.calls]
    return {
        **_head(answer),
        "content": content,
        **_stop(said, call, calls=bool(said.calls)),
        "usage": _usage(Counts.of(answer) or Counts()),
    }


class _Arguments:
    """How far the arguments of a call have come; `have_come` is set once their object ends.

    Each piece is read once: an engine may send very many, and the whole would be read again with each.
    """

    def __init__(self) -> None:
        self.have_come = False
        self._depth = 0
        self._is_in_string = False
        self._is_escaped = False

    def add(self, piece: str) -> None:
        """Read what comes next."""
        start, self._is_escaped = int(self._is_escaped and bool(piece)), False
        for found in _MARKS.finditer(piece, start):
            mark = found.group()
            if mark == '"':
                self._is_in_string = not self._is_in_string
            elif mark == "\\":
                # What it stands before is in the next piece.
                self._is_escaped = True
            elif not self._is_in_string:
                self._depth += (mark in _OPENING) - (mark in _CLOSING)
                self.have_come = self.have_come or (mark in _CLOSING and self._depth <= 0)


class MessagesStream:
    """The events of one answer, in the order in which chunks make them."""

    def __init__(self, call: MessagesCall) -> None:
        self._call = call
        self._is_begun = False
        self._open: _Block | None = None
        self._blocks = 0
        # By the index that chat gives them: the block of each call of a tool.
        self._tools: dict[int, int] = {}
        # The arguments of the call that is told now, and what came meanwhile of those that wait for its end.
        self._arguments = _Arguments()
        self._waiting: dict[int, list[ToolCall]] = {}
        self._calls = NamedCalls()
        self._current = -1
        self._last = Said()
        self._counts = Counts()

    def take(self, chunk: JsonObject) -> Iterator[JsonObject]:
        """Yield the events that a chunk is."""
        if not self._is_begun:
            self._is_begun = True
            start: JsonObject = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": _usage(Counts())}
            yield {"type": "message_start", "message": {**_head(chunk), **start}}
        said = Said.of(chunk)
        if said.reasoning and self._call.thinks:
            yield from self._in(_Block.THINKING, {"thinking": "", "signature": ""})
            yield self._delta({"type": "thinking_delta", "thinking": said.reasoning})
        if text := said.text + said.refusal:
            yield from self._in(_Block.TEXT, {"text": ""})
            yield self._delta({"type": "text_delta", "text": text})
        for tool in self._calls.take(said.calls):
            yield from self._tool(tool)
        if said.finish_reason:
            self._last = said
        self._counts = Counts.of(chunk) or self._counts

    def end(self) -> Iterator[JsonObject]:
        """Yield what follows the last chunk."""
        for tool in self._calls.rest():
            yield from self._tool(tool)
        yield from self._waited()
        yield from self._close()
        yield {
            "type": "message_delta",
            "delta": _stop(self._last, self._call, calls=bool(self._tools)),
            "usage": _usage(self._counts),
        }
        yield {"type": "message_stop"}

    def _tool(self, tool: ToolCall) -> Iterator[JsonObject]:
        """Yield what a piece of a call adds; blocks follow each other there, and in chat pieces of several may mix."""
        if tool.index not in self._tools and self._open is _Block.TOOL_USE and not self._arguments.have_come:
            self._waiting.setdefault(tool.index, []).append(tool)
            return
        yield from self._piece(tool)
        while self._waiting and self._arguments.have_come:
            yield from self._next()

    def _waited(self) -> Iterator[JsonObject]:
        while self._waiting:
            yield from self._next()

    def _next(self) -> Iterator[JsonObject]:
        for piece in self._waiting.pop(next(iter(self._waiting))):
            yield from self._piece(piece)

    def _piece(self, tool: ToolCall) -> Iterator[JsonObject]:
        if tool.index not in self._tools:
            yield from self._close()
            self._tools[tool.index] = self._blocks
            self._arguments = _Arguments()
            yield from self._begin(_Block.TOOL_USE, _tool_use(tool, {}))
        if tool.arguments:
            if self._tools[tool.index] == self._current:
                self._arguments.add(tool.arguments)
            part: JsonObject = {"type": "input_json_delta", "partial_json": tool.arguments}
            yield {"type": "content_block_delta", "index": self._tools[tool.index], "delta": part}

    def _in(self, kind: _Block, empty: JsonObject) -> Iterator[JsonObject]:
        if self._open is not kind:
            yield from self._waited()
            yield from self._close()
            yield from self._begin(kind, {"type": kind, **empty})

    def _begin(self, kind: _Block, block: JsonObject) -> Iterator[JsonObject]:
        self._open, self._current = kind, self._blocks
        self._blocks += 1
        yield {"type": "content_block_start", "index": self._current, "content_block": block}

    def _close(self) -> Iterator[JsonObject]:
        if self._open is not None:
            self._open = None
            yield {"type": "content_block_stop", "index": self._current}

    def _delta(self, delta: JsonObject) -> JsonObject:
        return {"type": "content_block_delta", "index": self._current, "delta": delta}


def _head(answer: JsonObject) -> JsonObject:
    return {"id": answer.get("id"), "type": "message", "role": "assistant", "model": answer.get("model")}


def _tool_use(tool: ToolCall, arguments: JsonObject) -> JsonObject:
    return {"type": _Block.TOOL_USE, "id": tool.id or f"toolu_{tool.index}", "name": tool.name, "input": arguments}


def _input(arguments: str) -> JsonObject:
    try:
        said = parse_strictly(arguments or "{}", parse_int=int)
    except ValueError:
        said = None
    # What a model wrote wrongly is the caller's to see, who alone can ask it again.
    return said if isinstance(said, dict) and not is_deeper(said, _MAX_DEPTH) else {"arguments": arguments}


def _stop(said: Said, call: MessagesCall, *, calls: bool) -> JsonObject:
    if said.stop in call.stops:
        return {"stop_reason": "stop_sequence", "stop_sequence": said.stop}
    # Engines differ in whether a call of a tool is why an answer ends.
    usual = "tool_use" if calls else "end_turn"
    return {"stop_reason": _STOP_REASONS.get(said.finish_reason, usual), "stop_sequence": None}


def _usage(counts: Counts) -> JsonObject:
    """Return tokens as this API counts them: what was read before is no part of `input_tokens`."""
    return {
        "input_tokens": max(0, counts.prompt - counts.cached),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": counts.cached,
        "output_tokens": counts.completion,
    }
