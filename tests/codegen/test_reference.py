"""The API reference that the repository keeps: gen/openapi.yaml and the declarations behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from dc1.codegen.descriptors import Node
from tests.codegen.conftest import REPOSITORY, our_catalogue
from tests.support.openapi import document

Document = dict[str, Any]
DOCUMENT: Document = document()
CORE = [
    ("post", "/renters/register"),
    ("post", "/providers/heartbeat"),
    ("post", "/jobs/submit"),
    ("get", "/admin/dashboard"),
]


def our_methods() -> Iterator[Node]:
    for service in our_catalogue().services.values():
        yield from service.children


def bodies() -> Iterator[tuple[str, Document]]:
    """Every JSON media type of every operation, with a name for it."""
    for path, operations in DOCUMENT["paths"].items():
        for verb, operation in operations.items():
            answers = operation["responses"].items()
            contents = [("request", operation.get("requestBody", {})), *answers]
            for name, holder in contents:
                if "application/json" in holder.get("content", {}):
                    yield f"{verb} {path} {name}", holder["content"]["application/json"]


def worked_examples() -> Iterator[Any]:
    for name, body in bodies():
        for key, example in body.get("examples", {}).items():
            yield pytest.param(body["schema"], example["value"], id=f"{name} {key}")


def shape_of(schema: Document) -> Document:
    """The properties of a body, which is described in place where the path takes some of them."""
    shape = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    properties: Document = shape.get("properties", {})
    return properties


def test_document_is_valid_openapi() -> None:
    validate(DOCUMENT)


@pytest.mark.parametrize(("verb", "path"), CORE)
def test_core_endpoints_have_worked_calls(verb: str, path: str) -> None:
    named = {name: body for name, body in bodies() if name.startswith(f"{verb} {path} ") and "examples" in body}
    success = "201" if path in ("/renters/register", "/jobs/submit") else "200"
    assert f"{verb} {path} {success}" in named
    assert verb == "get" or f"{verb} {path} request" in named


@pytest.mark.parametrize(("schema", "value"), list(worked_examples()))
def test_worked_calls_have_the_documented_shape(schema: Document, value: Any) -> None:
    validator = Draft202012Validator({**schema, "components": DOCUMENT["components"]})
    assert [error.message for error in validator.iter_errors(value)] == []


@pytest.mark.parametrize(("schema", "value"), list(worked_examples()))
def test_worked_calls_show_no_undocumented_key(schema: Document, value: Document) -> None:
    assert value.keys() <= shape_of(schema).keys()


def test_every_body_that_a_route_takes_is_shown_once_worked() -> None:
    """The samples of the documentation are made of them."""
    taking = [(name, body) for name, body in bodies() if name.endswith(" request") and shape_of(body["schema"])]
    assert [name for name, body in taking if "examples" not in body] == []


@pytest.mark.parametrize("method", list(our_methods()), ids=lambda method: method.name)
def test_every_method_declares_who_may_call(method: Node) -> None:
    assert method.option("dcp.v1.access", {}).get("roles")


@pytest.mark.parametrize("method", list(our_methods()), ids=lambda method: method.name)
def test_every_method_is_documented(method: Node) -> None:
    assert method.comment.endswith(".")


def test_a_declared_body_may_be_an_array() -> None:
    content = DOCUMENT["paths"]["/providers/public"]["get"]["responses"]["200"]["content"]
    assert content["application/json"]["schema"] == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/AvailableProvider"},
    }


def test_the_edge_transcodes_every_service_with_routes() -> None:
    routed = {
        name
        for name, service in our_catalogue().services.items()
        if any(method.option("google.api.http") for method in service.children)
    }
    bootstrap = yaml.safe_load((REPOSITORY / "envoy/envoy.yaml").read_text())
    manager = bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    transcoder = next(one["typed_config"] for one in manager["http_filters"] if "transcoder" in one["name"])
    assert set(transcoder["services"]) == routed
