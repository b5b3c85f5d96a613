"""Calls beside chats: what a test sends, and a daemon whose engine has their paths."""

import base64
from collections.abc import Iterable
from typing import Any

import httpx

from dc1.testing.people import Renter
from dc1.testing.poll_daemon import MODEL
from dc1.testing.rest import Json
from dc1.testing.stream_daemon import StreamDaemon
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.inference.chat import CHAT, begin, say_events

COMPLETIONS, EMBEDDINGS, RERANK = "/v1/completions", "/v1/embeddings", "/v1/rerank"
IMAGES = "/v1/images/generations"
SPEECH, TRANSCRIPTIONS, TRANSLATIONS = (f"/v1/audio/{name}" for name in ("speech", "transcriptions", "translations"))
MESSAGES, RESPONSES = "/v1/messages", "/v1/responses"
CARRIED = (SPEECH, TRANSCRIPTIONS, TRANSLATIONS, MESSAGES, RESPONSES)
WORDS: Json = {"type": "text", "response": "The sea"}
TEXT: Json = {"model": MODEL, "prompt": "The sea is"}
INPUTS: Json = {"model": MODEL, "input": ["sea", "desert"]}
DOCUMENTS: Json = {"model": MODEL, "query": "water", "documents": ["sea", {"text": "desert"}, "oasis"], "top_n": 2}
PICTURES: Json = {"model": MODEL, "prompt": "the sea", "n": 2, "response_format": "b64_json"}
SOUNDS: dict[str, Json] = {
    SPEECH: {"model": MODEL, "input": "The sea"},
    TRANSCRIPTIONS: {"model": MODEL},
    TRANSLATIONS: {"model": MODEL},
}
"""What is said beside a file, where there is one."""

BODIES = {COMPLETIONS: TEXT, EMBEDDINGS: INPUTS, RERANK: DOCUMENTS, IMAGES: PICTURES}

READ: Json = {"prompt_tokens": 5, "total_tokens": 5}
ANSWERS: dict[str, Json] = {
    COMPLETIONS: {
        "id": "e-1",
        "object": "text_completion",
        "created": 7,
        "model": "its-name",
        "choices": [{"text": " blue", "index": 0, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    },
    EMBEDDINGS: {
        "object": "list",
        "data": [{"object": "embedding", "index": at, "embedding": [0.5, -1e-3]} for at in (0, 1)],
        "usage": READ,
    },
    RERANK: {"results": [{"index": at, "relevance_score": score} for at, score in ((0, 0.9), (2, 0.1))], "usage": READ},
    IMAGES: {
        "created": 7,
        # Each of more bytes than it counts tokens, as any picture is.
        "data": [{"b64_json": "iVBO" * 300}] * 2,
        "usage": {"prompt_tokens": 5, "completion_tokens": 2000, "total_tokens": 2005},
    },
}

ANSWERS |= {
    SPEECH: {"type": "bytes", "content_type": "audio/mpeg", "data": "//s="},
    TRANSCRIPTIONS: {"text": "The sea"},
    TRANSLATIONS: {"text": "The sea"},
}


def having(
    daemon: StreamDaemon, *paths: str, model: str = MODEL, carried: Iterable[str] = CARRIED, **more: Any
) -> StreamDaemon:
    """Have a daemon say that its engine has these paths for a model."""
    daemon.state.carries_bodies = True
    daemon.state.carried_paths[:] = carried
    del daemon.state.model_abilities[:]
    daemon.state.model_abilities.append(pb.ModelAbilities(model=model, paths=paths, **more))
    daemon.beat()
    return daemon


def having_all(daemon: StreamDaemon, model: str = MODEL) -> StreamDaemon:
    return having(daemon, CHAT, *BODIES, *SOUNDS, model=model)


def give(daemon: StreamDaemon, answer: Json, made: int = 0) -> pb.LeaseRef:
    """Answer the next call in one piece, for which so many tokens were made."""
    lease = begin(daemon)
    say_events(daemon, lease, answer, is_last=True)
    receipt = daemon.finish(lease, {"type": "x"}, prompt_tokens=5, completion_tokens=made)
    assert receipt.verdict == pb.OUTCOME_VERDICT_SETTLED
    return lease


def piece(content_type: str, data: bytes) -> Json:
    """What a daemon passes on of an answer that is no JSON."""
    return {"type": "bytes", "content_type": content_type, "data": base64.b64encode(data).decode()}


def transcribe(renter: Renter, recording: bytes, path: str = TRANSCRIPTIONS, **fields: str) -> httpx.Response:
    """Send a recording as a form."""
    file = ("بحر.mp3", recording, "audio/mpeg")
    return renter.post(path, data={**fields, "model": MODEL}, files={"file": file})
