"""An answer of chat as the events of OpenAI's Responses API, or as the one object that they end with."""

from collections.abc import Iterator
from dataclasses import dataclass

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.inference.dialects.chat_answer import Counts, Kept, NamedCalls, Said, ToolCall
from dc1.domain.inference.dialects.responses_answer import (
    INCOMPLETE,
    begun,
    call_item,
    ended,
    message_item,
    reasoning_item,
    refusal_part,
    text_part,
)
from dc1.domain.inference.dialects.responses_request import ResponsesCall


@dataclass(slots=True)
class _Item:
    """An item that is being said: its place in the output, and what it has so far, piece by piece."""

    id: str
    index: int
    kind: str
    pieces: list[str]
    tool: ToolCall | None = None
    is_cut: bool = False

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def whole(self) -> JsonObject:
        """Return the item as the answer has it in the end."""
        whole = self._made()
        return whole | {"status": "incomplete"} if self.is_cut and "status" in whole else whole

    def _made(self) -> JsonObject:
        match self.kind:
            case "reasoning_text":
                return reasoning_item(self.id, self.text)
            case "output_text":
                return message_item(self.id, Said(text=self.text))
            case "refusal":
                return message_item(self.id, Said(refusal=self.text))
        tool = self.tool or ToolCall(0, "", "", "")
        return call_item(self.id, ToolCall(tool.index, tool.id, tool.name, self.text))

    def part(self) -> JsonObject:
        """Return its one part, so far; a call of a tool has none."""
        match self.kind:
            case "reasoning_text":
                return {"type": self.kind, "text": self.text}
            case "refusal":
                return refusal_part(self.text)
        return text_part(self.text)


# What an item is before anything of it is said: the list that is empty then.
_EMPTY: dict[str, JsonObject] = {
    "reasoning_text": {"content": []},
    "output_text": {"content": []},
    "refusal": {"content": []},
    "function_call": {"arguments": ""},
}
_PREFIX = {"reasoning_text": "rs", "output_text": "msg", "refusal": "msg", "function_call": "fc"}


class ResponsesStream:
    """The events of one answer, in the order in which chunks make them, each with its number."""

    def __init__(self, call: ResponsesCall, *, is_bounded: bool = True) -> None:
        self._call = call
        self._numbers = 0
        self._head: JsonObject = {}
        self._output: list[_Item] = []
        self._open: _Item | None = None
        self._tools: dict[int, _Item] = {}
        self._calls = NamedCalls(is_bounded=is_bounded)
        self._kept = Kept(is_bounded=is_bounded)
        self._finish_reason = ""
        self._counts: Counts | None = None

    def take(self, chunk: JsonObject) -> Iterator[JsonObject]:
        """Yield the events that a chunk is."""
        yield from self._created(chunk)
        said = Said.of(chunk)
        for kind, text in (("reasoning_text", said.reasoning), ("output_text", said.text), ("refusal", said.refusal)):
            if text:
                yield from self._say(kind, text)
        for tool in self._calls.take(said.calls):
            yield from self._call_tool(tool)
        self._finish_reason = said.finish_reason or self._finish_reason
        self._counts = Counts.of(chunk) or self._counts

    def end(self) -> Iterator[JsonObject]:
        """Yield what follows the last chunk."""
        for tool in self._calls.rest():
            yield from self._call_tool(tool)
        if not self._output:
            # An answer has a message, though nothing was said.
            yield from self._begin("output_text")
        if self._open is not None:
            self._open.is_cut = self._finish_reason in INCOMPLETE
        yield from self._close()
        whole = ended(self._head, self._call, self._whole(), self._finish_reason, self._counts)
        yield self._event(f"response.{whole['status']}", response=whole)

    def failed(self, message: str, head: JsonObject) -> Iterator[JsonObject]:
        """Yield what ends an answer that failed; `head` is any object of chat that says whose it is."""
        yield from self._created(head)
        if self._open is not None:
            self._open.is_cut = True
        failure: JsonObject = {"error": {"code": "server_error", "message": message}, "output": self._whole()}
        yield self._event("response.failed", response=begun(self._head, self._call, "failed") | failure)

    def _created(self, head: JsonObject) -> Iterator[JsonObject]:
        # Clients take nothing before it.
        if not self._head:
            self._head = head
            yield self._event("response.created", response=begun(head, self._call))
            yield self._event("response.in_progress", response=begun(head, self._call))

    def _say(self, kind: str, text: str) -> Iterator[JsonObject]:
        if self._open is None or self._open.kind != kind:
            yield from self._close()
            yield from self._begin(kind)
        item = self._open
        assert item is not None
        self._kept.add(text)
        item.pieces.append(text)
        more: JsonObject = {"logprobs": []} if kind == "output_text" else {}
        yield self._event(f"response.{kind}.delta", **_place(item), content_index=0, delta=text, **more)

    def _call_tool(self, tool: ToolCall) -> Iterator[JsonObject]:
        if tool.index not in self._tools:
            yield from self._close()
            yield from self._begin("function_call", tool)
        item = self._tools[tool.index]
        if tool.arguments:
            item.pieces.append(tool.arguments)
            yield self._event("response.function_call_arguments.delta", **_place(item), delta=tool.arguments)

    def _begin(self, kind: str, tool: ToolCall | None = None) -> Iterator[JsonObject]:
        index = len(self._output)
        item = _Item(f"{_PREFIX[kind]}_{self._head.get('id')}_{index}", index, kind, [], tool)
        self._output.append(item)
        self._open = item
        if tool is not None:
            self._tools[tool.index] = item
        empty = item.whole() | {"status": "in_progress"} | _EMPTY[kind]
        yield self._event("response.output_item.added", output_index=index, item=empty)
        if tool is None:
            yield self._event("response.content_part.added", **_place(item), content_index=0, part=item.part())

    def _close(self) -> Iterator[JsonObject]:
        item, self._open = self._open, None
        if item is None:
            return
        if item.kind == "function_call":
            yield self._event(
                "response.function_call_arguments.done",
                **_place(item),
                arguments=item.text,
                name=item.tool.name if item.tool else "",
            )
        else:
            said: JsonObject = {"refusal" if item.kind == "refusal" else "text": item.text}
            more: JsonObject = {"logprobs": []} if item.kind == "output_text" else {}
            yield self._event(f"response.{item.kind}.done", **_place(item), content_index=0, **said, **more)
            yield self._event("response.content_part.done", **_place(item), content_index=0, part=item.part())
        yield self._event("response.output_item.done", output_index=item.index, item=item.whole())

    def _whole(self) -> list[JsonValue]:
        return [item.whole() for item in self._output]

    def _event(self, kind: str, **members: JsonValue) -> JsonObject:
        number, self._numbers = self._numbers, self._numbers + 1
        return {"type": kind, "sequence_number": number, **members}


def response_of(answer: JsonObject, call: ResponsesCall) -> JsonObject:
    """Return the response that a chat.completion is: what a stream would end with that said all at once."""
    # All of it is there and was paid, so that nothing more is kept by telling it.
    stream = ResponsesStream(call, is_bounded=False)
    for _ in stream.take(answer):
        pass
    *_, last = stream.end()
    response = last["response"]
    assert isinstance(response, dict)
    return response


def _place(item: _Item) -> JsonObject:
    return {"item_id": item.id, "output_index": item.index}
