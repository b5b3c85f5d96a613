"""The page as a whole."""

from html import escape
from importlib.resources import files
from typing import Any

from dc1.assets import parse_yaml
from dc1.services.system.documentation.markup import Html, code, join, link, paragraphs, table, text
from dc1.services.system.documentation.operations import ROLES, Route, details, index_of, routes
from dc1.services.system.documentation.schemas import anchor, fields


def documentation_page(openapi: bytes) -> bytes:
    """Return an OpenAPI 3.1 document, given as YAML, as an HTML page in UTF-8."""
    document = parse_yaml(openapi)
    info = document["info"]
    style = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    every = routes(document)
    page = join(
        [
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(info['title'])}</title><style>{style}</style></head><body>",
            _navigation(document, every),
            f"<main><h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>",
            paragraphs(info["description"]),
            '<p>The same as a file: <a href="/docs/openapi.yaml">openapi.yaml</a>.</p>',
            _bases(document),
            _credentials(document),
            *[_role(role, every) for role in ROLES],
            *[_service(tag, every, document) for tag in _tags(document)],
            _schemas(document),
            "</main></body></html>",
        ]
    )
    return page.encode()


def _navigation(document: dict[str, Any], every: list[Route]) -> Html:
    used = {route.tag for route in every}
    places = [("base-paths", "Base paths"), ("credentials", "Credentials")]
    places += [(f"role-{role.lower()}", f"{role} routes") for role in ROLES]
    services = [(f"tag-{tag['name']}", tag["name"]) for tag in _tags(document) if tag["name"] in used]
    return join(
        [
            '<nav aria-label="Contents"><h2>Contents</h2>',
            _list(places),
            "<h2>Services</h2>",
            _list([*services, ("schemas", "Schemas")]),
            "</nav>",
        ]
    )


def _tags(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the services by name: the document has them in the order of their files' dependencies."""
    return sorted(document["tags"], key=lambda tag: str(tag["name"]))


def _list(places: list[tuple[str, str]]) -> Html:
    entries = "".join(f"<li>{link(place, text(name))}</li>" for place, name in places)
    return Html(f"<ul>{entries}</ul>")


def _bases(document: dict[str, Any]) -> Html:
    rows = ([code(server["url"]), text(server.get("description", ""))] for server in document["servers"])
    return join(['<h2 id="base-paths">Base paths</h2>', table("fields", ("Prefix", "Meaning"), rows)])


def _credentials(document: dict[str, Any]) -> Html:
    schemes = document["components"]["securitySchemes"].values()
    rows = ([_carrier(scheme), text(scheme.get("description", ""))] for scheme in schemes)
    return join(['<h2 id="credentials">Credentials</h2>', table("fields", ("Carrier", "Meaning"), rows)])


def _carrier(scheme: dict[str, Any]) -> Html:
    if scheme["type"] == "http":
        return Html(f"header {code('Authorization: Bearer …')}")
    return Html(f"{text(scheme['in'])} {code(scheme['name'])}")


def _role(role: str, every: list[Route]) -> Html:
    mine = [route for route in every if role in route.roles]
    return join([f'<h2 id="role-{role.lower()}">{role} routes</h2>', index_of(mine)])


def _service(tag: dict[str, Any], every: list[Route], document: dict[str, Any]) -> Html:
    own = [route for route in every if route.tag == tag["name"]]
    if not own:
        return Html("")
    return join(
        [
            f'<section><h2 id="tag-{escape(tag["name"])}">{escape(tag["name"])}</h2>',
            paragraphs(tag.get("description", "")),
            *[details(route, document) for route in own],
            "</section>",
        ]
    )


def _schemas(document: dict[str, Any]) -> Html:
    shown = [
        f'<article id="{escape(anchor(name))}"><h3>{code(name)}</h3>'
        f"{paragraphs(schema.get('description', ''))}{fields(schema, is_request=False)}</article>"
        for name, schema in sorted(document["components"]["schemas"].items())
    ]
    return join(['<section><h2 id="schemas">Schemas</h2>', *shown, "</section>"])
