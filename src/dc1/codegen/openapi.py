"""The OpenAPI 3.1 document, read from the descriptor set alone."""

from __future__ import annotations

import re
from typing import Any

from dc1.codegen.access import SECURITY_SCHEMES, credentials_note, requirements
from dc1.codegen.descriptors import Catalogue, Node
from dc1.codegen.examples import examples
from dc1.codegen.responses import error_components, error_schema, responses
from dc1.codegen.schemas import InputSchemas, Schema, Schemas, is_required

_VERBS = ("get", "put", "post", "delete", "patch")

_INFO = {
    "description": (
        "A marketplace for GPU time: renters submit jobs, providers run them, admins operate the market.\n\n"
        'Numbers in requests may also be given as strings (`"10"`), `null` for an optional field equals its absence, and unknown '
        "keys are ignored. Responses print every documented field, with zero, false and empty values; clients ignore keys they do "
        "not know. Money is integer halala (1 SAR = 100 halala) and times are ISO-8601 UTC with milliseconds."
    ),
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
_ROOT: Schema = {"url": "/", "description": "Canonical."}
_IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": (
        "Repeating a call with the same key and body replays the first answer instead of acting twice. An empty one is none."
    ),
    "schema": {"type": "string", "maxLength": 255},
}


def openapi_document(catalogue: Catalogue, version: str) -> Schema:
    """Return the document of every method that has an HTTP route, for this version of the package.

    A route that is declared twice and an example that is no JSON raise ValueError, a name that nothing has LookupError.
    """
    base_paths = catalogue.file_option("dcp.v1.rest", {}).get("base_paths", ())
    writer = _Writer(catalogue)
    for service in catalogue.services.values():
        for method in service.children:
            writer.method(service, method)
    return {
        "openapi": "3.1.0",
        "info": {"title": "dc1", "version": version, **_INFO},
        "servers": [_ROOT, *({"url": base["path"], "description": base["description"]} for base in base_paths)],
        "tags": writer.tags,
        "paths": dict(sorted(writer.paths.items())),
        "components": {
            "securitySchemes": SECURITY_SCHEMES,
            "responses": error_components(),
            "schemas": {"Error": error_schema(catalogue), **writer.components},
        },
    }


class _Writer:
    def __init__(self, catalogue: Catalogue) -> None:
        self.schemas = Schemas(catalogue)
        self.inputs = InputSchemas(catalogue)
        self.paths: dict[str, Schema] = {}
        self.tags: list[Schema] = []
        self._catalogue = catalogue

    @property
    def components(self) -> dict[str, Schema]:
        """Every named schema."""
        return dict(sorted({**self.schemas.components, **self.inputs.components}.items()))

    def method(self, service: Node, method: Node) -> None:
        """Add all routes of one method."""
        http = method.option("google.api.http")
        if not http:
            return
        if service.short_name not in (tag["name"] for tag in self.tags):
            self.tags.append({"name": service.short_name, "description": service.comment})
        # An operation id is unique in the document, so the second route of a method has a number behind it.
        for index, binding in enumerate((http, *http.get("additional_bindings", ()))):
            self._route(service, method, binding, suffix=f"_{index + 1}" if index else "")

    def _route(self, service: Node, method: Node, binding: Schema, suffix: str) -> None:
        verb = next(verb for verb in _VERBS if verb in binding)
        # OpenAPI has no patterns in a path: of `{name=**}` the name is left.
        path = re.sub(r"=[^}]*", "", binding[verb])
        operations = self.paths.setdefault(path, {})
        if verb in operations:
            raise ValueError(f"{verb.upper()} {path} is declared twice")
        operations[verb] = self._operation(service, method, binding, path, suffix)

    def _operation(self, service: Node, method: Node, binding: Schema, path: str, suffix: str) -> Schema:
        access = method.option("dcp.v1.access", {})
        request = self._message(method, "input_type")
        in_path = re.findall(r"{(\w+)}", path)
        body = self._body(method, request, binding, frozenset(in_path))
        return _filled(
            tags=[service.short_name],
            operationId=method.short_name + suffix,
            summary=_summary(method.comment),
            description="\n\n".join(filter(None, [method.comment, credentials_note(access), _limit_note(method)])),
            parameters=self._parameters(method, request, binding, in_path),
            requestBody=body,
            security=requirements(access),
            servers=[_ROOT] if self._is_at_root_only(path) else [],
            responses=responses(
                method, self._message(method, "output_type"), self.schemas, takes_body="body" in binding
            ),
        )

    def _is_at_root_only(self, path: str) -> bool:
        beginnings = self._catalogue.file_option("dcp.v1.rest", {}).get("root_only", ())
        return path == "/" or f"{path}/".startswith(tuple(beginnings))

    def _message(self, method: Node, key: str) -> Node:
        return self._catalogue.messages[method.raw[key].lstrip(".")]

    def _body(self, method: Node, request: Node, binding: Schema, in_path: frozenset[str]) -> Schema:
        field_name = binding.get("body")
        if not field_name:
            return {}
        # The body is one field, or all fields that the path does not take. The whole message is referred to by name
        # where it can be.
        if field_name != "*":
            schema = self.inputs.field(_field(request, field_name))
        elif in_path:
            schema = self.inputs.object(request, without=in_path)
        else:
            schema = self.inputs.reference(request.name)
        # A method that takes nothing is called without a body.
        if not schema.get("properties", True):
            return {}
        content = _filled(schema=schema, examples=examples(method, "request"))
        media_type = "multipart/form-data" if method.option("dcp.v1.takes_form") else "application/json"
        return _filled(required=self._needs_body(request), content={media_type: content})

    @staticmethod
    def _needs_body(request: Node) -> bool:
        return any(is_required(field) for field in request.children)

    def _parameters(self, method: Node, request: Node, binding: Schema, in_path: list[str]) -> list[Schema]:
        parameters = [self._parameter(_field(request, name), "path") for name in in_path]
        # With a body the edge passes nothing on of the query.
        if "body" not in binding:
            parameters += [
                self._parameter(field, "query") for field in request.children if field.short_name not in in_path
            ]
        if method.option("dcp.v1.idempotency_key"):
            parameters.append(_IDEMPOTENCY_KEY)
        return parameters

    def _parameter(self, field: Node, place: str) -> Schema:
        schema = self.schemas.field(field)
        description = schema.pop("description", "")
        required = place == "path" or is_required(field)
        head = {"name": field.short_name, "in": place}
        return head | _filled(description=description, required=required, schema=schema)


def _field(message: Node, name: str) -> Node:
    for field in message.children:
        if field.short_name == name:
            return field
    raise LookupError(f"a route names the field {name}, which {message.name} does not have")


def _summary(comment: str) -> str:
    # The first sentence, or what stands before its colon: lists of operations show one line.
    return re.split(r"(?<=[.!?])\s|: ", comment, maxsplit=1)[0].rstrip(".")


def _limit_note(method: Node) -> str:
    limit = method.option("dcp.v1.rate_limit")
    if not limit:
        return ""
    who = "address" if limit.get("key") == "RATE_LIMIT_KEY_ADDRESS" else "account"
    return f"At most {limit['limit']} calls per {who} in {limit['window_seconds']} seconds."


def _filled(**members: Any) -> Schema:
    """Return the members that say something, in order."""
    # An empty `security` does: it tells tools that nobody needs a credential.
    return {name: value for name, value in members.items() if value or name == "security"}
