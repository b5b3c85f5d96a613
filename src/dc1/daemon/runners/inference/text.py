"""Text of engines, which may come in halves of characters: made such that every reader of UTF-8 takes it."""

import math
from typing import Any

from dc1.domain.base.json_types import JsonValue

_HIGH = range(0xD800, 0xDC00)
# As deep as the messages of the stream go.
_MOST_DEPTH = 32
_MOST_INTEGER = 2**53


def text_of(value: Any) -> str:
    """Return what is a text, and an empty one for anything else that an engine sent in its place."""
    return value if isinstance(value, str) else ""


def well_formed(text: str) -> str:
    """Return a text with halves of surrogate pairs joined, and U+FFFD for those that have no other half."""
    # Nearly all text has none, and this finds out fastest.
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def carried(value: Any, depth: int = _MOST_DEPTH) -> JsonValue:
    """Return JSON of an engine as every reader takes it: well-formed text and finite numbers, to a depth."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, dict):
        return {well_formed(str(key)): carried(each, depth - 1) for key, each in value.items()} if depth else None
    if isinstance(value, list):
        return [carried(each, depth - 1) for each in value] if depth else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    # Beyond, a number is another one to most readers.
    return None if isinstance(value, int) and abs(value) > _MOST_INTEGER else value


class SplitText:
    """Joins a text that comes in pieces which may end in the midst of a character."""

    def __init__(self) -> None:
        self._half = ""

    @property
    def waits(self) -> bool:
        """Whether the last piece ended in the midst of a character."""
        return bool(self._half)

    def take(self, piece: str) -> str:
        """Return as much as is whole with this piece."""
        text, self._half = self._half + piece, ""
        if text and ord(text[-1]) in _HIGH:
            text, self._half = text[:-1], text[-1]
        return well_formed(text)

    def rest(self) -> str:
        """Return what stands for the half that nothing came to, if any."""
        half, self._half = self._half, ""
        return well_formed(half)
