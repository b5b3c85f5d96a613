"""The samples of /docs: every one is written as its language has it, and those of the core calls are run."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html import unescape

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.rest import Rest

Sample = tuple[str, str]

SAMPLE = re.compile(r'<pre dir="ltr" data-sample="(\w+)">(.*?)</pre>', re.DOTALL)
CORE = {
    "/renters/register": 201,
    "/providers/heartbeat": 200,
    "/jobs/submit": 201,
    "/admin/dashboard": 200,
}


def samples(page: str) -> list[Sample]:
    return [(language, unescape(text)) for language, text in SAMPLE.findall(page)]


def core(page: str) -> Iterator[tuple[str, Sample]]:
    """Those of the page's beginning, with the path that each calls."""
    beginning = page.partition('<h2 id="core">')[2].partition("<h2")[0]
    for part in beginning.split("<h3>")[1:]:
        path = re.search(r"<code>(.*?)</code>", part)
        assert path is not None
        for sample in samples(part):
            yield path[1], sample


def command(language: str, text: str) -> list[str]:
    if language == "python":
        return [sys.executable, "-c", text]
    program = {"curl": "bash", "node": "node"}[language]
    assert shutil.which(program) is not None, f"{program} is not installed, which runs the samples in {language}."
    return (
        [program, "-c", f"{text} -w '\\n%{{http_code}}'"]
        if language == "curl"
        else [program, "--input-type=module", "-e", text]
    )


@pytest.fixture(scope="module")
def keys(quiet_market: LocalMarket) -> dict[str, str]:
    """Whose key each core call takes; provider 1 is that of the samples."""
    provider = quiet_market.add_provider()
    assert provider.id == 1
    renter = quiet_market.add_renter()
    return {
        "/providers/heartbeat": provider.key,
        "/jobs/submit": renter.key,
        "/admin/dashboard": quiet_market.admin.token,
    }


@pytest.fixture
def rest(quiet_market: LocalMarket) -> Rest:
    return quiet_market.rest


@pytest.mark.parametrize("page", ["/docs", "/docs/ar"])
def test_the_core_calls_run_as_they_are_shown(rest: Rest, keys: dict[str, str], page: str) -> None:
    ran = []
    for path, (language, shown) in core(rest.get(page).text):
        # An address has one account, and whoever copies the sample has one of their own.
        text = re.sub(r"[\w.]+@example\.sa", f"{language}-{len(page)}@example.sa", shown)
        variables = {**os.environ, "DC1_URL": rest.url, "DC1_KEY": keys.get(path, "")}
        ended = subprocess.run(
            command(language, text), env=variables, capture_output=True, check=False, text=True, timeout=60
        )
        assert re.search(rf"\b{CORE[path]}\b", ended.stdout), (path, language, ended.stdout, ended.stderr)
        ran.append((path, language))
    assert ran == [(path, language) for path in CORE for language in ("curl", "node", "python")]


def test_every_route_has_a_sample_in_each_language(rest: Rest) -> None:
    page = rest.get("/docs").text
    articles = re.findall(r"<article id=\"(?!schema-)(.*?)</article>", page, re.DOTALL)
    assert len(articles) > 150
    for article in articles:
        assert [language for language, _ in samples(article)] == ["curl", "node", "python"]


def test_every_sample_is_read_by_its_language(rest: Rest) -> None:
    by_language: dict[str, list[str]] = {}
    for language, text in samples(rest.get("/docs").text):
        by_language.setdefault(language, []).append(text)
    for text in by_language["python"]:
        ast.parse(text)
    subprocess.run(["bash", "-n"], input="\n".join(by_language["curl"]), text=True, check=True, timeout=60)
    wrapped = "\n".join(f"async () => {{ {text} }};" for text in by_language["node"])
    subprocess.run(["node", "--input-type=module", "--check"], input=wrapped, text=True, check=True, timeout=60)


def test_no_sample_shows_a_key(rest: Rest) -> None:
    for _, text in samples(rest.get("/docs").text):
        assert not re.search(r"dc1-(renter|provider|sk)-", text)
