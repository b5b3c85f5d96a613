"""What every script here does: tries each feature of its client, and prints as JSON what came of it."""

import asyncio
import inspect
import json
import os
from collections.abc import Callable
from typing import Any

MODEL = os.environ["MODEL"]
HELLO = os.environ["PROMPT"]
TOOL = "get_weather"
LIMITED_KEY = os.environ["LIMITED_KEY"]
"""One that allows one call a minute."""

WEATHER = {
    "type": "function",
    "function": {
        "name": TOOL,
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def told(error: BaseException) -> dict[str, Any]:
    """What a client tells its user of a failure."""
    return {
        "error": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "code", None),
        "message": str(error)[:600],
    }


def _tried(feature: Callable[[], Any]) -> Any:
    try:
        result = feature()
        return asyncio.run(result) if inspect.iscoroutine(result) else result
    except Exception as error:  # whatever a client raises is what its user sees
        return told(error)


def report(*features: Callable[[], Any]) -> None:
    """Try each and print them all, by name."""
    # What a client should have refused and did not is an object of its own, and ends no other feature's test.
    print(json.dumps({feature.__name__: _tried(feature) for feature in features}, default=repr))
