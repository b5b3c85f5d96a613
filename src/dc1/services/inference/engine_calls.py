"""Calls that go to an engine in their caller's own words, and their answers in the engine's."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from google.api.httpbody_pb2 import HttpBody

from dc1.domain.inference.calls import InferenceCall
from dc1.domain.inference.typed_answers import TYPED_PATHS
from dc1.services.inference.answers import ChatDialect, streamed, whole
from dc1.services.inference.completion_stream import CompletionStream
from dc1.services.inference.engine_dialects import EngineDialect, sound
from dc1.services.inference.held_calls import HeldCallPart


class EngineCallPart(HeldCallPart):
    """A part of a servicer with such calls."""

    async def _answered(self, call: InferenceCall) -> AsyncGenerator[HttpBody, None]:
        """Answer a call that an engine takes on a path of its own."""
        async with self._calls.held(call) as completion, aclosing(answer_of(completion)) as bodies:
            async for body in bodies:
                yield body


def answer_of(completion: CompletionStream, *, goes_on: bool = False) -> AsyncGenerator[HttpBody, None]:
    """Return the answer as its caller wants it: in one piece, as events, or as the bytes of a sound.

    What fails before its first word is raised; with `goes_on` also behind signs of life, for somebody has more to say.
    """
    call = completion.call
    if call.is_sound:
        return sound(completion)
    if not call.stream:
        return whole(completion)
    dialect = EngineDialect(call.path) if call.path in TYPED_PATHS else ChatDialect()
    return streamed(completion, dialect, goes_on=goes_on)
