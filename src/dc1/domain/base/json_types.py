"""JSON that is parsed but not interpreted."""

import json
import math
from collections.abc import Callable
from typing import TypeAlias

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"
JsonObject: TypeAlias = dict[str, JsonValue]

MAX_FREE_JSON_BYTES = 256 * 1024
"""Largest size of a field whose JSON is kept as sent."""

MAX_VALUES = 20_000
"""Most values in the JSON of a request: each costs a hundred times its bytes, and all other calls wait meanwhile."""

MAX_EXACT_INTEGER = 2**53
"""Integers below this one survive a reader that knows doubles only."""


_ALWAYS_EXACT_DIGITS = 16
_ESCAPE = "\\u"


def compact(value: JsonValue) -> str:
    """Write JSON without needless white space, text outside ASCII as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def parse_strictly(text: str, parse_int: Callable[[str], int | float] | None = None) -> JsonValue:
    """Read JSON that every other reader can read too.

    Integers that only some would read as they are become doubles, unless `parse_int` says otherwise.

    Raises:
        ValueError: it is not JSON (NaN and infinities are not), or holds numbers beyond any double, lone surrogates or
            nesting that no reader follows.
    """
    try:
        value: JsonValue = json.loads(
            text, parse_constant=_finite_number, parse_float=_finite_number, parse_int=parse_int or _integer_or_double
        )
        # Lone surrogates pass the parser and fail here; in a text that has none itself only an escape can be one.
        text.encode()
        if _ESCAPE in text:
            compact(value).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def _finite_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a finite number")
    return number


def _integer_or_double(text: str) -> int | float:
    if len(text) < _ALWAYS_EXACT_DIGITS:
        return int(text)
    number = _finite_number(text)
    # From 2**53 on readers of doubles would see another integer; as a double all see the same.
    return int(text) if abs(number) < MAX_EXACT_INTEGER else number


def is_oversized(value: JsonValue) -> bool:
    """Tell whether free JSON is larger than may be kept."""
    return len(compact(value).encode()) > MAX_FREE_JSON_BYTES


def with_integers(value: JsonValue) -> JsonValue:
    """Return the same JSON with every whole float that is exact written as an integer.

    Protobuf reads each JSON number as a double; this gives `4` back where `4` was sent.
    """
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < MAX_EXACT_INTEGER else value
    if isinstance(value, dict):
        return {key: with_integers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_integers(item) for item in value]
    return value
