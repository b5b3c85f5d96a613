"""Answers that an engine compresses though nobody asked for it: whatever stands in them, they hold up nobody."""

import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dc1.daemon.runners.base import EngineCall, RunFailed
from dc1.daemon.runners.inference.engine_http import pieces_of
from dc1.daemon.runners.inference.engine_openai import _body
from dc1.daemon.runners.inference.relays.typed_relay import TypedRelay
from dc1.domain.providers.model_abilities import EnginePath


class Response:
    """As much of an answer as is looked at; `content` is itself."""

    def __init__(self, *pieces: bytes, coding: str = "gzip") -> None:
        self.headers = {"content-encoding": coding, "content-type": "audio/mpeg"}
        self.content = self
        self.read = 0
        self._pieces = pieces

    async def iter_any(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            self.read += 1
            yield piece


async def whole(response: Any) -> bytes:
    return b"".join([piece async for piece in pieces_of(response)])


async def test_what_follows_a_compressed_answer_is_not_read() -> None:
    """zlib keeps it for whoever asks for it, all anew with each piece."""
    response = Response(gzip.compress(b"Hi") + b"more", *[b"x" * 1_000] * 100)
    assert await whole(response) == b"Hi"
    assert response.read == 1


async def test_of_a_refusal_that_cannot_be_read_its_status_is_left() -> None:
    unread: Any = Response(b"\x0b\x02\x80", coding="br")
    with pytest.raises(RunFailed, match="compresses its answers by br"):
        await whole(unread)
    assert await _body(unread) == b""


@pytest.mark.parametrize(
    ("path", "asked"),
    [(EnginePath.SPEECH, '{"model": "m", "input": "x"}'), (EnginePath.TRANSCRIPTIONS, '{"response_format": "text"}')],
)
async def test_sound_and_texts_are_told_as_they_were_before_they_were_compressed(path: EnginePath, asked: str) -> None:
    told: list[str] = []

    async def send(event: str, text: str, is_last: bool) -> None:
        told.append(event)

    response: Any = Response(gzip.compress(b"Hello"))
    await TypedRelay(EngineCall(path, asked, 0), "m", send).take_bytes(response)
    (event,) = filter(None, told)
    assert '"SGVsbG8="' in event
