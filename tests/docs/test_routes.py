"""Every route and gRPC method that the pages name exists."""

import re

import pytest

from tests.docs.code_names import messages
from tests.docs.pages import Page, page, pages
from tests.support.openapi import document

_ROUTE = re.compile(r"^(GET|POST|PUT|PATCH|DELETE) (/[^?`]*)")
_METHOD = re.compile(r"\bdcp\.v1\.(\w+)/(\w+)")

# The contract writes paths in short, with alternatives; tests/contract holds each of its routes against the market. The
# changelog names what was.
_IN_WORDS_OF_THEIR_OWN = {"docs/contract.md", "CHANGELOG.md"}


@pytest.mark.parametrize("page", pages(), ids=str)
def test_routes_exist(page: Page) -> None:
    found = [match for code in page.code if (match := _ROUTE.match(code))]
    named = [f"{match[1]} {match[2]}" for match in found]

    assert str(page) in _IN_WORDS_OF_THEIR_OWN or set(named) <= described()


def test_the_api_table_lists_each_route_once() -> None:
    listed = re.findall(
        r"`((?:GET|POST|PATCH|DELETE) [^`]+)`", page("docs/api.md").section("What each role calls most")
    )

    assert len(listed) == len(set(listed)) >= 20
    assert set(listed) <= described() | {"GET /jobs/{job_id}/logs/stream?tokens=true"}


@pytest.mark.parametrize("page", pages(), ids=str)
def test_grpc_methods_exist(page: Page) -> None:
    told = {f"{service}.{method}" for service, method in _METHOD.findall(page.text)}

    assert str(page) == "CHANGELOG.md" or told <= messages()


def described() -> set[str]:
    return {f"{verb.upper()} {path}" for path, methods in document()["paths"].items() for verb in methods}
