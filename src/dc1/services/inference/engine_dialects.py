"""Answers of engines in their own words: events that say their types, and bytes that are no events."""

import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing

from google.api.httpbody_pb2 import HttpBody

from dc1.domain.base.json_types import JsonObject, compact
from dc1.domain.errors import ApiError, anthropic_envelope, openai_envelope
from dc1.domain.errors.openai import message_under_v1
from dc1.domain.inference.audio import bytes_in
from dc1.domain.inference.events import AnswerEvent
from dc1.domain.providers.model_abilities import EnginePath
from dc1.services.api.call import current_call
from dc1.services.api.event_stream import KEEP_ALIVE
from dc1.services.inference.completion_stream import CompletionStream
from dc1.services.inference.cut_off import cut_off


class EngineDialect:
    """Events as the engine made them, of an API whose events are named by their types."""

    keep_alive = KEEP_ALIVE

    def __init__(self, path: str) -> None:
        self._path = path

    def frames(self, chunks: Sequence[str]) -> bytes:
        """Return a frame for each event."""
        return b"".join(map(self._frame, chunks))

    def end(self) -> bytes:
        """Return the frame that clients of these paths wait for, if they do."""
        return b"" if self._path in _NAMED else b"data: [DONE]\n\n"

    def failure(self, error: ApiError, head: JsonObject) -> bytes:
        """Return an event with the error, in the shape that the path has for it."""
        if self._path == EnginePath.MESSAGES:
            return self._frame(compact(anthropic_envelope(error)))
        if self._path == EnginePath.RESPONSES:
            said: JsonObject = {"type": "error", "code": error.code, "message": message_under_v1(error), "param": None}
            return self._frame(compact(said))
        return self._frame(compact(openai_envelope(error)))

    def _frame(self, event: str) -> bytes:
        name = json.loads(event).get("type") if self._path in _NAMED else None
        # A line break would begin an event that the engine's own text says nothing of.
        is_told = isinstance(name, str) and name.isprintable()
        return (f"event: {name}\n" if is_told else "").encode() + f"data: {event}\n\n".encode()


_NAMED = frozenset({EnginePath.MESSAGES, EnginePath.RESPONSES})


async def sound(completion: CompletionStream) -> AsyncGenerator[HttpBody, None]:
    """Yield the bytes of an answer as they come; what fails after the first ends the connection before its time."""
    begun, asked = False, current_call()
    try:
        async with aclosing(completion.batches()) as batches:
            async for batch in batches:
                for content_type, data in _bytes(batch):
                    begun = True
                    asked.farewell = (lambda _: cut_off()) if asked.is_rest else None
                    yield HttpBody(content_type=content_type, data=data)
    except ApiError:
        if begun and asked.is_rest:
            yield cut_off()
        raise


def _bytes(batch: Iterable[str | AnswerEvent]) -> Iterable[tuple[str, bytes]]:
    found = (bytes_in(each.values) for each in batch if isinstance(each, AnswerEvent))
    return (each for each in found if each is not None)
