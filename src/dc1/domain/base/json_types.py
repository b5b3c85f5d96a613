"""JSON that is parsed but not interpreted."""

import json
import math
import re
from collections.abc import Callable, Collection
from functools import cache
from typing import Any, TypeAlias

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"
JsonObject: TypeAlias = dict[str, JsonValue]

MAX_FREE_JSON_BYTES = 256 * 1024
"""Largest size of a field whose JSON is kept as sent."""

MAX_VALUES = 20_000
"""Most values in the JSON of a request: each costs a hundred times its bytes, and all other calls wait meanwhile."""

MAX_EXACT_INTEGER = 2**53
"""Integers below this one survive a reader that knows doubles only."""


_SIGNS = (",", "[", "{")
_EMPTY = re.compile(r"[\[{]\s*[\]}]")
# Possessive, and a string that is not closed ends with the text: every quote is read once. Tried again from each of
# them, a text of 16,000 escaped quotes would take nine seconds of the whole process.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_ALWAYS_EXACT_DIGITS = 16
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


# One for all: `json.dumps` makes a new one for each text, which of a short text is half of the time.
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def compact(value: JsonValue) -> str:
    """Write JSON without needless white space, text outside ASCII as it is."""
    return _COMPACT.encode(value)


def objects(values: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, none of what is no list."""
    return [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []


# Kept: `json.loads` makes a new one for each text whose numbers are read in a way of their own, which of a short text
# is half of the time.
@cache
def _strict(parse_int: Callable[[str], int | float]) -> json.JSONDecoder:
    return json.JSONDecoder(parse_constant=finite_number, parse_float=finite_number, parse_int=parse_int)


def parse_strictly(text: str, parse_int: Callable[[str], int | float] | None = None) -> JsonValue:
    """Read JSON that every other reader can read too.

    Integers that only some would read as they are become doubles, unless `parse_int` says otherwise.

    Raises:
        ValueError: it is not JSON (NaN and infinities are not), or holds numbers beyond any double, lone surrogates or
            nesting that no reader follows.
    """
    try:
        value: JsonValue = _strict(parse_int or integer_or_double).decode(text)
        # Lone surrogates pass the parser.
        text.encode()
        if has_halves(text, value):
            raise ValueError("half of a surrogate pair")
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def has_halves(text: str, value: JsonValue) -> bool:
    """Tell whether a string in JSON has half of a surrogate pair, which can be written nowhere as UTF-8.

    `value` is what the text says. In a text that has none itself only an escape can be one.
    """
    if _SURROGATE.search(text) is None:
        return False
    try:
        compact(value).encode()
    except UnicodeEncodeError:
        return True
    return False


def finite_number(text: str) -> float:
    """Return a number that every reader has a double for; a ValueError says that it is none."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a finite number")
    return number


def integer_or_double(text: str) -> int | float:
    """Return an integer as it is where every reader reads the same one, else the double that all see."""
    if len(text) < _ALWAYS_EXACT_DIGITS:
        return int(text)
    number = finite_number(text)
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


def has_more_values(text: str, most: int) -> bool:
    """Tell whether JSON has more values than so many, before it is parsed, which alone may take seconds."""
    # Each value but the outermost is the first in a list or an object, or has a comma before it. Most texts need not
    # be looked at more closely, and those of fewer characters not at all.
    if len(text) <= most or sum(map(text.count, _SIGNS)) < most:
        return False
    bare = _STRING.sub("", text)
    return 1 + sum(map(bare.count, _SIGNS)) - len(_EMPTY.findall(bare)) > most


def is_deeper(value: JsonValue, most: int) -> bool:
    """Tell whether JSON is nested more deeply than so many levels, of which what is no list and no object is one."""
    # Level by level, for a function that calls itself would end where the parser did. Of each level only what may have
    # another below it: a long conversation is flat, and is looked through as often as it is deep.
    level: list[JsonValue] = [value]
    for _ in range(most - 1):
        level = [item for each in level for item in _parts(each) if isinstance(item, dict | list)]
        if not level:
            return False
    return any(_parts(each) for each in level)


def _parts(value: JsonValue) -> Collection[JsonValue]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
