"""JSON Schemas of proto messages, as the REST edge reads and prints them."""

from __future__ import annotations

import json
import re
from typing import Any

from dc1.codegen.descriptors import Catalogue, Node

Schema = dict[str, Any]

_NULL: Schema = {"type": "null"}
_SIGNED: Schema = {"type": "integer", "format": "int32"}
_UNSIGNED: Schema = {"type": "integer", "minimum": 0}
# JSON numbers are exact to 2^53 only, so protobuf's JSON form carries 64-bit integers in strings.
_LONG: Schema = {"type": "string", "format": "int64"}

_SCALARS: dict[str, Schema] = {
    "TYPE_BOOL": {"type": "boolean"},
    "TYPE_BYTES": {"type": "string", "contentEncoding": "base64"},
    "TYPE_DOUBLE": {"type": "number"},
    "TYPE_FIXED32": _UNSIGNED,
    "TYPE_FIXED64": _LONG,
    "TYPE_FLOAT": {"type": "number"},
    "TYPE_INT32": _SIGNED,
    "TYPE_INT64": _LONG,
    "TYPE_SFIXED32": _SIGNED,
    "TYPE_SFIXED64": _LONG,
    "TYPE_SINT32": _SIGNED,
    "TYPE_SINT64": _LONG,
    "TYPE_STRING": {"type": "string"},
    "TYPE_UINT32": _UNSIGNED,
    "TYPE_UINT64": _LONG,
}

_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Value": {},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?\d+(\.\d+)?s$"},
    "google.protobuf.BoolValue": {"type": ["boolean", "null"]},
    "google.protobuf.DoubleValue": {"type": ["number", "null"]},
    "google.protobuf.Int32Value": {"type": ["integer", "null"]},
    "google.protobuf.StringValue": {"type": ["string", "null"]},
    "google.protobuf.UInt32Value": {"type": ["integer", "null"], "minimum": 0},
}

# protovalidate rule -> JSON Schema keyword.
_KEYWORDS = {
    "const": "const",
    "in": "enum",
    "gt": "exclusiveMinimum",
    "gte": "minimum",
    "lt": "exclusiveMaximum",
    "lte": "maximum",
    "pattern": "pattern",
    "unique": "uniqueItems",
}
# The same for counts, which are 64-bit and so arrive in strings.
_COUNTS = {
    "min_len": "minLength",
    "max_len": "maxLength",
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_pairs": "minProperties",
    "max_pairs": "maxProperties",
}
_FORMATS = {"email": "email", "uri": "uri", "uuid": "uuid", "hostname": "hostname", "ipv4": "ipv4", "ipv6": "ipv6"}


def _rules(field: Node) -> Schema:
    """Return the field's protovalidate rules as JSON; empty without any."""
    found: Schema = field.option("buf.validate.field", {})
    return found


def is_required(field: Node) -> bool:
    """Return whether a request without the field is refused, by its rules or by the service."""
    return bool(_rules(field).get("required") or field.option("dcp.v1.json", {}).get("required"))


class Schemas:
    """Builds schemas of answers on demand and keeps every named one for `components`."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._built: dict[str, Schema] = {}

    @property
    def components(self) -> dict[str, Schema]:
        """All schemas referred to so far, by name."""
        return dict(sorted(self._built.items()))

    def reference(self, full_name: str) -> Schema:
        """Return a `$ref` to the schema of a message or enum, which is built if this is the first one."""
        name = self._name(full_name)
        if name not in self._built:
            # Named before it is built: a message may contain itself.
            self._built[name] = {}
            enum = self._catalogue.enums.get(full_name)
            message = self._catalogue.messages.get(full_name)
            self._built[name] = _enum(enum) if enum else self.object(_known(message, full_name))
        return {"$ref": f"#/components/schemas/{name}"}

    def object(self, message: Node, without: frozenset[str] = frozenset()) -> Schema:
        """Return the schema of a message's JSON object, less the fields named."""
        fields = [field for field in message.children if field.short_name not in without]
        schema: Schema = {"type": "object"}
        if message.comment:
            schema["description"] = message.comment
        if fields:
            schema["properties"] = {json_name(field): self.property(field) for field in fields}
        required = [json_name(field) for field in fields if self.is_always_there(field)]
        if required:
            schema["required"] = required
        return schema

    def is_always_there(self, field: Node) -> bool:
        """Return whether no object is without the field."""
        # Envoy prints zero, false and empty values (always_print_primitive_fields), and services set every message that
        # is not `optional`, if to null.
        return "proto3_optional" not in field.raw

    def property(self, field: Node) -> Schema:
        """Return the schema of a field as a member of its object."""
        return self.field(field)

    def field(self, field: Node) -> Schema:
        """Return the schema of one field: its type, its rules and its comment."""
        entry = self._map_entry(field)
        if entry:
            schema = {"type": "object", "additionalProperties": self._single(entry.children[1])}
        elif field.raw["label"] == "LABEL_REPEATED":
            schema = {"type": "array", "items": self._single(field)}
        else:
            schema = self._single(field)
        # What the service checks itself comes last: it may narrow what the rules say.
        further = field.option("dcp.v1.json", {}).get("schema", "{}")
        return _described({**_ruled(schema, _rules(field)), **json.loads(further)}, field)

    def _name(self, full_name: str) -> str:
        return full_name.removeprefix("dcp.v1.")

    def _map_entry(self, field: Node) -> Node | None:
        # To a descriptor a map is a repeated message of key and value; only the message's option tells.
        if field.raw["label"] != "LABEL_REPEATED" or field.raw["type"] != "TYPE_MESSAGE":
            return None
        message = self._catalogue.messages[field.raw["type_name"].lstrip(".")]
        return message if message.raw.get("options", {}).get("map_entry") else None

    def _single(self, field: Node) -> Schema:
        """Return the schema of one value of the field."""
        shape = field.option("dcp.v1.json", {})
        if shape.get("types"):
            return self._shaped(shape)
        scalar = _SCALARS.get(field.raw["type"])
        if scalar:
            return dict(scalar)
        type_name = field.raw["type_name"].lstrip(".")
        known = _WELL_KNOWN.get(type_name)
        return dict(known) if known is not None else self.reference(type_name)

    def _shaped(self, shape: Schema) -> Schema:
        """Return the schema of a dynamically typed field by its declared JSON shape."""
        types = list(shape["types"])
        if shape.get("nullable"):
            types.append("null")
        schema: Schema = {"type": types[0] if len(types) == 1 else types}
        if "message" not in shape:
            return schema
        reference = self.reference(shape["message"])
        if "array" in types:
            return {**schema, "items": reference}
        others = [kind for kind in types if kind != "object"]
        return {"anyOf": [reference, *({"type": kind} for kind in others)]} if others else reference


