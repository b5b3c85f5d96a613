"""/docs: the OpenAPI document as a page, rendered by the server and shown by a real browser."""

import re
import shutil
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from dc1.assets import parse_yaml
from dc1.services.system.documentation import documentation_page
from dc1.services.system.documentation.words import words
from dc1.testing.market import LocalMarket
from dc1.testing.rest import Rest
from tests.support.browser import Browser

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Outline(HTMLParser):
    """The places, links and tags of a page, each of which must be closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.places: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        named = dict(attrs)
        self.places += filter(None, [named.get("id")])
        self.links += filter(None, [named.get("href")])
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no browser to test with: the package chromium is not installed")
    return Browser(program, tmp_path / "profile")


@pytest.fixture
def rest(quiet_market: LocalMarket) -> Rest:
    """Anybody; nothing here changes the market, and its pages take it a second each."""
    return quiet_market.rest


PAGES = pytest.mark.parametrize("path", ["/docs", "/docs/ar"])


def served_page(rest: Rest, path: str = "/docs") -> str:
    response = rest.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
    assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
    return response.text


@PAGES
def test_the_page_shows_every_route_of_the_served_file(rest: Rest, path: str) -> None:
    document = parse_yaml(rest.get("/docs/openapi.yaml").content)
    page = served_page(rest, path)
    outline = Outline(page)
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert {operation["operationId"] for operation in operations} <= set(outline.places)
    assert {f"schema-{name}" for name in document["components"]["schemas"]} <= set(outline.places)
    shown = unescape(page)
    for route, item in document["paths"].items():
        for verb in item:
            assert f'<span class="verb {verb}">{verb.upper()}</span> <code>{route}</code>' in shown


@PAGES
def test_the_page_holds_together_and_loads_nothing(rest: Rest, path: str) -> None:
    page = served_page(rest, path)
    outline = Outline(page)
    assert len(outline.places) == len(set(outline.places))
    services = [place for place in outline.places if place.startswith("tag-")]
    assert services == sorted(services)
    elsewhere = {link for link in outline.links if not link.startswith("#")}
    assert elsewhere == {"/docs/openapi.yaml", "/docs/en" if path == "/docs/ar" else "/docs/ar"}
    assert {link.removeprefix("#") for link in outline.links} - elsewhere <= set(outline.places)
    assert not outline.tags & {"link", "img", "iframe", "object", "embed", "form", "base"}
    assert not [name for name in outline.attributes if name.startswith("on") or name in ("style", "srcset")]
    assert re.findall(r"<script[^>]*>", page) == re.findall(r'<script type="module" src="/assets/\w+/docs.js">', page)
    assert not re.search(r"url\(|@import", page)


def test_roles_are_told_apart(rest: Rest) -> None:
    page = served_page(rest)
    by_role = dict(re.findall(r'<h2 id="role-(\w+)">(.*?)(?=<h2|<section)', page, flags=re.DOTALL))
    assert set(by_role) == {"public", "renter", "provider", "admin"}
    for role, route in (
        ("public", "/renters/register"),
        ("renter", "/jobs/submit"),
        ("provider", "/providers/heartbeat"),
        ("admin", "/admin/dashboard"),
    ):
        assert [name for name, table in by_role.items() if f"<code>{route}</code>" in table] == [role]


def test_rules_are_told_in_the_words_of_json(rest: Rest) -> None:
    fields = served_page(rest).partition('<article id="SubmitJob"')[2].partition("</article>")[0]
    told = dict(re.findall(r"<tr><td><code>(\w+)</code></td>.*?<span class=\"rules\">(.*?)</span>", fields))
    assert told["priority"] == "one of <code>1</code>, <code>2</code>, <code>3</code>"
    assert told["duration_minutes"] == "at least 0.1; at most 43200"
    assert "None" not in fields


def test_what_descriptions_say_is_text(rest: Rest) -> None:
    nasty = "<script>alert('x')</script> & `<b>`"
    operation = {
        "operationId": '"><i>',
        "tags": [nasty],
        "summary": nasty,
        "description": nasty,
        "parameters": [{"name": nasty, "in": "query", "description": nasty, "schema": {"enum": [nasty]}}],
        "responses": {"200": {"description": nasty, "content": {nasty: {"examples": {"a": {"value": nasty}}}}}},
    }
    document = {
        "info": {"title": nasty, "version": nasty, "description": nasty},
        "servers": [{"url": nasty, "description": nasty}],
        "tags": [{"name": nasty, "description": nasty}],
        "paths": {nasty: {"get": operation}},
        "components": {
            "securitySchemes": {"a": {"type": "apiKey", "in": "header", "name": nasty, "description": nasty}},
            "schemas": {nasty: {"type": "object", "properties": {nasty: {"type": nasty, "description": nasty}}}},
        },
    }
    outline = Outline(documentation_page(yaml.safe_dump(document).encode()).decode())
    assert not outline.tags & {"script", "b", "i"}


@pytest.mark.timeout(180)
def test_a_browser_shows_it_and_it_asks_for_its_scripts_alone(rest: Rest, browser: Browser) -> None:
    visit = browser.visit(f"{rest.url}/docs")
    assert set(Outline(visit.html).places) == set(Outline(served_page(rest)).places)
    scripts = [re.fullmatch(rf"{re.escape(rest.url)}/assets/\w+/(.*)", asked) for asked in visit.requested]
    assert [script and script[1] for script in scripts] == ["docs.js", "runtime/search.js"]
    # It would have been seen.
    assert browser.visit(f"data:text/html,<img src={rest.url}/seen>").requested == [f"{rest.url}/seen"]


@pytest.mark.parametrize(("wanted", "language"), [("ar-SA,en;q=0.5", "ar"), ("en-GB,ar;q=0.5", "en"), ("", "en")])
def test_the_page_is_in_the_language_that_its_reader_prefers(rest: Rest, wanted: str, language: str) -> None:
    response = rest.get("/docs", headers={"accept-language": wanted})
    assert response.headers["content-language"] == language
    assert "Accept-Language" in response.headers["vary"]
    assert f'<html lang="{language}"' in response.text
    assert "Accept-Language" not in rest.get(f"/docs/{language}").headers.get("vary", "")


def test_there_is_no_page_in_another_language(rest: Rest) -> None:
    assert rest.get("/docs/fr").status_code == 400


def test_every_route_is_told_in_arabic(rest: Rest) -> None:
    document = parse_yaml(rest.get("/docs/openapi.yaml").content)
    arabic, english = words("ar"), words("en")
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert [one["operationId"] for one in operations if arabic.summary(one) == one["summary"]] == []
    assert set(arabic.summaries) <= {re.sub(r"_\d+$", "", one["operationId"]) for one in operations}
    assert set(english.page) <= set(arabic.page)


def descriptions(part: Any) -> Iterator[str]:
    """What a document says of fields, parameters and answers, wherever they stand."""
    if isinstance(part, list):
        for each in part:
            yield from descriptions(each)
    elif isinstance(part, dict):
        named = part.get("properties", {}).values()
        lists = (named, part.get("parameters", ()), part.get("responses", {}).values())
        yield from (one["description"] for found in lists for one in found if one.get("description"))
        for each in part.values():
            yield from descriptions(each)


def test_whatever_the_reference_describes_is_described_in_arabic(rest: Rest) -> None:
    document = parse_yaml(rest.get("/docs/openapi.yaml").content)
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    named = [*operations, *document["tags"], *document["components"]["schemas"].values()]
    said = {part for one in named for part in one.get("description", "").split("\n\n") if part}
    said |= set(descriptions(document))
    texts = words("ar").texts
    assert sorted(said - set(texts)) == []
    assert sorted(set(texts) - said) == []
    # Of the errors the names alone, each of which has its sentence in the contract.
    whole = [(english, arabic) for english, arabic in texts.items() if "- `" not in english]
    assert [english for english, arabic in whole if spelled(english) != spelled(arabic)] == []
    page = served_page(rest, "/docs/ar")
    assert "<td>رقم الصفحة، من 1." in page
    rules = re.findall(r'<span class="rules">(.*?)</span>', page)
    assert any("لا يزيد على" in rule for rule in rules)
    assert not [rule for rule in rules if re.search(r"\b(at|one of|more than|entries)\b", rule)]


def spelled(text: str) -> set[str]:
    """What has to be the same in every language: code, and numbers."""
    codes = re.compile(r"`[^`]*`")
    return {*codes.findall(text), *re.findall(r"\d+", codes.sub("", text))}
