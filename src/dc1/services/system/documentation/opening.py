"""What a reader needs first: where to call, with which key, what an error looks like, and the four core calls."""

import json
from html import escape
from typing import Any

from dc1.services.system.documentation.markup import Html, code, join, link, paragraphs, table, text
from dc1.services.system.documentation.operations import Route, sample_tabs
from dc1.services.system.documentation.words import Words

_CORE = (
    ("post", "/renters/register"),
    ("post", "/providers/heartbeat"),
    ("post", "/jobs/submit"),
    ("get", "/admin/dashboard"),
)
_KEYS = (
    ("Renter", ("dc1-renter-…", "dc1-sk-…"), "x-renter-key"),
    ("Provider", ("dc1-provider-…",), "x-provider-key"),
    ("Admin", (), "x-admin-token"),
)
_ERROR = {
    "error": "Validation failed",
    "code": "VALIDATION_FAILED",
    "fields": [{"field": "duration_minutes", "message": "must be at least 0.1"}],
}
PLACES = ("base-paths", "credentials", "errors", "core")


def opening(document: dict[str, Any], every: list[Route], words: Words) -> Html:
    """Return the page's beginning."""
    return join([_bases(document, words), _credentials(words), _errors(words), _core(every, words)])


def _bases(document: dict[str, Any], words: Words) -> Html:
    prefixes = words["comma"].join(code(server["url"]) for server in document["servers"])
    return join([_head("base-paths", words["base_paths"]), paragraphs(words["bases"]), Html(f"<p>{prefixes}</p>")])


def _credentials(words: Words) -> Html:
    rows = (
        [
            text(words.roles[role]),
            Html(words["comma"].join(map(code, keys))) if keys else text(words["admin_key"]),
            Html(words["comma"].join([code(header), code("Authorization: Bearer …")])),
        ]
        for role, keys, header in _KEYS
    )
    heads = (words["role"], words["key"], words["header"])
    return join(
        [_head("credentials", words["credentials"]), paragraphs(words["credentials_told"]), table("keys", heads, rows)]
    )


def _errors(words: Words) -> Html:
    shown = escape(json.dumps(_ERROR, indent=2), quote=False)
    return join(
        [_head("errors", words["errors"]), paragraphs(words["errors_told"]), Html(f'<pre dir="ltr">{shown}</pre>')]
    )


def _core(every: list[Route], words: Words) -> Html:
    by_title = {(route.verb, route.path): route for route in every}
    # A document of another service, as tests have them, need not have these.
    found = [by_title[title] for title in _CORE if title in by_title]
    calls = [
        join(
            [
                Html(f"<h3>{route.title}</h3>"),
                paragraphs(words.summary(route.operation)),
                sample_tabs(route, words, is_open=True),
                Html(f"<p>{text(words['details_below'])}{link(route.anchor, code(route.path))}</p>"),
            ]
        )
        for route in found
    ]
    return join([_head("core", words["core"]), *calls])


def _head(place: str, title: str) -> Html:
    return Html(f'<h2 id="{place}">{text(title)}</h2>')
