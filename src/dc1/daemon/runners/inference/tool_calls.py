"""The calls of tools that a model wants made, put together from the pieces in which they come."""

from collections.abc import Iterable
from typing import Any

from dc1.domain.base.json_types import JsonObject


class ToolCalls:
    """Collects the `tool_calls` of deltas: each piece names its call by `index`, and arguments come in parts."""

    def __init__(self) -> None:
        self._calls: dict[int, dict[str, Any]] = {}

    def add(self, pieces: Iterable[dict[str, Any]]) -> None:
        """Take the pieces of one delta."""
        for piece in pieces:
            call = self._calls.setdefault(int(piece.get("index") or 0), {"name": "", "arguments": ""})
            call |= {key: piece[key] for key in ("id", "type") if piece.get(key)}
            function = piece.get("function") or {}
            for key in ("name", "arguments"):
                call[key] += function.get(key) or ""

    def whole(self) -> tuple[JsonObject, ...]:
        """Return the calls in their order, as a message holds them."""
        return tuple(
            {
                "id": call.get("id", f"call-{index}"),
                "type": call.get("type", "function"),
                "function": {"name": call["name"], "arguments": call["arguments"]},
            }
            for index, call in sorted(self._calls.items())
        )
