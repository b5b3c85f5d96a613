"""Pictures to make: what calls of /v1/images/generations may say, and what is an answer to them."""

from collections.abc import Iterator
from typing import Final

from dc1.domain.base.json_types import JsonObject, JsonValue, objects
from dc1.domain.base.numeric import as_integer
from dc1.domain.errors import FieldViolation
from dc1.domain.inference.calls import is_within, model_faults, others_size, text_size

IMAGE_TOKENS: Final = 1000
"""What a picture counts for, whatever its size: prices are by the token, and an engine may say any number."""

_MOST_IMAGES: Final = 10
B64_JSON: Final = "b64_json"
"""The form of a picture that stands in the answer itself."""


def image_faults(body: JsonObject) -> Iterator[FieldViolation]:
    """Yield what is wrong with a call for pictures whose required keys are there."""
    yield from model_faults(body)
    if not isinstance(body["prompt"], str):
        yield FieldViolation("prompt", "must be a string")
    if body.get("n") is not None and not is_within(as_integer(body["n"]), 1, _MOST_IMAGES):
        yield FieldViolation("n", f"must be an integer from 1 to {_MOST_IMAGES}")
    if body.get("response_format") not in (None, B64_JSON):
        yield FieldViolation("response_format", f"must be {B64_JSON}")
    if body.get("stream"):
        yield FieldViolation("stream", "is not offered for pictures")


def image_prompt_bytes(body: JsonObject) -> int:
    """Return the bytes that bound the tokens of what is to be seen."""
    return text_size(body.get("prompt")) + others_size(body, ("prompt", "response_format"))


def images_wanted(body: JsonObject) -> int:
    """Return how many pictures are to be made."""
    return as_integer(body.get("n")) or 1


def image_tokens(_: JsonObject) -> int:
    """Return what each picture counts for."""
    return IMAGE_TOKENS


def images_made(answer: JsonObject) -> int:
    """Return what the pictures of an answer count for."""
    return IMAGE_TOKENS * len(pictures_in(answer.get("data")))


def pictures_in(data: JsonValue) -> list[str]:
    """Return the pictures that the data of an answer has, each in its text form."""
    found = [each.get(B64_JSON) for each in objects(data)]
    return [picture for picture in found if isinstance(picture, str) and picture]


def image_answer_fault(asked: JsonObject, answer: JsonObject) -> str | None:
    """Return what is wrong with an answer: it has not as many pictures as were asked for; None when it has."""
    found, wanted = answer.get("data"), images_wanted(asked)
    is_whole = isinstance(found, list) and len(found) == wanted == len(pictures_in(found))
    return None if is_whole else f"the engine did not give {wanted} pictures"
