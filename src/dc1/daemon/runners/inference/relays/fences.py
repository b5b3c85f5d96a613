"""JSON in a fence of Markdown, as models write it that are asked for JSON and that their engine holds to nothing.

Its caller reads JSON, and could use it as little as half a character: the fence is left out, and the engine's answer is
not refused for it.
"""

import re
from collections import defaultdict
from enum import Enum
from typing import Any, Final

from dc1.daemon.runners.inference.answer import index_of, said_in

# The word behind a fence ends with its line; where there is no line, what begins an object, a list or a text ends it.
# All of it is short, for it is looked at again with each piece, of which an engine may send any number.
_OPENED: Final = re.compile(
    r'```[ \t]{0,9}(?:[\w+.-]{0,20}[ \t]{0,9}\r?\n\s{0,99}(?=\S)|[A-Za-z]{0,20}[ \t]{0,9}(?=[{\["]))'
)
_MAY_OPEN: Final = re.compile(r"`{1,2}|```[ \t]{0,9}[\w+.-]{0,20}[ \t]{0,9}(?:\r|\r?\n\s{0,99})?")
# Other values are as well the first word of a program, or of a sentence.
_JSON: Final = re.compile(r'[{\["]')
_SIGNS: Final = re.compile(r'\\.?|["`]', re.DOTALL)


class _Place(Enum):
    BEFORE = "before"
    OUTSIDE = "outside"
    INSIDE = "inside"
    BEHIND = "behind"


class Unfenced:
    """A text that comes in pieces, without the fence around it; one that begins in another way is left as it is."""

    def __init__(self) -> None:
        self._place = _Place.BEFORE
        self._waiting = ""
        self._is_in_string = self._is_escaped = False

    def take(self, piece: str) -> str:
        """Return as much as can be told with this piece."""
        if self._place is _Place.BEFORE:
            return self._begin(piece)
        if self._place is _Place.INSIDE:
            return self._inside(piece)
        return piece if self._place is _Place.OUTSIDE else ""

    def rest(self) -> str:
        """Return what looked like the beginning of a fence, and was none."""
        rest, self._waiting = self._waiting, ""
        self._place = _Place.OUTSIDE if rest else self._place
        return rest

    def _begin(self, piece: str) -> str:
        self._waiting += piece
        begun = self._waiting.lstrip()
        # White space is told as it comes, whatever comes behind it.
        before, self._waiting = self._waiting[: len(self._waiting) - len(begun)], begun
        opened = _OPENED.match(begun)
        if opened is not None and _JSON.match(begun, opened.end()):
            self._place, self._waiting = _Place.INSIDE, ""
            return before + self._inside(begun[opened.end() :])
        if not begun or (opened is None and _MAY_OPEN.fullmatch(begun)):
            return before
        self._place = _Place.OUTSIDE
        return before + self.rest()

    def _inside(self, piece: str) -> str:
        # Texts of JSON may have fences of their own; outside of them no backtick is JSON.
        for found in _SIGNS.finditer(piece, int(self._is_escaped and bool(piece))):
            sign = found[0]
            if sign == '"':
                self._is_in_string = not self._is_in_string
            elif sign == "`" and not self._is_in_string:
                self._place = _Place.BEHIND
                return piece[: found.start()]
        self._is_escaped = bool(piece) and _ends_escaped(piece, self._is_escaped)
        return piece


class Fences:
    """Those of all answers to one call."""

    def __init__(self) -> None:
        self._of: defaultdict[int, Unfenced] = defaultdict(Unfenced)

    def leave_out(self, choices: list[dict[str, Any]], *, is_whole: bool) -> bool:
        """Take the fences out of what an event adds to each answer, and tell whether there were any."""
        changed = False
        for choice in choices:
            said, fence = said_in(choice), self._of[index_of(choice)]
            name = "text" if isinstance(said.get("text"), str) else "content"
            sent = said.get(name)
            text = sent if isinstance(sent, str) else ""
            told = fence.take(text)
            if is_whole or choice.get("finish_reason"):
                told += fence.rest()
            if told == text:
                continue
            changed = True
            if not said:
                # A last piece that has nothing to say of its own.
                choice["delta"] = said
            said[name] = told
        return changed

    def rests(self) -> dict[int, str]:
        """Return by answer what waited for more when all had come."""
        return {index: rest for index, fence in self._of.items() if (rest := fence.rest())}


def _ends_escaped(piece: str, is_escaped: bool) -> bool:
    """Tell whether a piece ends with a backslash that makes a sign of what comes next."""
    slashes = len(piece) - len(piece.rstrip("\\"))
    # One that was escaped before is none.
    return (slashes - (is_escaped and slashes == len(piece))) % 2 == 1
