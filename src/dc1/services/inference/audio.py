"""Calls about sound: texts that are read aloud, and recordings that are written down."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any, TypeAlias

from google.api.httpbody_pb2 import HttpBody

from dc1.domain.base.json_types import compact
from dc1.domain.inference.calls import InferenceCall
from dc1.domain.inference.kinds import read_call
from dc1.domain.providers.model_abilities import EnginePath
from dc1.services.api.apart import apart
from dc1.services.api.values import from_struct
from dc1.services.inference.engine_calls import EngineCallPart
from dc1.services.inference.forms import form_as_json
from dcp.v1 import audio_pb2 as pb

_Form: TypeAlias = pb.CreateTranscriptionRequest | pb.CreateTranslationRequest


class AudioCalls(EngineCallPart):
    """Speech, transcriptions and translations."""

    async def CreateSpeech(self, request: pb.CreateSpeechRequest, context: Any) -> AsyncGenerator[HttpBody, None]:
        """Read a text aloud."""
        sent = request.body.data if request.HasField("body") else compact(from_struct(request.call)).encode()
        most = self._plane.config.completion_max_bytes
        call = await apart(len(sent), partial(read_call, EnginePath.SPEECH, sent, most))
        async with aclosing(self._answered(call)) as bodies:
            async for body in bodies:
                yield body

    def CreateTranscription(
        self, request: pb.CreateTranscriptionRequest, context: Any
    ) -> AsyncGenerator[HttpBody, None]:
        """Write down what is said."""
        return self._written_down(EnginePath.TRANSCRIPTIONS, request)

    def CreateTranslation(self, request: pb.CreateTranslationRequest, context: Any) -> AsyncGenerator[HttpBody, None]:
        """Write down in English what is said."""
        return self._written_down(EnginePath.TRANSLATIONS, request)

    async def _written_down(self, path: EnginePath, request: _Form) -> AsyncGenerator[HttpBody, None]:
        form, most = request.body, self._plane.config.completion_max_bytes
        call = await apart(len(form.data), lambda: _read(path, form, most))
        async with aclosing(self._answered(call)) as bodies:
            async for body in bodies:
                yield body


def _read(path: EnginePath, form: HttpBody, most: int) -> InferenceCall:
    sent = form_as_json(form.content_type, form.data, most)
    # The form was within its bound; in base64 it is a third more.
    return read_call(path, sent, 2 * most)
