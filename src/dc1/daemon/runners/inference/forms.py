"""Calls that engines take as forms, written as such again."""

import base64
from typing import Final

import aiohttp

from dc1.domain.base.json_types import JsonObject, JsonValue, compact
from dc1.domain.providers.model_abilities import EnginePath

FORM_PATHS: Final = frozenset(path.removeprefix("/") for path in (EnginePath.TRANSCRIPTIONS, EnginePath.TRANSLATIONS))


def form_of(body: JsonObject) -> aiohttp.FormData:
    """Return the fields and files that a call's JSON stands for, in their order."""
    # A name of a file as its owner wrote it, with its spaces and letters.
    form = aiohttp.FormData(default_to_multipart=True, quote_fields=False)
    for name, value in body.items():
        for each in value if isinstance(value, list) else [value]:
            _add(form, name, each)
    return form


def _add(form: aiohttp.FormData, key: str, value: JsonValue) -> None:
    name = _in_a_line(key)
    if isinstance(value, dict):
        data = base64.b64decode(str(value.get("data")))
        content_type, filename = (_in_a_line(str(value.get(each))) for each in ("content_type", "filename"))
        form.add_field(name, data, content_type=content_type, filename=filename)
    else:
        # Without a file's name it is a field, which engines tell apart by that.
        form.add_field(name, value if isinstance(value, str) else compact(value))


def _in_a_line(text: str) -> str:
    # A line break would be the start of another header, and is refused by whoever writes it.
    return "".join(each if each.isprintable() else "_" for each in text)
