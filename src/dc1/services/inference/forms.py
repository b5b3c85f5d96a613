"""Calls that come as forms: their fields and files as the JSON in which every call is stored and handed on."""

import base64
from typing import TYPE_CHECKING, Final

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from dc1.domain import errors
from dc1.domain.base.json_types import JsonObject, JsonValue, compact

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_MOST_PARTS: Final = 100
_FLAGS: Final = {"true": True, "false": False}
_FLAG_FIELDS: Final = frozenset({"stream"})


def form_as_json(content_type: str, sent: bytes, max_bytes: int) -> bytes:
    """Return the object that a form is: texts, lists of those that are named several times, and files in base64.

    Raises:
        request_body_too_large: It has more bytes than are taken.
        invalid_field: It is no form.
    """
    if len(sent) > max_bytes:
        raise errors.request_body_too_large()
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise errors.invalid_field("body", "must be multipart/form-data")
    form = _Form()
    try:
        parser = MultipartParser(boundary, form.callbacks)
        parser.write(sent)
        parser.finalize()
        form.require_end()
    except (MultipartParseError, ValueError):
        raise errors.invalid_field("body", "must be a form that ends as it says") from None
    return compact(form.fields).encode()


class _Form:
    """What has been read of one form."""

    def __init__(self) -> None:
        self.fields: JsonObject = {}
        self._parts = 0
        self._has_ended = False
        self._header = bytearray()
        self._value = bytearray()
        self._data = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self.callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._end_form,
        }

    def require_end(self) -> None:
        """Refuse a form whose last part never ended, which the parser leaves out and says nothing.

        Raises:
            ValueError: It is cut off.
        """
        if not self._has_ended:
            raise ValueError("no end")

    def _end_form(self) -> None:
        self._has_ended = True

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise ValueError("too many parts")
        self._headers, self._data = {}, bytearray()

    def _end_header(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode()
        # An engine is told it in a header of its own.
        if not name or not name.isprintable():
            raise ValueError("no name")
        value: JsonValue
        if (filename := options.get(b"filename")) is None:
            text = self._data.decode()
            value = _FLAGS.get(text, text) if name in _FLAG_FIELDS else text
        else:
            value = {
                "filename": filename.decode(errors="replace"),
                "content_type": self._headers.get(b"content-type", b"application/octet-stream").decode("latin-1"),
                "data": base64.b64encode(self._data).decode(),
            }
        if name not in self.fields:
            self.fields[name] = value
            return
        others = self.fields[name]
        self.fields[name] = [*others, value] if isinstance(others, list) else [others, value]
