"""What the document itself says, in the reader's language where there is a translation."""

from dc1.services.system.documentation.markup import Html, join, paragraphs, text
from dc1.services.system.documentation.words import Words


def foreign(shown: Html, words: Words) -> Html:
    """Return a part of the document's own text, marked as English on a page in another language."""
    return Html(f'<div lang="en" dir="ltr">{shown}</div>') if words.summaries and shown else shown


def told(plain: str, words: Words) -> Html:
    """Return what the document says of a field, a parameter or an answer."""
    translated = words.texts.get(plain)
    return foreign(text(plain), words) if translated is None else text(translated)


def described(plain: str, words: Words) -> Html:
    """Return what the document says of a route, paragraph by paragraph."""
    return join(_paragraph(part, words) for part in plain.split("\n\n"))


def _paragraph(part: str, words: Words) -> Html:
    translated = words.texts.get(part)
    return foreign(paragraphs(part), words) if translated is None else paragraphs(translated)
