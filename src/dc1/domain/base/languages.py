"""The languages that texts for people are written in."""

from typing import Final, Literal, TypeAlias

Language: TypeAlias = Literal["en", "ar"]

ENGLISH: Final[Language] = "en"
ARABIC: Final[Language] = "ar"
_PARTS_MAX = 32


def preferred(accept_language: str) -> Language:
    """Return the language that an Accept-Language header likes best; English where it names neither."""
    best, weight = ENGLISH, 0.0
    # What comes after that many is nobody's first choice, and the header is a stranger's.
    for part in accept_language.split(",", _PARTS_MAX)[:_PARTS_MAX]:
        tag, _, parameter = part.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        quality = _quality(parameter.strip())
        if quality > weight and language in (ENGLISH, ARABIC):
            best, weight = ARABIC if language == ARABIC else ENGLISH, quality
    return best


def _quality(parameter: str) -> float:
    if not parameter:
        return 1.0
    name, _, value = parameter.partition("=")
    try:
        quality = float(value)
    except ValueError:
        return 0.0
    return quality if name.strip() == "q" and 0 <= quality <= 1 else 0.0
