"""JSON schemas as tables."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from dc1.services.system.documentation.foreign import told
from dc1.services.system.documentation.markup import Html, code, join, link, table, text
from dc1.services.system.documentation.words import Words

Schema: TypeAlias = dict[str, Any]

_REF = "#/components/schemas/"
_RULES = (
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "pattern",
    "format",
)
# What the generator writes for every unsigned integer, as JSON Schema has no other way to say it.
_UNSIGNED = {"minimum": 0}


def anchor(name: str) -> str:
    """Return the name of the place on the page where a schema is shown."""
    return f"schema-{name}"


def kind(schema: Schema, words: Words) -> Html:
    """Return what JSON a schema takes, for example `array of Job`."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF)
        return link(anchor(name), code(name))
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return Html(words.rules["or"].join(kind(choice, words) for choice in choices))
    named = schema.get("type", words.rules["any"])
    types = [named] if isinstance(named, str) else list(named)
    return Html(words.rules["or"].join(_one_kind(name, schema, words) for name in types))


def _one_kind(name: str, schema: Schema, words: Words) -> Html:
    if name == "array" and "items" in schema:
        return Html(f"{words.rules['array']} {kind(schema['items'], words)}")
    if name == "object" and isinstance(schema.get("additionalProperties"), dict):
        return Html(f"{words.rules['object']} {kind(schema['additionalProperties'], words)}")
    return text(name)


def _rules(schema: Schema, words: Words) -> Html:
    """Return what a value must keep to."""
    found = [text(words.rules[name].format(_told(schema[name]))) for name in _RULES if _is_told(name, schema)]
    if "enum" in schema:
        # A number may also be given in a string, and the type tells that null will do.
        values = dict.fromkeys(str(value) for value in schema["enum"] if value is not None)
        found.append(Html(f"{words.rules['enum']} {', '.join(map(code, values))}"))
    return Html(words.rules["and"].join(found))


def _told(bound: Any) -> Any:
    # The bounds of a double are doubles in the document (`1000.0`), those of an integer integers; both shall read
    # alike.
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound


def _is_told(name: str, schema: Schema) -> bool:
    # That a count is not negative goes without saying.
    return name in schema and _UNSIGNED.get(name) != schema[name]


def fields(schema: Schema, words: Words, *, is_request: bool) -> Html:
    """Return the table of an object's fields; in requests with which of them must be given."""
    heads = ("field", "type", "required", "meaning") if is_request else ("field", "type", "meaning")
    return table("fields", [words[name] for name in heads], _rows(schema, words, is_request=is_request))


def _rows(schema: Schema, words: Words, *, is_request: bool, prefix: str = "") -> Iterator[list[Html]]:
    required = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        dotted = prefix + name
        row = [code(dotted), kind(part, words)]
        if is_request:
            row.append(text(words["yes"] if name in required else ""))
        yield [*row, meaning(part, words)]
        inner = part.get("items", part)
        suffix = "[]." if "items" in part else "."
        yield from _rows(inner, words, is_request=is_request, prefix=dotted + suffix)


def meaning(schema: Schema, words: Words) -> Html:
    """Return the description of a value, and its rules."""
    kept = _rules(schema, words)
    return join(
        [told(schema.get("description", ""), words), Html(f' <span class="rules">{kept}</span>') if kept else ""]
    )
