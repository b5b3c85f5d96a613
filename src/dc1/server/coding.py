"""How requests are read and answers written, where the generated code would not do."""

from collections.abc import Callable
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

M = TypeVar("M", bound=Message)


class Unreadable:
    """Stands for a request that is no message.

    The edge's transcoder makes one of a map whose values have the wrong type.
    """


UNREADABLE: Final = Unreadable()


def reading(parse: Callable[[bytes], M]) -> Callable[[bytes], M | Unreadable]:
    """Return `parse` with UNREADABLE in place of a failure, which gRPC would answer as an internal error."""

    def read(data: bytes) -> M | Unreadable:
        try:
            return parse(data)
        except DecodeError:
            return UNREADABLE

    return read


def write(message: Message) -> bytes:
    """Serialise with map keys in order, so that an answer given twice is the same byte for byte."""
    return message.SerializeToString(deterministic=True)
