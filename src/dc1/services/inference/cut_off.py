"""The end of a body that broke off, so that its reader does not take what came for the whole."""

from typing import cast

from google.api.httpbody_pb2 import HttpBody

_UNREADABLE = b"\xff"


class _CutOff:
    def SerializeToString(self, *, deterministic: bool = False) -> bytes:
        return _UNREADABLE


def cut_off() -> HttpBody:
    """Return what to send last over REST: no message, for which the edge resets the request.

    A stream that has begun ends there like any other, whatever status the service gives it.
    """
    # Messages cannot be derived from, and of what is sent nothing is asked but its bytes.
    return cast(HttpBody, _CutOff())
