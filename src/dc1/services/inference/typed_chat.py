"""A chat as native clients have it: the same call as under /v1, in messages of their own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

from dc1.domain.base.json_types import JsonObject, compact
from dc1.domain.inference.events import AnswerEvent
from dc1.domain.inference.kinds import read_call
from dc1.domain.providers.model_abilities import EnginePath
from dc1.services.api.apart import apart
from dc1.services.inference.answers import finish_reason
from dc1.services.inference.held_calls import HeldCallPart
from dcp.v1 import chat_pb2 as pb

# A speaker that is not said is one that no engine takes, and is refused with its place like any other.
_SPEAKERS: Mapping["pb.ChatSpeaker.ValueType", str] = {
    pb.CHAT_SPEAKER_SYSTEM: "system",
    pb.CHAT_SPEAKER_USER: "user",
    pb.CHAT_SPEAKER_ASSISTANT: "assistant",
}


class TypedChatCalls(HeldCallPart):
    """Chats of native clients."""

    async def Chat(self, request: pb.ChatRequest, context: Any) -> AsyncIterator[pb.ChatResponse]:
        """Answer a conversation as it comes, then say what it cost."""
        sent, most = compact(_body(request)).encode(), self._plane.config.completion_max_bytes
        # By the bytes that OpenAI's API would have sent, so that both are judged, priced and relayed by one rule.
        call = await apart(len(sent), partial(read_call, EnginePath.CHAT, sent, most))
        async with self._calls.held(call) as completion:
            async with aclosing(completion.batches()) as batches:
                async for batch in batches:
                    text = "".join(one.content() if isinstance(one, AnswerEvent) else one for one in batch)
                    if text:
                        yield pb.ChatResponse(job_id=completion.job.job_id, text=text)
                    # A silence, passed on as a sign of life.
                    elif batch == [""]:
                        yield pb.ChatResponse(job_id=completion.job.job_id)
            job = completion.job
            end = pb.ChatEnd(
                prompt_tokens=job.prompt_tokens or 0,
                completion_tokens=job.completion_tokens or 0,
                actual_cost_halala=job.actual_cost_halala or 0,
                finish_reason=finish_reason(completion.result),
            )
            yield pb.ChatResponse(job_id=job.job_id, end=end)


def _body(request: pb.ChatRequest) -> JsonObject:
    body: JsonObject = {
        "model": request.model,
        "messages": [{"role": _SPEAKERS.get(turn.speaker, ""), "content": turn.text} for turn in request.turns],
        "stream": True,
    }
    for name in ("max_tokens", "temperature", "top_p"):
        if request.HasField(name):
            body[name] = getattr(request, name)
    return body | ({"stop": [*request.stop]} if request.stop else {})
