"""How the small API of library.proto is described."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_spec_validator import validate

from dc1.codegen.descriptors import load_catalogue
from dc1.codegen.openapi import openapi_document

Document = dict[str, Any]


@pytest.fixture(scope="module")
def document(library_descriptors: bytes) -> Document:
    return openapi_document(load_catalogue(library_descriptors), "1.2.3")


@pytest.fixture(scope="module")
def book(document: Document) -> Document:
    properties: Document = document["components"]["schemas"]["Book"]["properties"]
    return properties


def test_document_is_valid_openapi(document: Document) -> None:
    validate(document)


def test_every_binding_is_a_route_and_methods_without_one_are_left_out(document: Document) -> None:
    routes = {(verb, path) for path, operations in document["paths"].items() for verb in operations}
    assert routes == {
        ("post", "/shelves/{shelf}/books"),
        ("put", "/books"),
        ("get", "/books"),
        ("get", "/books/{id}/words"),
    }


def test_operation_ids_are_unique(document: Document) -> None:
    operations = [operation for operations in document["paths"].values() for operation in operations.values()]
    assert sorted(operation["operationId"] for operation in operations) == [
        "AddBook",
        "AddBook_2",
        "FindBooks",
        "ReadBook",
    ]


def test_path_parameters_leave_the_body(document: Document) -> None:
    operation = document["paths"]["/shelves/{shelf}/books"]["post"]
    assert [(one["name"], one["in"], one["required"]) for one in operation["parameters"][:1]] == [
        ("shelf", "path", True)
    ]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == {"title", "api_key"}
    assert schema["required"] == ["title"]
    assert operation["requestBody"]["required"] is True


def test_fields_of_a_get_are_query_parameters(document: Document) -> None:
    operation = document["paths"]["/books/{id}/words"]["get"]
    assert [(one["name"], one["in"]) for one in operation["parameters"]] == [("id", "path"), ("page", "query")]
    assert "requestBody" not in operation


def test_idempotency_key_is_a_header(document: Document) -> None:
    headers = [one["name"] for one in document["paths"]["/books"]["put"]["parameters"] if one["in"] == "header"]
    assert headers == ["Idempotency-Key"]


def test_credentials(document: Document) -> None:
    assert document["paths"]["/books"]["get"]["security"] == []
    assert document["paths"]["/books/{id}/words"]["get"]["security"] == [{"adminToken": []}, {"bearer": []}]
    add = document["paths"]["/books"]["put"]
    assert {"renterKey": []} in add["security"]
    assert {} in add["security"]
    assert "The key may also be given as the body field `api_key`." in add["description"]
    assert "A scoped renter key needs the scope `books.write`." in add["description"]


def test_comments_are_summary_and_description(document: Document) -> None:
    add = document["paths"]["/books"]["put"]
    assert add["summary"] == "Adds a book"
    assert add["description"].startswith("Adds a book. Fails when the shelf is full.")
    assert "At most 5 calls per account in 60 seconds." in add["description"]
    assert document["tags"] == [{"name": "LibraryService", "description": "Lending books."}]


def test_answers_by_status(document: Document) -> None:
    answers = document["paths"]["/books"]["put"]["responses"]
    assert sorted(answers) == ["201", "400", "401", "403", "409", "413", "429", "500", "503", "504"]
    assert answers["409"] == {"$ref": "#/components/responses/Conflict"}
    content = answers["201"]["content"]["application/json"]
    assert content["schema"] == {"$ref": "#/components/schemas/Book"}
    assert content["examples"]["a-novel"]["value"] == {"title": "Dune", "pages": 412}


def test_public_methods_have_no_401(document: Document) -> None:
    assert "401" not in document["paths"]["/books"]["get"]["responses"]


def test_declared_bodies_replace_http_body(document: Document) -> None:
    answers = document["paths"]["/books/{id}/words"]["get"]["responses"]
    events = answers["200"]["content"]["text/event-stream"]["schema"]
    assert events["properties"]["data"]["contentSchema"] == {"anyOf": [{"$ref": "#/components/schemas/Book"}]}
    lost = answers["410"]["content"]["application/json"]["schema"]
    assert lost == {"anyOf": [{"$ref": "#/components/schemas/Book"}, {"$ref": "#/components/schemas/Error"}]}


def test_rules_become_keywords(document: Document, book: Document) -> None:
    title = document["components"]["schemas"]["AddBookRequest"]["properties"]["title"]
    assert title == {
        "type": "string",
        "minLength": 2,
        "maxLength": 120,
        "pattern": "\\S",
        "description": "The title, wrapped over two lines.",
    }
    assert (book["pages"]["minimum"], book["pages"]["maximum"]) == (1, 9999)
    assert book["tags"]["maxItems"] == 3
    assert book["tags"]["items"] == {"type": "string", "pattern": "^[a-z]+$"}


def test_null_is_absence_in_requests(document: Document) -> None:
    request = document["components"]["schemas"]["AddBookRequest"]
    assert request["required"] == ["title"]
    assert {name: schema["type"] for name, schema in request["properties"].items()} == {
        "shelf": ["string", "null"],
        "title": "string",
        "api_key": ["string", "null"],
    }


def test_answers_print_what_has_no_presence(document: Document) -> None:
    book = document["components"]["schemas"]["Book"]
    assert book["required"] == list(book["properties"])


def test_types_are_those_of_the_json(book: Document) -> None:
    assert book["borrower"]["type"] == ["string", "null"]
    assert book["sequel_of"]["anyOf"] == [{"$ref": "#/components/schemas/Book"}, {"type": "null"}]
    assert book["prices"]["additionalProperties"] == {"type": "number"}
    assert book["extras"]["type"] == "object"
    assert book["barcode"]["type"] == "string"
    assert book["cover"]["$ref"] == "#/components/schemas/Cover"


def test_enums_list_their_names_and_meanings(document: Document) -> None:
    cover = document["components"]["schemas"]["Cover"]
    assert cover["enum"] == ["COVER_UNSPECIFIED", "COVER_PAPER"]
    assert "- `COVER_PAPER`: Soft." in cover["description"]