class InputSchemas(Schemas):
    """Builds schemas of requests.

    Null stands for an optional field's absence, and a blank string for a required one's.
    """

    def property(self, field: Node) -> Schema:
        """Return the schema of a field as a member of its object."""
        schema = self.field(field)
        return _present(schema, field) if is_required(field) else _nullable(schema)

    def is_always_there(self, field: Node) -> bool:
        """Return whether a request without the field is refused."""
        return is_required(field)

    def _name(self, full_name: str) -> str:
        # A message may be both asked for and answered, and then has two schemas: only in a request may null stand for
        # absence.
        name = super()._name(full_name)
        return name if name.endswith(("Request", "Input")) else f"{name}Input"


def json_name(field: Node) -> str:
    """Return the field's name in JSON: its own, unless the proto file gives it another one."""
    # Envoy prints proto names (preserve_proto_field_names), so protoc's own camelCase is not what a client sees.
    given: str = field.raw["json_name"]
    return field.short_name if given == _camel(field.short_name) else given


def _camel(name: str) -> str:
    """Return what protoc makes of a name to which no other is given."""
    return re.sub(r"_+([a-z0-9])", lambda match: match[1].upper(), name)


def _present(schema: Schema, field: Node) -> Schema:
    """Return the schema without the values that count as missing: blank texts and empty lists."""
    if schema.get("type") == "array":
        return {**schema, "minItems": max(1, schema.get("minItems", 0))}
    if schema.get("type") != "string" or schema.keys() & {"enum", "pattern", "const"}:
        return schema
    # The length of a trimmed text is that from its first visible character to its last, which stand for two of it.
    between = schema.get("minLength", 1) - 2 if field.option("dcp.v1.trim") else -1
    return {**schema, "pattern": r"\S" if between < 0 else rf"\S[\s\S]{{{between},}}\S"}


def _nullable(schema: Schema) -> Schema:
    description = {"description": schema["description"]} if "description" in schema else {}
    if "$ref" in schema or "anyOf" in schema:
        options = schema.get("anyOf") or [{"$ref": schema["$ref"]}]
        return {"anyOf": [*(one for one in options if one != _NULL), _NULL], **description}
    kinds = schema.get("type")
    if kinds is None:
        return schema
    types = [kinds] if isinstance(kinds, str) else list(kinds)
    if "null" not in types:
        schema = {**schema, "type": [*types, "null"]}
    return {**schema, "enum": [*schema["enum"], None]} if None not in schema.get("enum", [None]) else schema


def _known(message: Node | None, full_name: str) -> Node:
    if message is None:
        raise LookupError(f"an option names {full_name}, which no proto file defines")
    return message


def _enum(enum: Node) -> Schema:
    schema: Schema = {"type": "string", "enum": [value.short_name for value in enum.children]}
    meanings = [f"- `{value.short_name}`: {value.comment}" for value in enum.children if value.comment]
    description = "\n".join([enum.comment, *meanings]).strip()
    return {**schema, "description": description} if description else schema


def _ruled(schema: Schema, found: Schema) -> Schema:
    """Return the schema with the field's protovalidate rules as keywords."""
    for kind, constraints in found.items():
        if not isinstance(constraints, dict):
            continue
        for rule, value in constraints.items():
            if rule in _KEYWORDS:
                schema = {**schema, _KEYWORDS[rule]: value}
            elif rule in _COUNTS:
                schema = {**schema, _COUNTS[rule]: int(value)}
            elif rule in _FORMATS and value:
                schema = {**schema, "format": _FORMATS[rule]}
        if kind == "repeated" and "items" in constraints:
            schema = {**schema, "items": _ruled(schema["items"], constraints["items"])}
        if kind == "map" and "values" in constraints:
            schema = {**schema, "additionalProperties": _ruled(schema["additionalProperties"], constraints["values"])}
    return schema


def _described(schema: Schema, field: Node) -> Schema:
    """Return the schema with the field's comment and the messages of its CEL rules, which no keyword can say."""
    sentences = [field.comment, *(rule["message"] for rule in _rules(field).get("cel", ()) if "message" in rule)]
    description = " ".join(sentence for sentence in sentences if sentence)
    return {**schema, "description": description} if description else schema
