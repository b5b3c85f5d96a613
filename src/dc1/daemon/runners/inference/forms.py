"""Calls that engines take as forms, written as such again."""

import base64
from typing import Final

import httpx

from dc1.domain.base.json_types import JsonObject, JsonValue, compact
from dc1.domain.providers.model_abilities import EnginePath

FORM_PATHS: Final = frozenset(
    path.removeprefix("/v1/") for path in (EnginePath.TRANSCRIPTIONS, EnginePath.TRANSLATIONS)
)


def form_of(body: JsonObject) -> "httpx._types.RequestFiles":
    """Return the fields and files that a call's JSON stands for, in their order."""
    return [
        (name, _part(each)) for name, value in body.items() for each in (value if isinstance(value, list) else [value])
    ]


def _part(value: JsonValue) -> "httpx._types.FileTypes":
    if isinstance(value, dict):
        data = base64.b64decode(str(value.get("data")))
        return str(value.get("filename")), data, str(value.get("content_type"))
    # Without a file's name it is a field, which engines tell apart by that.
    return None, value if isinstance(value, str) else compact(value)
