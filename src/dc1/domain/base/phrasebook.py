"""Sentences in two languages, found by the English one; what varies stands in braces and is carried over as it is."""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

_LONGEST = 500
"""Characters of an English text that are looked up: headers carry both texts, and what is longer quotes a caller."""

_PLACEHOLDER = re.compile(r"\\{(\w+)\\}")


class Phrasebook:
    """A catalogue of English sentences with their Arabic."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def in_arabic(self, text: str) -> str | None:
        """Return a text of the catalogue in Arabic, None for one that is not in it."""
        known = self._texts.get(text)
        if known is not None or len(text) > _LONGEST:
            return known
        for pattern, arabic in self._patterns:
            if found := pattern.fullmatch(text):
                return _filled(arabic, found)
        return None

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        return list(self._compiled())

    def _compiled(self) -> Iterator[tuple[re.Pattern[str], str]]:
        for english, arabic in self._texts.items():
            if "{" in english:
                yield re.compile(_PLACEHOLDER.sub(r"(?P<\1>.+)", re.escape(english)), re.DOTALL), arabic


def _filled(arabic: str, found: re.Match[str]) -> str:
    # Not `format`: what is carried over may have braces of its own.
    return re.sub(r"\{(\w+)\}", lambda name: found[name[1]], arabic)
