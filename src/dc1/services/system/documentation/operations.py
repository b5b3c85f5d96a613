"""Routes of an OpenAPI document, each with what it takes and what it answers."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from dc1.services.system.documentation.foreign import described, told
from dc1.services.system.documentation.markup import Html, code, join, link, paragraphs, table, text
from dc1.services.system.documentation.samples import LANGUAGES, Call
from dc1.services.system.documentation.schemas import Schema, fields, kind, meaning
from dc1.services.system.documentation.words import Words

# By the schemes of the document, which are one a role and header; other carriers of a key add no role.
_ROLES = {"renterKey": "Renter", "providerKey": "Provider", "adminToken": "Admin"}
PUBLIC = "Public"
ROLES = (PUBLIC, *_ROLES.values())
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Route:
    """One verb of one path."""

    verb: str
    path: str
    operation: dict[str, Any]

    @property
    def anchor(self) -> str:
        """The name of its place on the page."""
        return str(self.operation["operationId"])

    @property
    def tag(self) -> str:
        """The service that it belongs to."""
        return str(self.operation["tags"][0])

    @property
    def roles(self) -> list[str]:
        """Who may call it."""
        schemes = {name for way in self.operation.get("security", ()) for name in way}
        # A route of several roles lists each as a way of its own, any of which will do.
        return [role for scheme, role in _ROLES.items() if scheme in schemes] or [PUBLIC]

    @property
    def title(self) -> Html:
        """Its verb and path."""
        return Html(f'<span class="verb {self.verb}">{self.verb.upper()}</span> {code(self.path)}')


def routes(document: dict[str, Any]) -> list[Route]:
    """Return every route, in the order of the document."""
    return [
        Route(verb, path, operation)
        for path, item in document["paths"].items()
        for verb, operation in item.items()
        if "operationId" in operation
    ]


def index_of(listed: list[Route], words: Words) -> Html:
    """Return the table of some routes, which leads to each of them."""
    rows = ([link(route.anchor, route.title), text(words.summary(route.operation))] for route in listed)
    return table("routes", (words["route"], words["what"]), rows)


def details(route: Route, document: dict[str, Any], words: Words) -> Html:
    """Return everything that is known of a route."""
    operation = route.operation
    roles = " ".join(f'<span class="role">{words.roles[role]}</span>' for role in route.roles)
    return join(
        [
            f'<article id="{escape(route.anchor)}"{_callable(route)}><h3>{route.title} {roles}</h3>',
            # In the reader's language first, where the document's is another.
            paragraphs(words.summary(operation)) if words.summaries else Html(""),
            described(operation["description"], words),
            sample_tabs(route, words),
            _parameters(operation.get("parameters", ()), words),
            _request(operation.get("requestBody"), document, words),
            _answers(operation["responses"], document, words),
            "</article>",
        ]
    )


def _callable(route: Route) -> Html:
    """Return what a script needs to call a route from the page."""
    call = Call.of(route.verb, route.path, route.operation)
    facts = {"verb": route.verb.upper(), "path": route.path}
    if call.has_key:
        facts["key"] = ""
    if call.body is not None:
        facts["body"] = json.dumps(call.body, ensure_ascii=False, indent=2)
    return Html("".join(f' data-{name}="{escape(value)}"' for name, value in facts.items()))


def sample_tabs(route: Route, words: Words, *, is_open: bool = False) -> Html:
    """Return a call of the route in each language of samples; the first is shown at once, if `is_open`."""
    call = Call.of(route.verb, route.path, route.operation)
    shown = (
        f"<details{' open' if is_open and not number else ''}><summary>{escape(name)}</summary>"
        f'<pre dir="ltr" data-sample="{escape(name.lower())}">{escape(write(call), quote=False)}</pre></details>'
        for number, (name, write) in enumerate(LANGUAGES.items())
    )
    return Html(f'<div class="samples"><h4>{text(words["samples"])}</h4>{"".join(shown)}</div>')


def _parameters(parameters: Any, words: Words) -> Html:
    rows = (
        [
            code(item["name"]),
            text(item["in"]),
            kind(item["schema"], words),
            text(words["yes"] if item.get("required") else ""),
            meaning({**item["schema"], "description": item.get("description", "")}, words),
        ]
        for item in parameters
    )
    heads = [words[name] for name in ("parameter", "in", "type", "required", "meaning")]
    shown = table("fields", heads, rows)
    return join([f"<h4>{text(words['parameters'])}</h4>", shown]) if shown else Html("")


def _request(body: Any, document: dict[str, Any], words: Words) -> Html:
    if body is None:
        return Html("")
    parts = [f"<h4>{text(words['body'])}</h4>"]
    for media_type, content in body["content"].items():
        parts.append(fields(_resolved(content.get("schema", {}), document), words, is_request=True))
        parts += _examples(f"{media_type} {words['example']}", content)
    return join(parts)


def _answers(responses: dict[str, Any], document: dict[str, Any], words: Words) -> Html:
    rows = []
    examples: list[Html] = []
    for status, sent in responses.items():
        answer = _resolved(sent, document)
        rows.append([code(status), told(answer["description"], words), _contents(answer, words)])
        for media_type, content in answer.get("content", {}).items():
            examples += _examples(f"{status} {media_type} {words['example']}", content)
    heads = [words[name] for name in ("status", "when", "answer_body")]
    return join([f"<h4>{text(words['answers'])}</h4>", table("answers", heads, rows), *examples])


def _contents(answer: dict[str, Any], words: Words) -> Html:
    shown = []
    for media_type, content in answer.get("content", {}).items():
        schema = content.get("schema")
        named = "" if media_type == _JSON and schema else code(media_type)
        shown.append(f"{named} {kind(schema, words) if schema else ''}".strip())
    return Html("<br>".join(shown))


def _examples(title: str, content: dict[str, Any]) -> Iterator[Html]:
    for example in content.get("examples", {}).values():
        # In an element's text quotes need no escape, and JSON is full of them. `dir="auto"`, as examples may be in
        # Arabic.
        shown = escape(json.dumps(example["value"], ensure_ascii=False, indent=2), quote=False)
        name = escape(f"{title}: {example.get('summary', '')}".removesuffix(": "))
        yield Html(f'<details><summary>{name}</summary><pre dir="auto">{shown}</pre></details>')


def _resolved(part: Schema, document: dict[str, Any]) -> Schema:
    """Return what a reference names, or the part itself."""
    if "$ref" not in part:
        return part
    found: Any = document
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)
