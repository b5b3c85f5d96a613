"""The calls of tools that an answer makes, put together of the pieces in which engines send them."""

import json
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from dc1.daemon.runners.inference.text import text_of, well_formed
from dc1.domain.base.json_types import JsonObject, compact


@dataclass(slots=True)
class _Call:
    index: int | None
    place: int = 0
    id: str = ""
    type: str = "function"
    name: str = ""
    arguments: str = ""

    @property
    def is_whole(self) -> bool:
        try:
            json.loads(self.arguments)
        except (ValueError, RecursionError):
            return False
        return True


class ToolCalls:
    """Collects the `tool_calls` of deltas.

    A piece names its call by `index`. Not all engines count: some send every call with 0, or with none, so a piece
    with another id begins another call, and without ids one with another name, or after the arguments were whole.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        # Of several calls with one index the newest goes on.
        self._newest: dict[Hashable, _Call] = {}

    def add(self, pieces: Any) -> list[int]:
        """Take the pieces of one delta, but what is no such piece, and return the index that each should have."""
        taken = pieces if isinstance(pieces, list) else ()
        return [self._add(piece).place for piece in taken if isinstance(piece, dict)]

    def whole(self) -> tuple[JsonObject, ...]:
        """Return the calls in their order, as a message holds them."""
        ordered = sorted(self._calls, key=lambda call: call.index or 0)
        return tuple(
            {
                "id": well_formed(call.id) or f"call-{place}",
                "type": well_formed(call.type),
                "function": {"name": well_formed(call.name), "arguments": well_formed(call.arguments)},
            }
            for place, call in enumerate(ordered)
        )

    def _add(self, piece: dict[str, Any]) -> _Call:
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        call_id, name = text_of(piece.get("id")), text_of(function.get("name"))
        call = self._of(piece.get("index"), call_id, name)
        call.id = call.id or call_id
        call.type = text_of(piece.get("type")) or call.type
        # Some say the name with every piece, others a part of it with each.
        if name != call.name:
            call.name += name
        arguments = function.get("arguments")
        if isinstance(arguments, dict | list):
            call.arguments = compact(arguments)
        else:
            call.arguments += text_of(arguments)
        return call

    def _of(self, index: Any, call_id: str, name: str) -> _Call:
        counted = index if type(index) is int else None
        call = self._newest.get(counted) if counted is not None else (self._calls[-1] if self._calls else None)
        if counted is None and call_id:
            call = next((each for each in self._calls if each.id == call_id), call)
        if call is None or _is_another(call, call_id, name):
            is_new = counted is not None and all(each.place != counted for each in self._calls)
            call = _Call(counted, counted if is_new and counted is not None else len(self._calls))
            self._calls.append(call)
        self._newest[counted] = call
        return call


def _is_another(call: _Call, call_id: str, name: str) -> bool:
    """Tell whether a piece that seems to go on with a call begins another one."""
    if call_id and call.id:
        return call_id != call.id
    if not name or not call.name or call.id:
        return False
    return name != call.name or call.is_whole
