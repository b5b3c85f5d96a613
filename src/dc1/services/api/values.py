"""Plain JSON to and from google.protobuf.Value and Struct."""

import math
from collections.abc import Callable, Iterator, Sized
from functools import lru_cache
from itertools import islice, repeat
from typing import cast

from google.protobuf import struct_pb2
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value

from dc1.domain.base.clock import time_text
from dc1.domain.base.json_types import JsonObject, JsonValue, with_integers
from dc1.domain.errors import ApiError, reason_required, request_body_too_large
from dc1.json_values import fill

# Ids in messages have 32 bits: what is longer names nothing, and is not worth asking the database about.
_MAX_ID_DIGITS = 9

_LONGEST_NAME = 64

# One for all: protobuf copies a message that is put into another. Nobody may change it.
NULL = Value(null_value=struct_pb2.NULL_VALUE)


def to_value(plain: JsonValue) -> Value:
    """Return JSON as a Value; None becomes null, which prints where an unset field would not."""
    if plain is None:
        return NULL
    value = Value()
    fill(value, plain)
    return value


def to_struct(plain: JsonObject) -> Struct:
    """Return a JSON object as a Struct."""
    struct = Struct()
    for name, item in plain.items():
        fill(struct.fields[name], item)
    return struct


def from_value(value: Value) -> JsonValue:
    """Return the JSON that a Value holds; whole numbers come back as integers.

    JSON has neither NaN nor infinities: a native caller's are null, or no REST answer could carry the value again.
    """
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        number = value.number_value
        if not math.isfinite(number):
            return None
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        return from_struct(value.struct_value)
    if kind == "list_value":
        return [from_value(item) for item in value.list_value.values]
    return None


def from_struct(struct: Struct) -> JsonObject:
    """Return the JSON object that a Struct holds."""
    fields = struct.fields
    found: JsonObject = {}
    # By its names, for `items()` of a message's map is a generator of Python's, and what most values are without a call
    # for each: a report has two dozen of them.
    for name in fields:
        value = fields[name]
        kind = value.WhichOneof("kind")
        plain = value.string_value if kind == "string_value" else from_value(value)
        found[_known(name) if len(name) <= _LONGEST_NAME else name] = plain
    return found


# What machines report has the same names each time, and each of ten thousand would keep names of its own. Not by
# `sys.intern`: anybody makes up names, and Pythons from 3.12.0 to 3.12.5 never forget one that is interned.
@lru_cache(maxsize=1_000)
def _known(name: str) -> str:
    return name


def require_few_values(message: Message, most: int) -> None:
    """Refuse a message that holds more values than its reader should walk, without walking them all.

    Raises:
        request_body_too_large: It holds more than `most`: each value of free JSON, message and part of a list is one.
    """
    # None is smaller than its tag and its length.
    if message.ByteSize() <= most * 2:
        return
    waiting, left = [message], most
    while waiting:
        inner = list(islice(_inner(waiting.pop(), left), left + 1))
        left -= len(inner)
        if left < 0:
            raise request_body_too_large()
        waiting += inner


def _inner(message: Message, left: int) -> Iterator[Message]:
    if isinstance(message, Value):
        # Apart: this is most of what there is to walk, and a field at a time takes four times as long.
        kind = message.WhichOneof("kind")
        if kind == "struct_value":
            # Their number first: each that is looked at becomes an object, which takes longer than parsing it did.
            _require_few(message.struct_value.fields, left)
            yield from message.struct_value.fields.values()
        elif kind == "list_value":
            _require_few(message.list_value.values, left)
            yield from message.list_value.values
        return
    for field, value in message.ListFields():
        is_message = field.type == field.TYPE_MESSAGE
        if field.is_repeated:
            _require_few(value, left)
        if isinstance(message, Struct):
            yield from value.values()
        elif field.is_repeated and (not is_message or hasattr(value, "items")):
            # Texts and numbers are walked by the field rules as messages are.
            yield from repeat(NULL, len(value))
        elif field.is_repeated:
            yield from value
        elif is_message:
            yield value


def _require_few(parts: Sized, most: int) -> None:
    if len(parts) > most:
        raise request_body_too_large()


def time_value(ms: int | None) -> Value:
    """Return a time as ISO-8601, or null."""
    return to_value(time_text(ms))


def message_json(message: Message) -> JsonObject:
    """Return a message as the JSON that the edge would make of it."""
    # The printing options of `envoy/envoy.yaml`: a frame of a stream looks like the answer of a route (contract 1.4).
    plain = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return cast(JsonObject, with_integers(plain))


def row_id(sent: str, missing: Callable[[], ApiError]) -> int:
    """Return the row id that a path names; what can be none is refused by `missing`."""
    # A 404 like that of any other id that names nothing, not a 400. `isdigit` alone takes `²`, on which `int` fails.
    if not (sent.isascii() and sent.isdigit() and len(sent) <= _MAX_ID_DIGITS) or int(sent) == 0:
        raise missing()
    return int(sent)


def stated_reason(sent: str) -> str:
    """Return the reason for what is done to somebody's money.

    Raises:
        reason_required: It is blank.
    """
    if not sent.strip():
        raise reason_required()
    return sent
