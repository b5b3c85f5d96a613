"""What the server sends a browser, and what a program."""

import gzip
import re
from collections.abc import Iterator

import httpx
import pytest

from dc1.testing.market import LocalMarket

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.fixture
def client(town: LocalMarket) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=town.edge.url, trust_env=False) as client:
        yield client


@pytest.mark.parametrize("accept", [BROWSER, "text/html", "TEXT/HTML;q=0.9, application/json;q=0.1", "text/html, */*"])
def test_who_would_rather_have_a_page_is_given_one(client: httpx.Client, accept: str) -> None:
    answer = client.get("/", headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "accept" in answer.headers["vary"]
    assert answer.content == client.get("/console").content


@pytest.mark.parametrize(
    "accept", [None, "*/*", "application/json", "application/json, text/plain, */*", "application/json, text/html", ""]
)
def test_a_program_is_told_what_the_service_is(town: LocalMarket, accept: str | None) -> None:
    with httpx.Client(base_url=town.edge.url, trust_env=False) as client:
        client.headers.pop("accept")
        answer = client.get("/", headers={} if accept is None else {"accept": accept})
    assert answer.json()["service"] == "dc1"
    assert "accept" in answer.headers["vary"]


def test_the_page_may_run_what_the_market_sent_and_nothing_else(client: httpx.Client) -> None:
    answer = client.get("/console")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    assert "set-cookie" not in answer.headers
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*src=)|https?://", answer.text)


def test_files_are_kept_for_good_under_names_that_change_with_them(client: httpx.Client) -> None:
    names = re.findall(r'(?:href|src)="(assets/[^"]+)"', client.get("/console").text)
    answers = {name: client.get(f"/{name}") for name in names}
    for answer in answers.values():
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
    kinds = {name.rpartition(".")[2]: answer.headers["content-type"] for name, answer in answers.items()}
    assert kinds == {
        "js": "text/javascript; charset=utf-8",
        "css": "text/css; charset=utf-8",
        "svg": "image/svg+xml; charset=utf-8",
    }
    older = client.get(f"/assets/0123/{names[0].split('/', 2)[2]}")
    assert (older.status_code, older.headers["cache-control"]) == (200, "no-store")


def test_what_no_page_names_is_not_sent(client: httpx.Client) -> None:
    for path in ("nothing.js", "index.html", "vendor/preact.d.ts", "../pyproject.toml", "%2e%2e/pyproject.toml"):
        answer = client.get(f"/assets/1/{path}")
        assert answer.status_code == 404, path
        assert set(answer.json()) == {"error", "code"}


def test_files_travel_compressed(client: httpx.Client) -> None:
    name = re.findall(r'href="(assets/[^"]+preact.js)"', client.get("/console").text)[0]
    with client.stream("GET", f"/{name}", headers={"accept-encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        raw = b"".join(answer.iter_raw())
    plain = client.get(f"/{name}", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 2


def test_the_console_works_behind_any_base_path(client: httpx.Client) -> None:
    for base in ("/api/", "/api/dc1/"):
        page = client.get(f"{base}console")
        first = re.findall(r'src="(assets/[^"]+main.js)"', page.text)[0]
        assert client.get(base + first).status_code == 200
