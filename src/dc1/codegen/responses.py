"""The answers of a method: its success, the bodies it declares, and its errors."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from dc1.codegen.access import V1_ERRORS, is_public
from dc1.codegen.descriptors import Catalogue, Node
from dc1.codegen.examples import examples
from dc1.codegen.schemas import Schemas

Schema = dict[str, Any]

_ERROR_SCHEMA: Schema = {
    "type": "object",
    "description": "Every error, on every path. Further keys are facts documented with the route, for example `balance_halala`.",
    "properties": {
        "error": {
            "type": "string",
            "description": "What went wrong, in a sentence that clients may match where documented.",
        },
        "code": {
            "type": "string",
            "description": "The reason in UPPER_SNAKE; the name of the gRPC status where none of these says more.",
        },
        "fields": {
            "type": "array",
            "description": "The request fields at fault.",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                "required": ["field", "message"],
            },
        },
        "retryAfterSeconds": {"type": "integer", "minimum": 0, "description": "With 429: when to try again."},
        "retryAfterMs": {"type": "integer", "minimum": 0, "description": "The same in milliseconds."},
    },
    "required": ["error", "code"],
}
_ERRORS = (400, 401, 402, 403, 404, 405, 409, 410, 413, 429, 500, 503, 504)
# What the edge and the pipeline in front of every method can answer.
_EVERYWHERE = (400, 429, 500, 503, 504)
_REASONS = "dcp.v1.ErrorReason"
_RETRY_AFTER: Schema = {
    "Retry-After": {"description": "Seconds until a call can succeed.", "schema": {"type": "integer", "minimum": 0}}
}


def error_schema(catalogue: Catalogue) -> Schema:
    """Return the schema of the error body, with every reason that it may give as `code`."""
    reasons = catalogue.enums.get(_REASONS)
    if reasons is None:
        return _ERROR_SCHEMA
    # A description and no enum: a code that is new must not make an answer invalid for those who read older documents.
    lines = [_reason(value) for value in reasons.children if value.option("dcp.v1.refusal")]
    properties = {**_ERROR_SCHEMA["properties"]}
    properties["code"] = {**properties["code"], "description": "\n".join([properties["code"]["description"], *lines])}
    return {**_ERROR_SCHEMA, "properties": properties}


def reason_name(value: Node) -> str:
    """Return the name of an `ErrorReason` as the `code` of an error body has it."""
    return value.short_name.removeprefix("ERROR_REASON_")


def _reason(value: Node) -> str:
    refusal = value.option("dcp.v1.refusal")
    return f"- `{reason_name(value)}` ({refusal['http_status']} `{refusal['text']}`): {value.comment}"


def error_components() -> Schema:
    """Return the error answers that operations refer to, by name."""
    components = {
        _name(status): {
            "description": _phrase(status),
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
        for status in _ERRORS
    }
    components[_name(429)]["headers"] = _RETRY_AFTER
    return components


def responses(method: Node, output: Node, schemas: Schemas, *, takes_body: bool) -> Schema:
    """Return all documented answers of a method by status, on a route that takes a body or none."""
    found: dict[int, Schema] = {}
    declared = method.option("dcp.v1.http_content", ())
    for body in declared:
        _add_body(found, body, schemas)
    # A method that answers HttpBody declares its bodies itself, as its message says nothing of them.
    if not declared:
        status = method.option("dcp.v1.success_status", HTTPStatus.OK)
        content = {"schema": schemas.reference(output.name)}
        answers = examples(method, "response")
        found[status] = {
            "description": _phrase(status),
            "content": {"application/json": {**content, "examples": answers} if answers else content},
        }
    own_error = V1_ERRORS.get(method.option("dcp.v1.access", {}).get("credential_errors", ""))
    for status in _error_statuses(method, takes_body):
        # Every error of such a method has that body, its own statuses included.
        if own_error:
            found[status] = _error_of(own_error, status, schemas)
        else:
            _add_error(found, status)
    return {str(status): found[status] for status in sorted(found)}


def _add_body(found: dict[int, Schema], body: Schema, schemas: Schemas) -> None:
    status = body.get("status") or HTTPStatus.OK
    response = found.setdefault(status, {"description": ""})
    response["description"] = f"{response['description']} {body.get('description', '')}".strip() or _phrase(status)
    media_type = body.get("media_type")
    if media_type is None:
        return
    content = response.setdefault("content", {})
    schema = schemas.reference(body["message"]) if "message" in body else {}
    if body.get("list"):
        schema = {"type": "array", "items": schema}
    if media_type == "text/event-stream":
        _add_event(content.setdefault(media_type, {"schema": _event()})["schema"], schema)
    else:
        content[media_type] = {"schema": schema} if schema else {}


def _event() -> Schema:
    """Return the schema of one of the events that a body is made of."""
    # OpenAPI 3.1 has no schema for a sequence of events; tools read that of a stream as the schema of each.
    return {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "Where to resume, as `Last-Event-ID`."},
            "event": {"type": "string"},
            "data": {"type": "string"},
        },
    }


def _add_event(event: Schema, data: Schema) -> None:
    """Let the events carry this data too."""
    # `data` is text that holds JSON, so its shape goes under contentSchema.
    member = event["properties"]["data"]
    if data:
        others = member.get("contentSchema", {}).get("anyOf", [])
        member |= {"contentMediaType": "application/json", "contentSchema": {"anyOf": [*others, data]}}


def _error_statuses(method: Node, takes_body: bool) -> list[int]:
    """Return the statuses that follow from what the method is and takes, and those of its own."""
    found = {*_EVERYWHERE, *method.option("dcp.v1.error_statuses", ())}
    access = method.option("dcp.v1.access", {})
    if not is_public(access):
        found.add(401)
    # Renters may be suspended and lack scopes, admins call from elsewhere; a provider's key opens all that is a
    # provider's, a machine's not what is its owner's.
    if {"ROLE_RENTER", "ROLE_ADMIN"} & {*access.get("roles", ())} or access.get("master_key_only"):
        found.add(403)
    if takes_body:
        found.add(413)
    return sorted(found)


def _error_of(message: str, status: int, schemas: Schemas) -> Schema:
    """Return the error answer of a method whose errors are such messages."""
    content = {"application/json": {"schema": schemas.reference(message)}}
    answer = {"description": _phrase(status), "content": content}
    return answer | {"headers": _RETRY_AFTER} if status == HTTPStatus.TOO_MANY_REQUESTS else answer


def _add_error(found: dict[int, Schema], status: int) -> None:
    if status not in found:
        if status not in _ERRORS:
            raise ValueError(f"a method documents the error status {status}, which no answer of this API has")
        found[status] = {"$ref": f"#/components/responses/{_name(status)}"}
        return
    # The method gives this status a body of its own; the plain error remains possible.
    error = {"$ref": "#/components/schemas/Error"}
    content = found[status]["content"].setdefault("application/json", {"schema": error})
    if content["schema"] != error:
        content["schema"] = {"anyOf": [content["schema"], error]}


def _name(status: int) -> str:
    return HTTPStatus(status).phrase.replace(" ", "")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase + "."
