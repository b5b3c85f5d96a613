"""The calls of tools that an answer makes, put together of the pieces in which engines send them."""

import itertools
import json
import secrets
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Final

from dc1.daemon.runners.base import RunFailed
from dc1.daemon.runners.inference.text import text_of, well_formed
from dc1.domain.base.json_types import JsonObject, compact, objects
from dc1.domain.jobs.states import ErrorCategory

# An engine may send without an end, and everybody's calls on its machine wait while its pieces are told apart.
_MOST_CALLS: Final = 1_024
_MOST_PIECES: Final = 32_768
"""Of one answer, which has 8,192 tokens at most."""

_TOO_MANY: Final = "the engine calls more tools than an answer can"

_MOST_LOOKED_AT: Final = 64 * 1024
"""Characters of arguments that are looked at for being whole, which is done with each piece."""

_MOST_NAME: Final = 1_024

NO_ARGUMENTS: Final = "{}"


@dataclass(slots=True)
class _Call:
    index: int | None
    place: int = 0
    id: str = ""
    type: str = "function"
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    size: int = 0

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)

    def say(self, piece: str) -> None:
        # Joined at the end: a text that is added to is copied each time.
        self.pieces.append(piece)
        self.size += len(piece)

    def has(self, arguments: str) -> bool:
        """Tell whether these are all the arguments, and come again, as they were written or otherwise."""
        whole = self._read() if arguments.startswith("{") else None
        if whole is None:
            return False
        return arguments == self.arguments or _read(arguments) == whole

    @property
    def is_whole(self) -> bool:
        return self._read() is not None

    def _read(self) -> list[Any] | None:
        return None if self.size > _MOST_LOOKED_AT else _read(self.arguments)


def _read(arguments: str) -> list[Any] | None:
    """Return what arguments are, in a list as they may be null; None where they are not whole."""
    try:
        return [json.loads(arguments)] if len(arguments) <= _MOST_LOOKED_AT else None
    except (ValueError, RecursionError):
        return None


class ToolCalls:
    """Collects the `tool_calls` of deltas.

    A piece names its call by `index`. Not all engines count: some send every call with 0, or with none, so a piece
    with another id begins another call, and without ids one with another name, or after the arguments were whole.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._places: set[int] = set()
        self._by_id: dict[str, _Call] = {}
        self._pieces = 0
        self.repeats = 0
        """How often a call was said again in full, of which the second is taken away."""
        # Of several calls with one index the newest goes on.
        self._newest: dict[Hashable, _Call] = {}

    def add(self, pieces: Any) -> list[int]:
        """Take the pieces of one delta, but what is no such piece, and return the index that each should have.

        Raises:
            RunFailed: They are more than those of any answer.
        """
        taken = pieces if isinstance(pieces, list) else ()
        self._pieces += len(taken)
        if self._pieces > _MOST_PIECES:
            raise RunFailed(ErrorCategory.ENGINE, _TOO_MANY)
        places = [self._add(piece).place for piece in taken if isinstance(piece, dict)]
        if len(self._calls) > _MOST_CALLS:
            raise RunFailed(ErrorCategory.ENGINE, _TOO_MANY)
        return places

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

    @property
    def has_blank(self) -> bool:
        """Whether no arguments have come of some call."""
        return bool(self._blank())

    def _blank(self) -> list[_Call]:
        return [call for call in self._calls if not call.size or not call.arguments.strip()]

    def fill(self) -> list[int]:
        """Give the calls of which no arguments came an empty object of them, and return their indices."""
        blank = self._blank()
        for call in blank:
            # Kept, for some engines say twice that an answer ends.
            call.say(NO_ARGUMENTS)
        return [call.place for call in blank]

    def _add(self, piece: dict[str, Any]) -> _Call:
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        call_id, name = text_of(piece.get("id")), text_of(function.get("name"))
        call = self._of(piece.get("index"), call_id, name)
        call.id = call.id or call_id
        call.type = text_of(piece.get("type")) or call.type
        if call.id:
            self._by_id.setdefault(call.id, call)
        # Some say the name with every piece, others a part of it with each.
        if name != call.name and len(call.name) < _MOST_NAME:
            call.name += name
        arguments = function.get("arguments")
        is_object = isinstance(arguments, dict | list)
        said = compact(arguments) if is_object else text_of(arguments)
        if call_id and name and said and call.has(said):
            # Some say all of it once more with the reason of the end.
            function["arguments"] = ""
            self.repeats += 1
            return call
        if is_object:
            call.pieces, call.size = [], 0
        call.say(said)
        return call

    def _of(self, index: Any, call_id: str, name: str) -> _Call:
        counted = index if type(index) is int else None
        call = self._newest.get(counted) if counted is not None else (self._calls[-1] if self._calls else None)
        if counted is None and call_id:
            call = self._by_id.get(call_id, call)
        if call is None or _is_another(call, call_id, name):
            call = _Call(counted, self._place(counted))
            self._calls.append(call)
            self._places.add(call.place)
        self._newest[counted] = call
        return call

    def _place(self, counted: int | None) -> int:
        """Return the index that a new call has: its own where no other has it, and it is one of an answer's."""
        # Clients keep calls in a list, which they go through up to the largest index.
        if counted is not None and 0 <= counted <= _MOST_CALLS and counted not in self._places:
            return counted
        return next(place for place in itertools.count(len(self._calls)) if place not in self._places)


def _is_another(call: _Call, call_id: str, name: str) -> bool:
    """Tell whether a piece that seems to go on with a call begins another one."""
    if call_id and call.id:
        return call_id != call.id
    if not name or not call.name or call.id:
        return False
    return name != call.name or call.is_whole


def made_id() -> str:
    """Return an id for a call that has none: never one of another turn, as what comes of a call is told by its id."""
    return f"call_{secrets.token_hex(8)}"


def mend_whole_calls(message: dict[str, Any]) -> bool:
    """Give the calls of tools of an answer in one piece what clients read of each; tell whether any had it not.

    Raises:
        RunFailed: They are more than those of any answer.
    """
    said = message.get("tool_calls")
    calls = said if isinstance(said, list) else []
    if len(calls) > _MOST_CALLS:
        raise RunFailed(ErrorCategory.ENGINE, _TOO_MANY)
    changed = False
    for call in objects(calls):
        changed |= mend_call(call, "" if call.get("id") else made_id()) | mend_arguments(call)
        function = call.get("function")
        if isinstance(function, dict) and not function.get("arguments"):
            function["arguments"] = NO_ARGUMENTS
            changed = True
    return changed


def mend_call(call: dict[str, Any], new_id: str) -> bool:
    """Give a call of a tool its type, and an id where there is a new one; tell whether it had not."""
    changed = bool(new_id)
    if new_id:
        call["id"] = new_id
    if not call.get("type"):
        call["type"] = "function"
        changed = True
    return changed


def mend_arguments(call: dict[str, Any]) -> bool:
    """Have the arguments of a call of a tool be text; tell whether they were not."""
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), dict | list):
        return False
    function["arguments"] = compact(function["arguments"])
    return True
