"""Requests as bytes, which become messages once it is known that they may.

A message takes a hundred times the memory and time of its bytes, so nothing is parsed for a caller who is then refused.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextvars import ContextVar
from typing import Any, Self, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from dc1.domain.errors import malformed_json, request_body_too_large
from dc1.server.method_options import MethodOptions

M = TypeVar("M", bound=Message)

# Of all fields of a request: lines of a log are many, and a flood of empty fields must not be walked to its end.
_FIELDS_LOOKED_AT = 10_000
_BYTES = 2
_SMALL_BYTES = 64 * 1024


Headers: TypeAlias = Sequence[tuple[str, str | bytes]]
_headers: ContextVar[Headers | None] = ContextVar("dc1_headers", default=None)


def note_headers(details: grpc.HandlerCallDetails) -> None:
    """Keep a call's headers, as gRPC read them to find its method, for the task that answers it."""
    _headers.set(details.invocation_metadata)


def headers_of(context: Any) -> Headers:
    """Return the headers of the call that the running task answers; to be asked once."""
    # gRPC makes all of them anew for whoever asks its context: 25 to 40 us of each call.
    headers = _headers.get()
    # They would stay with each of ten thousand streams.
    _headers.set(None)
    return (context.invocation_metadata() or ()) if headers is None else headers


class Request:
    """The request of one call; `message` is None until it is parsed, and stays so for a stream of requests."""

    __slots__ = ("_data", "_parse", "message")

    def __init__(self, data: bytes, parse: Callable[[bytes], Message]) -> None:
        self._data = data
        self._parse = parse
        self.message: Message | None = None

    def require_size(self, options: MethodOptions, *, is_rest: bool) -> None:
        """Refuse a message that is larger than its method takes, with 413."""
        require_size(self._data, options, is_rest=is_rest)

    @property
    def is_small(self) -> bool:
        """Whether it may be parsed for a caller whose credential was not looked up yet."""
        return len(self._data) <= _SMALL_BYTES

    def body_key(self, options: MethodOptions) -> str:
        """Return the credential that stands in a field of the request, without parsing the rest; empty for none."""
        if self.message is not None:
            return str(getattr(self.message, options.body_key))
        return _text_of(self._data, options.body_key_number)

    def read(self) -> Message:
        """Parse the request, once; refuse what is no message.

        The edge's transcoder makes such bytes of a map whose values have the wrong type.
        """
        if self.message is None:
            self.message = _parsed(self._data, self._parse)
            # Held for the whole call otherwise, beside what it became.
            self._data = b""
        return self.message


class RequestStream(AsyncIterator[M]):
    """The messages of a stream of requests, each parsed when its turn comes.

    No generator, which would end for good when a reader that waits for the next message is cancelled by its deadline.
    """

    def __init__(self, data: AsyncIterator[bytes], parse: Callable[[bytes], M], options: MethodOptions) -> None:
        self._data = data
        self._parse = parse
        self._options = options

    def __aiter__(self) -> Self:
        """Return the stream itself."""
        return self

    async def __anext__(self) -> M:
        """Return the next message; refuse one that is too large or none."""
        data = await anext(self._data)
        require_size(data, self._options, is_rest=False)
        return _parsed(data, self._parse)


def require_size(data: bytes, options: MethodOptions, *, is_rest: bool) -> None:
    """Refuse bytes that are more than a message of the method may have.

    Raises:
        request_body_too_large: They are.
    """
    if len(data) > (options.max_rest_message_bytes if is_rest else options.max_message_bytes):
        raise request_body_too_large()


def _parsed(data: bytes, parse: Callable[[bytes], M]) -> M:
    try:
        return parse(data)
    except DecodeError:
        raise malformed_json() from None


def _text_of(data: bytes, number: int) -> str:
    """Return the last text with that field number at the top level of a message, as a parser would."""
    found = b""
    at = looked_at = 0
    try:
        while at < len(data) and looked_at < _FIELDS_LOOKED_AT:
            tag, start = _varint(data, at)
            start, at = _span(data, tag & 7, start)
            if tag == number << 3 | _BYTES:
                found = data[start:at]
            looked_at += 1
    except IndexError:
        # Cut short: the parser will say so to whoever is let in by what was found before.
        pass
    return found.decode("utf-8", "replace")


def _span(data: bytes, kind: int, at: int) -> tuple[int, int]:
    """Return where the content of a field begins and ends, of which `at` is behind the tag."""
    match kind:
        case 2:
            size, at = _varint(data, at)
            return at, at + size
        case 0:
            return at, _varint(data, at)[1]
        case 1 | 5:
            return at, at + (8 if kind == 1 else 4)
    # A group, or nothing that there is: no message of ours goes on behind it.
    return at, len(data)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at that place, and the place behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        # Ten bytes hold 64 bits; longer ones are nothing that a parser takes.
        if byte < 0x80 or shift >= 63:
            return value, at
        shift += 7
