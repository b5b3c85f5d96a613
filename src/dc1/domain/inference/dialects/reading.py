"""Values of a call that is translated: of the right type, or refused by the name that the caller gave them."""

from collections.abc import Iterable

from dc1 import defaults
from dc1.domain import errors
from dc1.domain.base.json_types import JsonObject, JsonValue, compact
from dc1.domain.base.numeric import as_integer
from dc1.domain.inference.calls import MAX_TOKENS, InferenceCall, read_body
from dc1.domain.inference.kinds import read_call
from dc1.domain.inference.owners_keys import owners_faults
from dc1.domain.providers.model_abilities import EnginePath


def required_body(sent: bytes, max_bytes: int, required: Iterable[str]) -> JsonObject:
    """Return the object that a body is, which has all that is required.

    Raises:
        missing_fields: A required key is absent, null or blank.
        validation_failed: It says what is not its caller's to say, which would go unheeded where it is translated.
    """
    _, body = read_body(sent, max_bytes)
    missing = [name for name in required if body.get(name) is None or body.get(name) == ""]
    if missing:
        raise errors.missing_fields(missing)
    if faults := list(owners_faults(body)):
        raise errors.validation_failed(faults)
    return body


def as_chat(body: JsonObject) -> InferenceCall:
    """Return the call that a body of chat stands for, which was made of another."""
    # What was sent is within its bound; that chat says the same in more words is no fault of the caller's. It may be
    # twice as much, as a tool's arguments are text in text there; a daemon's stream would break by a larger message.
    return read_call(EnginePath.CHAT, compact(body).encode(), defaults.COMPLETION_MAX_BYTES)


def text_of(value: JsonValue, field: str) -> str:
    """Return a string.

    Raises:
        invalid_field: It is none.
    """
    if not isinstance(value, str):
        raise errors.invalid_field(field, "must be a string")
    return value


def object_of(value: JsonValue, field: str) -> JsonObject:
    """Return an object.

    Raises:
        invalid_field: It is none.
    """
    if not isinstance(value, dict):
        raise errors.invalid_field(field, "must be an object")
    return value


def objects_of(value: JsonValue, field: str) -> list[tuple[str, JsonObject]]:
    """Return the objects of an array, each with its own name.

    Raises:
        invalid_field: It is no array, or has something else.
    """
    if not isinstance(value, list):
        raise errors.invalid_field(field, "must be an array")
    return [(f"{field}.{at}", object_of(item, f"{field}.{at}")) for at, item in enumerate(value)]


def answer_tokens(value: JsonValue, field: str) -> int:
    """Return where an answer is cut: where the caller says, and not beyond what the market carries.

    Raises:
        invalid_field: It is no positive integer.
    """
    tokens = as_integer(value)
    if tokens is None or tokens < 1:
        raise errors.invalid_field(field, "must be a positive integer")
    # Clients of these APIs ask for all that models elsewhere can say, such as 32,000; few answers are so long, and one
    # that is says that it was cut.
    return min(tokens, MAX_TOKENS)


def numbers(body: JsonObject, names: Iterable[str]) -> JsonObject:
    """Return the numbers that mean the same in chat.

    Raises:
        invalid_field: One is none.
    """
    found = kept(body, names)
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise errors.invalid_field(name, "must be a number")
    return found


def kept(body: JsonObject, names: Iterable[str]) -> JsonObject:
    """Return the keys that mean the same in chat."""
    return {name: body[name] for name in names if body.get(name) is not None}


def without_nulls(**members: JsonValue) -> JsonObject:
    """Return an object without what is null."""
    return {name: value for name, value in members.items() if value is not None}
