"""Pieces of HTML. What takes text escapes it; what takes `Html` puts it in as it is."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import NewType

Html = NewType("Html", str)

_CODE = re.compile(r"`([^`]+)`")


def text(plain: str) -> Html:
    """Return text, with what stands in backticks as code."""
    # Escaped before the backticks are looked for: the other way round the `<code>` would be escaped with the rest.
    return Html(_CODE.sub(r"<code>\1</code>", escape(plain)))


def paragraphs(plain: str) -> Html:
    """Return text whose paragraphs are divided by blank lines."""
    return join(f"<p>{text(part)}</p>" for part in plain.split("\n\n") if part.strip())


def code(plain: str) -> Html:
    """Return text as code."""
    return Html(f"<code>{escape(plain)}</code>")


def link(target: str, shown: Html) -> Html:
    """Return a link to a place on the page."""
    return Html(f'<a href="#{escape(target)}">{shown}</a>')


def table(kind: str, heads: Sequence[str], rows: Iterable[Sequence[Html]]) -> Html:
    """Return a table, or nothing when it has no rows."""
    body = [f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows]
    if not body:
        return Html("")
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    return Html(
        f'<div class="scroll"><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def join(parts: Iterable[str]) -> Html:
    """Return pieces one after the other."""
    return Html("".join(parts))
