"""What the edge is told of the API: the Lua module that rest.lua requires and the services in envoy.yaml."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dc1.codegen.access import SECURITY_SCHEMES
from dc1.codegen.descriptors import Catalogue, Node
from dc1.codegen.edge import lua_module, with_services
from tests.codegen.conftest import our_catalogue
from tests.codegen.test_command import run

BOOTSTRAP = """\
              services:
              # Written by a machine.
              - dcp.v1.Gone
              print_options: {}
"""


def catalogue(method: dict[str, Any] | None = None, *refusals: dict[str, Any], path: str = "/b/{id}") -> Catalogue:
    """A service with one method of these options, and an edge with these refusals."""
    options = {f"[dcp.v1.{name}]": value for name, value in (method or {}).items()}
    raw = {"options": {"[google.api.http]": {"get": path}, **options}}
    values = [
        Node(f"dcp.v1.EDGE_REFUSAL_{index}", "", {"number": index, "options": {"[dcp.v1.refusal]": refusal}})
        for index, refusal in enumerate(refusals, 1)
    ]
    return Catalogue(
        enums={
            "dcp.v1.Role": Node("dcp.v1.Role", "", {}),
            "dcp.v1.EdgeRefusal": Node("dcp.v1.EdgeRefusal", "", {}, tuple(values)),
        },
        services={"dcp.v1.Books": Node("dcp.v1.Books", "", {}, (Node("dcp.v1.Books.Get", "", raw),))},
    )


def test_a_methods_own_limit_is_told_by_the_pattern_of_its_paths() -> None:
    text = lua_module(catalogue({"max_body_bytes": 7}, path="/b-c/{id}/d"))
    assert '{ path = "/b%-c/[^/]+/d$", max_bytes = 7 }' in text


def test_a_route_names_its_method_and_that_says_whether_it_needs_a_key() -> None:
    access = {"roles": ["ROLE_RENTER"], "body_key": "key"}
    text = lua_module(catalogue({"access": access, "max_body_bytes": 9, "max_message_bytes": 8}))
    assert 'GET = {\n      { path = "^/b/[^/]+$", method = "/dcp.v1.Books/Get" },' in text
    assert '["/dcp.v1.Books/Get"] = { max_bytes = 9, max_message_bytes = 8, key_in = "body", body_key = "key" }' in text
    assert '["/dcp.v1.Books/Get"] = { max_bytes = 0, max_message_bytes = 0, key_in = "headers" }' in lua_module(
        catalogue()
    )
    public = lua_module(catalogue({"access": {"roles": ["ROLE_PUBLIC"]}}))
    assert '["/dcp.v1.Books/Get"] = { max_bytes = 0, max_message_bytes = 0 }' in public


def test_a_route_of_any_depth_comes_after_those_that_say_more() -> None:
    deep = catalogue(path="/b/{id=**}").services["dcp.v1.Books"].children[0]
    plain = Node("dcp.v1.Books.Find", "", {"options": {"[google.api.http]": {"get": "/b/{id}/c"}}})
    both = replace(catalogue(), services={"dcp.v1.Books": Node("dcp.v1.Books", "", {}, (deep, plain))})
    text = lua_module(both)
    assert text.index('"^/b/[^/]+/c$"') < text.index('"^/b/.+$"')


def test_a_key_in_the_path_is_taken_out() -> None:
    text = lua_module(catalogue({"key_in_path": {"variable": "id", "query_parameter": "a_key"}}, path="/b/{id}/c"))
    assert (
        '{ path = "^/b/([^/]+)/c$", header = "x-query-a-key", plain_path = "/b/me/c", bearer_path = "/b/me/c" }' in text
    )


def test_the_first_refusal_of_a_status_speaks_for_it() -> None:
    first, second = ({"http_status": 400, "text": text, "openai_code": "c"} for text in ("One", "Two"))
    assert 'refusal_of_status = { [400] = "1" }' in lua_module(catalogue(None, first, second))


@pytest.mark.parametrize(
    ("declared", "complaint"),
    [
        (catalogue({"max_body_bytes": 7}, path="/b/{id=**}/c"), "cannot tell the paths of /b/"),
        (catalogue({"key_in_path": {"variable": "isbn", "query_parameter": "key"}}), "in place of {isbn}"),
        (catalogue(None, {"reason": "NONE", "openai_code": "c"}), "names the reason NONE"),
        (catalogue(None, {"http_status": 400, "text": 'A "b"', "openai_code": "c"}), "cannot stand in JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_declarations_that_the_edge_cannot_follow_are_refused(declared: Catalogue, complaint: str) -> None:
    with pytest.raises((LookupError, ValueError), match=complaint):
        lua_module(declared)


def test_services_with_routes_are_listed() -> None:
    listed = with_services(BOOTSTRAP, catalogue())
    assert listed == BOOTSTRAP.replace("dcp.v1.Gone", "dcp.v1.Books")
    assert with_services(listed, catalogue()) == listed
    with pytest.raises(ValueError, match="no list of services"):
        with_services("http_filters: []\n", catalogue())


def test_the_list_is_written_and_checked_with_the_rest(library_protos: Path, tmp_path: Path) -> None:
    protos, out, bootstrap = tmp_path / "proto", tmp_path / "gen", tmp_path / "envoy/envoy.yaml"
    shutil.copytree(library_protos, protos)
    bootstrap.parent.mkdir()
    bootstrap.write_text(BOOTSTRAP)
    assert run("--protos", protos, out).returncode == 0
    assert bootstrap.read_text() == BOOTSTRAP.replace("dcp.v1.Gone", "dcp.v1.LibraryService")
    bootstrap.write_text(BOOTSTRAP)
    answer = run("--protos", protos, "--check", out)
    assert answer.returncode == 1
    assert "(envoy/envoy.yaml)" in answer.stderr


def test_the_reference_names_the_carriers_that_the_protos_declare() -> None:
    roles = our_catalogue().enums["dcp.v1.Role"].children
    carriers = [role.option("dcp.v1.carriers", {}) for role in roles]
    named = {(scheme["in"], scheme["name"]) for scheme in SECURITY_SCHEMES.values() if scheme["type"] == "apiKey"}
    headers = {("header", one[kind]) for one in carriers for kind in ("header", "v1_header") if kind in one}
    assert named == headers | {("query", name) for one in carriers for name in one.get("query_parameters", ())}
