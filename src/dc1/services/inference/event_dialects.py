"""Events of other APIs: each is named by the type that its data says."""

import json
from collections.abc import Iterable, Iterator, Sequence

from dc1.domain.base.json_types import JsonObject, compact
from dc1.domain.errors import ApiError, anthropic_envelope
from dc1.domain.errors.openai import message_under_v1
from dc1.domain.inference.dialects.messages_answer import MessagesStream
from dc1.domain.inference.dialects.messages_request import MessagesCall
from dc1.domain.inference.dialects.responses_request import ResponsesCall
from dc1.domain.inference.dialects.responses_stream import ResponsesStream
from dc1.services.api.event_stream import KEEP_ALIVE


class MessagesDialect:
    """Events of Anthropic's Messages API."""

    def __init__(self, call: MessagesCall) -> None:
        self._stream = MessagesStream(call)
        self.keep_alive = _frames([{"type": "ping"}])

    def frames(self, chunks: Sequence[str]) -> bytes:
        """Return the events of some chunks."""
        return _frames(event for chunk in _read(chunks) for event in self._stream.take(chunk))

    def end(self) -> bytes:
        """Return the events that say how the answer ends, and what it took."""
        return _frames(self._stream.end())

    def failure(self, error: ApiError, head: JsonObject) -> bytes:
        """Return an event with the body that the error would have."""
        return _frames([anthropic_envelope(error)])


class ResponsesDialect:
    """Events of OpenAI's Responses API."""

    keep_alive = KEEP_ALIVE

    def __init__(self, call: ResponsesCall) -> None:
        self._stream = ResponsesStream(call)

    def frames(self, chunks: Sequence[str]) -> bytes:
        """Return the events of some chunks."""
        return _frames(event for chunk in _read(chunks) for event in self._stream.take(chunk))

    def end(self) -> bytes:
        """Return the events that end what is open, and the whole response."""
        return _frames(self._stream.end())

    def failure(self, error: ApiError, head: JsonObject) -> bytes:
        """Return the response that failed."""
        return _frames(self._stream.failed(message_under_v1(error), head))


def _read(chunks: Iterable[str]) -> Iterator[JsonObject]:
    # All of them were read before as objects.
    yield from map(json.loads, chunks)


def _frames(events: Iterable[JsonObject]) -> bytes:
    return b"".join(f"event: {event['type']}\ndata: {compact(event)}\n\n".encode() for event in events)
