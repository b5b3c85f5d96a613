"""Types of the REST API for Python, read from the OpenAPI document: gen/dcp/rest_types.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

_HEAD = '''"""The JSON of the REST API, as `dc1.client` gives and takes it. Written by `make gen` from proto/, never edited by hand."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict
'''
_REF = "#/components/schemas/"
_SIMPLE = {"integer": "int", "number": "float", "string": "str", "boolean": "bool", "null": "None"}
Schema = dict[str, Any]


def python_types(document: Schema) -> str:
    """Return a TypedDict for every schema that is an object, and a name for every other."""
    # Behind what they are made of: a name that is assigned is needed at once, a class's fields never are.
    schemas = sorted(document["components"]["schemas"].items(), key=lambda named: "properties" not in named[1])
    return "\n\n".join([_HEAD, *("\n".join(_declared(name, schema)) for name, schema in schemas)]) + "\n"


def _declared(name: str, schema: Schema) -> Iterator[str]:
    fields = schema.get("properties")
    if not fields:
        yield f"{name} = {_type(schema)}"
        return
    required = schema.get("required", ())
    yield f"class {name}(TypedDict):"
    for field, part in fields.items():
        kind = _type(part)
        # No class has a field of such a name; what is read by it is read as from any dict.
        if field.isidentifier():
            yield f"    {field}: {kind if field in required else f'NotRequired[{kind}]'}"


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REF)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return _union(_type(choice) for choice in choices)
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return f"Literal[{', '.join(repr(value) for value in values)}]"
    named = schema.get("type", "any")
    return _union(_one_type(name, schema) for name in ([named] if isinstance(named, str) else named))


def _one_type(name: str, schema: Schema) -> str:
    if name == "array":
        return f"list[{_type(schema.get('items', {}))}]"
    if name == "object":
        further = schema.get("additionalProperties")
        return f"dict[str, {_type(further) if isinstance(further, dict) else 'Any'}]"
    return _SIMPLE.get(name, "Any")


def _union(kinds: Iterable[str]) -> str:
    known = list(dict.fromkeys(kinds))
    # Whatever is said beside it, anything may come.
    return "Any" if "Any" in known else " | ".join(known)
