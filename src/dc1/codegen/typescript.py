"""Types of the REST API for the console, read from the OpenAPI document: gen/web/api.d.ts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_HEAD = "// Written by `make gen` from proto/: what the console may call, and what comes back. Never edited by hand.\n"
_REF = "#/components/schemas/"
_SIMPLE = {"integer": "number", "number": "number", "string": "string", "boolean": "boolean", "null": "null"}
_JSON, _EVENTS = "application/json", "text/event-stream"
Schema = dict[str, Any]


def typescript_module(document: Schema) -> str:
    """Return declarations of every schema, and of every route with what it takes and answers."""
    schemas = (f"  {name}: {_type(schema)};" for name, schema in document["components"]["schemas"].items())
    routes = (line for path, item in document["paths"].items() for line in _routes(path, item))
    return "\n".join(
        [
            _HEAD,
            "export interface Schemas {",
            *schemas,
            "}\n",
            "export interface Routes {",
            *routes,
            "}",
            "",
        ]
    )


def _routes(path: str, item: Schema) -> Iterator[str]:
    for verb, operation in item.items():
        parameters = operation.get("parameters", ())
        parts = {
            "path": _parameters(parameters, "path"),
            "query": _parameters(parameters, "query"),
            "body": _content(operation.get("requestBody", {})),
            "answer": _answer(operation["responses"]),
            "event": _event(operation["responses"]),
        }
        told = " ".join(f"{name}: {kind};" for name, kind in parts.items())
        yield f"  {json.dumps(f'{verb.upper()} {path}')}: {{ {told} }};"


def _parameters(parameters: Any, place: str) -> str:
    fields = [
        f"{_name(item['name'])}{'' if item.get('required') else '?'}: {_type(item['schema'])};"
        for item in parameters
        if item["in"] == place
    ]
    return f"{{ {' '.join(fields)} }}" if fields else "undefined"


def _content(body: Schema) -> str:
    content = body.get("content", {}).get(_JSON)
    return _type(content.get("schema", {})) if content else "undefined"


def _successes(responses: Schema) -> Iterator[Schema]:
    # Errors have one shape, which the client knows; they are no answer of a route.
    return (answer for status, answer in responses.items() if status.startswith("2") and "$ref" not in answer)


def _answer(responses: Schema) -> str:
    kinds = dict.fromkeys(kind for answer in _successes(responses) if (kind := _content(answer)) != "undefined")
    return " | ".join(kinds) or "undefined"


def _event(responses: Schema) -> str:
    """Return what the data of a stream's events is, `undefined` where nothing streams."""
    for answer in _successes(responses):
        events = answer.get("content", {}).get(_EVENTS, {}).get("schema", {})
        if "data" in events.get("properties", {}):
            return _type(events["properties"]["data"].get("contentSchema", {}))
        if events:
            return _type(events)
    return "undefined"


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return f"Schemas[{json.dumps(schema['$ref'].removeprefix(_REF))}]"
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return _union(_type(choice) for choice in choices)
    if "const" in schema or "enum" in schema:
        return _union(json.dumps(value, ensure_ascii=False) for value in schema.get("enum", [schema.get("const")]))
    named = schema.get("type", "any")
    return _union(_one_type(name, schema) for name in ([named] if isinstance(named, str) else named))


def _one_type(name: str, schema: Schema) -> str:
    if name == "array":
        return f"{_grouped(_type(schema.get('items', {})))}[]"
    if name == "object":
        return _object(schema)
    # JSON of any kind is looked into before it is used, as nothing says what it is.
    return _SIMPLE.get(name, "unknown")


def _object(schema: Schema) -> str:
    required = schema.get("required", ())
    fields = [
        f"{_name(name)}{'' if name in required else '?'}: {_type(part)};"
        for name, part in schema.get("properties", {}).items()
    ]
    if fields:
        return f"{{ {' '.join(fields)} }}"
    further = schema.get("additionalProperties")
    return f"Record<string, {_type(further) if isinstance(further, dict) else 'unknown'}>"


def _union(kinds: Iterator[str]) -> str:
    return " | ".join(dict.fromkeys(kinds))


def _grouped(kind: str) -> str:
    return f"({kind})" if "|" in kind else kind


def _name(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)
