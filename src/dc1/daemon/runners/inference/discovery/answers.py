"""How an engine is asked of itself, and what can be made of whatever it answers."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from dc1.domain.base.json_types import JsonObject

Fetch = Callable[[str], Awaitable[bytes | None]]
"""Returns what the engine says under a path, None where it has nothing there."""

Post = Callable[[str, JsonObject], Awaitable[tuple[int, bytes] | None]]
"""Returns the status and what the engine says to an object that is sent to a path, None where it says nothing."""


def object_of(said: bytes | None) -> dict[str, Any]:
    """Return the JSON object of an answer, an empty one for anything else."""
    whole = _json(said)
    return whole if isinstance(whole, dict) else {}


def list_of(said: bytes | None) -> list[Any]:
    """Return the JSON list of an answer, an empty one for anything else."""
    whole = _json(said)
    return whole if isinstance(whole, list) else []


def _json(said: bytes | None) -> Any:
    try:
        return json.loads(said or b"")
    except (ValueError, RecursionError):
        return None


def object_in(said: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the object under a key, an empty one for anything else."""
    found = said.get(name)
    return found if isinstance(found, dict) else {}


def count_in(said: dict[str, Any], *names: str) -> int:
    """Return the first whole number above 0 that stands under one of these keys, else 0."""
    # By the exact type: a boolean is an int to Python.
    return next((value for name in names if type(value := said.get(name)) is int and value > 0), 0)


def texts_in(said: dict[str, Any], name: str) -> list[str]:
    """Return the texts of a list under a key."""
    found = said.get(name)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
