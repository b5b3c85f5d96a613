"""The page as a whole."""

import json
from html import escape
from importlib.resources import files
from typing import Any

from dc1.assets import parse_yaml
from dc1.services.system.documentation.foreign import described
from dc1.services.system.documentation.markup import Html, code, join, link, paragraphs, text
from dc1.services.system.documentation.opening import PLACES, opening
from dc1.services.system.documentation.operations import ROLES, Route, details, index_of, routes
from dc1.services.system.documentation.schemas import anchor, fields
from dc1.services.system.documentation.words import Words, words

_PLACE_WORDS = dict(zip(PLACES, ("base_paths", "credentials", "errors", "core"), strict=True))


def documentation_page(openapi: bytes, language: str = "en", script: str = "") -> bytes:
    """Return an OpenAPI 3.1 document, given as YAML, as an HTML page in UTF-8, in English or Arabic.

    `script` is the address of what adds a search and calls to it; the page is whole without.
    """
    document, said = parse_yaml(openapi), words(language)
    info = document["info"]
    style = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    every = routes(document)
    page = join(
        [
            f'<!DOCTYPE html><html lang="{said.code}" dir="{said.direction}"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(info['title'])}</title><style>{style}</style>{_script(script)}</head><body>",
            _bar(said),
            f'<main data-words="{escape(json.dumps(dict(said.script), ensure_ascii=False))}">',
            f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>",
            paragraphs(said.page.get("intro", info["description"])),
            f'<p>{text(said["same_file"])}: <a href="/docs/openapi.yaml">openapi.yaml</a></p>',
            opening(document, every, said),
            *[_role(role, every, said) for role in ROLES],
            *[_service(tag, every, document, said) for tag in _tags(document)],
            _schemas(document, said),
            "</main>",
            # Last, as on a phone it would fill the screen before the page begins; with more room it stands beside.
            _navigation(document, every, said),
            "</body></html>",
        ]
    )
    return page.encode()


def _script(address: str) -> Html:
    return Html(f'<script type="module" src="{escape(address)}"></script>' if address else "")


def _bar(words: Words) -> Html:
    path, name = words.other
    code_of_other = path.rpartition("/")[2]
    return Html(
        f'<header><a href="#contents">{text(words["contents"])}</a> '
        f'<a href="{path}" lang="{code_of_other}" hreflang="{code_of_other}">{escape(name)}</a></header>'
    )


def _navigation(document: dict[str, Any], every: list[Route], words: Words) -> Html:
    used = {route.tag for route in every}
    places = [(place, words[_PLACE_WORDS[place]]) for place in PLACES]
    places += [(f"role-{role.lower()}", words.routes[role]) for role in ROLES]
    services = [(f"tag-{tag['name']}", tag["name"]) for tag in _tags(document) if tag["name"] in used]
    return join(
        [
            f'<nav id="contents" aria-label="{text(words["contents"])}"><h2>{text(words["contents"])}</h2>',
            _list(places),
            f"<h2>{text(words['services'])}</h2>",
            _list([*services, ("schemas", words["schemas"])]),
            "</nav>",
        ]
    )


def _tags(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the services by name: the document has them in the order of their files' dependencies."""
    return sorted(document["tags"], key=lambda tag: str(tag["name"]))


def _list(places: list[tuple[str, str]]) -> Html:
    entries = "".join(f"<li>{link(place, text(name))}</li>" for place, name in places)
    return Html(f"<ul>{entries}</ul>")


def _role(role: str, every: list[Route], words: Words) -> Html:
    mine = [route for route in every if role in route.roles]
    return join([f'<h2 id="role-{role.lower()}">{text(words.routes[role])}</h2>', index_of(mine, words)])


def _service(tag: dict[str, Any], every: list[Route], document: dict[str, Any], words: Words) -> Html:
    own = [route for route in every if route.tag == tag["name"]]
    if not own:
        return Html("")
    return join(
        [
            f'<section><h2 id="tag-{escape(tag["name"])}">{escape(tag["name"])}</h2>',
            described(tag.get("description", ""), words),
            *[details(route, document, words) for route in own],
            "</section>",
        ]
    )


def _schemas(document: dict[str, Any], words: Words) -> Html:
    shown = [
        f'<article id="{escape(anchor(name))}"><h3>{code(name)}</h3>'
        f"{described(schema.get('description', ''), words)}{fields(schema, words, is_request=False)}</article>"
        for name, schema in sorted(document["components"]["schemas"].items())
    ]
    return join([f'<section><h2 id="schemas">{text(words["schemas"])}</h2>', *shown, "</section>"])
