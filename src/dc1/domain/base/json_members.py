"""JSON objects as text: where their values stand, so that one is changed and the rest stays as it was sent."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias, cast

from dc1.domain.base.json_types import JsonObject, JsonValue, compact, finite_number, integer_or_double

_SPACE: Final = re.compile(r"[ \t\n\r]*")
# A key without escapes and what stands around it, and what stands behind a value: found at once, for the events of
# answers are read so, a thousand a second.
_PLAIN_KEY: Final = re.compile(r'"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*')
_NEXT: Final = re.compile(r"[ \t\n\r]*([,}])[ \t\n\r]*")
_DECODER: Final = json.JSONDecoder(parse_constant=finite_number, parse_float=finite_number, parse_int=integer_or_double)
_Scan: TypeAlias = Callable[[str, int], tuple[JsonValue, int]]
_SCAN: Final = cast(_Scan, vars(_DECODER)["scan_once"])


def _once(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is named twice")
    return found


_STRICT_DECODER: Final = json.JSONDecoder(
    parse_constant=finite_number, parse_float=finite_number, parse_int=integer_or_double, object_pairs_hook=_once
)
_STRICT_SCAN: Final = cast(_Scan, vars(_STRICT_DECODER)["scan_once"])


class Member(NamedTuple):
    """A value of an object, and where it stands in the text."""

    value: JsonValue
    start: int
    end: int


def members(text: str, *, strict: bool = False) -> dict[str, Member]:
    """Return what the one object of a text has, by key.

    Raises:
        ValueError: The text is no object, or names a key twice, of which readers take different ones; where it is
            `strict`, also an object within it does.
    """
    try:
        found, end = _members(text, _after_space(text, 0), _STRICT_SCAN if strict else _SCAN)
    except IndexError:
        raise ValueError("no JSON") from None
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if _after_space(text, end) != len(text):
        raise ValueError("more than one JSON value")
    return found


def spliced(text: str, changes: Mapping[str, JsonValue], found: Mapping[str, Member] | None = None) -> str:
    """Return the text of an object with other values of some keys; those that it lacks come last, in their order.

    `found` are its members, where they are known; else a ValueError says that the text is no object.
    """
    found = members(text) if found is None else found
    spans = sorted((found[key].start, found[key].end, compact(value)) for key, value in changes.items() if key in found)
    pieces, at = [], 0
    for start, end, value in spans:
        pieces += [text[at:start], value]
        at = end
    added = ",".join(f"{compact(key)}:{compact(value)}" for key, value in changes.items() if key not in found)
    close = text.rindex("}")
    pieces += [text[at:close], "," if added and found else "", added, text[close:]]
    return "".join(pieces)


def without(text: str, key: str) -> str:
    """Return the text of an object without one of its keys, and the rest as it was sent."""
    found = members(text)
    if key not in found:
        return text
    names = list(found)
    at = names.index(key)
    # From the end of the value before, with the comma between, or to the next key where there is none before.
    if at:
        return text[: found[names[at - 1]].end] + text[found[key].end :]
    start = _after_space(text, 0) + 1
    end = _after_space(text, found[key].end)
    return text[:start] + text[end + (text[end] == ",") :]


def _members(text: str, at: int, scan: _Scan) -> tuple[dict[str, Member], int]:
    found: dict[str, Member] = {}
    at = _after(text, at, "{")
    if text[at] == "}":
        return found, at + 1
    while True:
        plain = _PLAIN_KEY.match(text, at)
        key, start = (plain[1], plain.end()) if plain is not None else _key(text, at)
        if key in found:
            raise ValueError("a key is named twice")
        try:
            value, end = scan(text, start)
        except StopIteration:
            raise ValueError("a value is missing") from None
        found[key] = Member(value, start, end)
        sign = _NEXT.match(text, end)
        if sign is None:
            raise ValueError("neither a comma nor an end")
        if sign[1] == "}":
            return found, sign.end()
        at = sign.end()


def _key(text: str, at: int) -> tuple[str, int]:
    """Return a key with escapes in it, and where its value begins."""
    key, at = _DECODER.raw_decode(text, at)
    if not isinstance(key, str):
        raise ValueError("a key is no string")
    return key, _after(text, _after_space(text, at), ":")


def _after(text: str, at: int, sign: str) -> int:
    if text[at] != sign:
        raise ValueError(f"{sign} is missing")
    return _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
