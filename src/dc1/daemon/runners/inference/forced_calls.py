"""Calls of tools that have to be made, by an engine that takes `tool_choice` for advice.

A model of llama.cpp that is required to call a tool may talk before it for as long as it likes, and a named tool is not
looked at. A schema it holds to: the call is asked for as JSON that must be so, and the answer made a call again.
"""

import re
import secrets
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dc1.daemon.runners.base import EngineCall
from dc1.daemon.runners.inference.answer import said_in
from dc1.daemon.runners.inference.engine import EventCallback
from dc1.daemon.runners.inference.event_stream import Event
from dc1.daemon.runners.inference.refusals import refusal
from dc1.daemon.runners.inference.relays.relay import EventRelay
from dc1.daemon.runners.inference.relays.wishes import allowed_names, must_call, name_of
from dc1.domain.base.json_members import members, spliced
from dc1.domain.base.json_types import JsonObject, JsonValue, compact, objects

CHAT = "/v1/chat/completions"

_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*"([^"]*)"\s*,\s*"arguments"\s*:\s*(?=\S)')
# Of the last brace nobody knows that it is the last before the answer ends: it closes what stands around the arguments.
_CLOSING = " \t\r\n}"


def relay_of(call: EngineCall, model: str, send: EventCallback) -> EventRelay:
    """Return who listens to the answer of a call to llama.cpp."""
    call = _among_allowed(call) if call.path == CHAT else call
    tools = _forced(call.body) if call.path == CHAT else []
    return ForcedCallRelay(call, tools, model, send) if tools else EventRelay(call, model, send)


class ForcedCallRelay(EventRelay):
    """Asks for the call of one of some tools as JSON, and passes it on as the call."""

    def __init__(self, call: EngineCall, tools: list[dict[str, Any]], model: str, send: EventCallback) -> None:
        # The tools stay, for the prompt tells of them; with `none` llama.cpp has no rules of its own for calling them.
        changes: JsonObject = {"tool_choice": "none", "response_format": _form(tools)}
        super().__init__(EngineCall(call.path, spliced(call.body, changes), call.max_tokens), model, send)
        # It is held to the schema, and what was written instead of the wish for a call is no wish of the caller's.
        self._wishes.let_be()
        self._made_calls: defaultdict[Any, _MadeCall] = defaultdict(_MadeCall)

    async def take(self, event: Event) -> None:
        """Pass on what an event says as a piece of the call."""
        for choice in objects(event.value.get("choices")):
            self._turn(choice, is_whole=event.is_whole)
        await super().take(Event(compact(event.value), event.value, event.is_whole))

    def _turn(self, choice: dict[str, Any], *, is_whole: bool) -> None:
        said, made = said_in(choice), self._made_calls[choice.get("index")]
        content = said.pop("content", None)
        pieces = [*made.pieces(content if isinstance(content, str) else "")]
        reason = choice.get("finish_reason")
        if reason is not None:
            pieces += made.rest(is_complete=reason == "stop")
        if is_whole:
            said["content"] = None
        if pieces:
            # An answer in one piece has the call whole, and no place of it in a list of pieces.
            arguments = "".join(piece["function"]["arguments"] for piece in pieces)
            call = {**pieces[0], "function": {**pieces[0]["function"], "arguments": arguments}}
            said["tool_calls"] = [{name: call[name] for name in call if not (is_whole and name == "index")}]
            choice["message" if is_whole else "delta"] = said
        if reason == "stop" and made.is_begun:
            choice["finish_reason"] = "tool_calls"


class _MadeCall:
    """The call in one answer, made of the text in which the model writes it."""

    def __init__(self) -> None:
        self.is_begun = False
        self._waiting = ""

    def pieces(self, text: str) -> Iterator[dict[str, Any]]:
        """Yield what a text adds to the call."""
        self._waiting += text
        if not self.is_begun:
            head = _HEAD.match(self._waiting)
            if head is None:
                return
            self.is_begun = True
            self._waiting = self._waiting[head.end() :]
            function = {"name": head[1], "arguments": ""}
            yield {"index": 0, "id": f"call_{secrets.token_hex(12)}", "type": "function", "function": function}
        known = self._waiting.rstrip(_CLOSING)
        self._waiting = self._waiting[len(known) :]
        if known:
            yield {"index": 0, "function": {"arguments": known}}

    def rest(self, *, is_complete: bool) -> Iterator[dict[str, Any]]:
        """Yield what waited for the end, without the brace that closes it all."""
        left = self._waiting.rstrip().removesuffix("}").rstrip() if is_complete else self._waiting
        self._waiting = ""
        if self.is_begun and left:
            yield {"index": 0, "function": {"arguments": left}}


def _among_allowed(call: EngineCall) -> EngineCall:
    """Return a call that leaves some of its tools to the model as one that has no others, as llama.cpp reads it.

    Raises:
        refusal: It leaves none of them to the model, and wants one called.
    """
    asked = {key: member.value for key, member in members(call.body).items() if key in ("tools", "tool_choice")}
    names = allowed_names(asked.get("tool_choice"))
    if names is None:
        return call
    is_must = must_call(asked["tool_choice"])
    tools: list[JsonValue] = [tool for tool in objects(asked.get("tools")) if name_of(tool) in names]
    if is_must and not tools:
        raise refusal(400, b'{"message": "tool_choice names none of the tools"}', {})
    choice = ("required" if is_must else "auto") if tools else "none"
    return replace(call, body=spliced(call.body, {"tools": tools, "tool_choice": choice}))


def _forced(body: str) -> list[dict[str, Any]]:
    """Return the tools of which one has to be called; none when the model may do as it likes."""
    asked = {key: member.value for key, member in members(body).items() if key in ("tools", "tool_choice")}
    choice = asked.get("tool_choice")
    functions = [tool.get("function") for tool in objects(asked.get("tools"))]
    tools = [each for each in functions if isinstance(each, dict) and isinstance(each.get("name"), str)]
    if choice == "required":
        return tools
    if not isinstance(choice, dict):
        return []
    named = choice.get("function")
    wanted = [tool for tool in tools if isinstance(named, dict) and tool["name"] == named.get("name")]
    if not wanted:
        raise refusal(400, b'{"message": "tool_choice names none of the tools"}', {})
    return wanted


def _form(tools: list[dict[str, Any]]) -> JsonObject:
    """Return the response format of a call of one of some tools."""
    parameters: JsonObject = {}
    calls: list[JsonValue] = []
    for number, tool in enumerate(tools):
        place = f"tool{number}"
        given = tool.get("parameters")
        parameters[place] = _moved(given, f"#/$defs/{place}/") if isinstance(given, dict) else {"type": "object"}
        # The name first: whoever reads the answer as it comes has to know what is called before its arguments.
        both: JsonObject = {"name": {"const": tool["name"]}, "arguments": {"$ref": f"#/$defs/{place}"}}
        calls.append({"type": "object", "properties": both, "required": [*both], "additionalProperties": False})
    schema: JsonObject = {"anyOf": calls, "$defs": parameters}
    return {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}}


def _moved(schema: Any, root: str) -> JsonValue:
    """Return a schema whose references to its own parts begin at its new place."""
    if isinstance(schema, list):
        return [_moved(each, root) for each in schema]
    if not isinstance(schema, dict):
        moved: JsonValue = schema
        return moved
    return {name: _reference(name, value, root) for name, value in schema.items()}


def _reference(name: str, value: Any, root: str) -> JsonValue:
    if name == "$ref" and isinstance(value, str) and value.startswith("#/"):
        return root + value.removeprefix("#/")
    return _moved(value, root)
