"""Streams of many things at once: what there is, then what changes, for as long as somebody watches.

Whoever comes back is told everything anew, so nothing is kept for who is away, and a slow reader is told less often
instead of later: what changed in between is told once, as it is then.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator

from google.api.httpbody_pb2 import HttpBody

from dc1.control.control_plane import ControlPlane
from dc1.domain.base.clock import iso
from dc1.domain.base.json_types import JsonObject, compact
from dc1.services.api.call import current_call
from dc1.services.api.event_stream import CONTENT_TYPE, HEADERS, KEEP_ALIVE, KEEP_ALIVE_SECONDS, RETRY

PAUSE_SECONDS = 1.0
"""The least time between two events of one stream: people cannot read faster, and a busy fleet changes all the time."""


class LiveSource(ABC):
    """What one watcher is told, as the names and JSON texts of events."""

    @abstractmethod
    def snapshot(self) -> AsyncIterator[tuple[str, str]]:
        """Yield what there is now."""

    @abstractmethod
    async def changes(self) -> list[tuple[str, str]]:
        """Return what is different from what was told; empty when nothing is."""

    async def wait(self, timeout_seconds: float) -> None:
        """Wait until it is time for another look; longer than that only until the time is up."""
        await asyncio.sleep(min(timeout_seconds, PAUSE_SECONDS))


async def watch(plane: ControlPlane, source: LiveSource, *, once: bool) -> AsyncGenerator[HttpBody, None]:
    """Yield the events of a source until the caller leaves or the server stops; with `once` what there is now."""
    call = current_call()
    with plane.job_feed.reading(call.principal.account):
        call.headers |= HEADERS
        yield _body(RETRY + b"\n")
        number = 0
        async for name, data in source.snapshot():
            number += 1
            yield _body(_frame(number, name, data))
        ready: JsonObject = {"ts": iso(plane.clock.now_ms())}
        yield _body(_frame(number + 1, "ready", compact(ready)))
        if once:
            return
        async for frames in _changes(plane, source, number + 2):
            yield _body(frames)


async def _changes(plane: ControlPlane, source: LiveSource, number: int) -> AsyncIterator[bytes]:
    # The loop's time and not the market's clock: pauses and keep-alives are about the wire.
    clock = asyncio.get_running_loop().time
    sent_at = clock()
    while not plane.job_feed.closing:
        await source.wait(max(0.0, sent_at + KEEP_ALIVE_SECONDS - clock()))
        data = b""
        for name, told in await source.changes():
            data += _frame(number, name, told)
            number += 1
        if not data and clock() - sent_at >= KEEP_ALIVE_SECONDS:
            data = KEEP_ALIVE
        if data:
            yield data
            sent_at = clock()


def _frame(number: int, name: str, data: str) -> bytes:
    # One line, as JSON escapes line breaks: no value can end the frame or begin another.
    return f"id: {number}\nevent: {name}\ndata: {data}\n\n".encode()


def _body(data: bytes) -> HttpBody:
    return HttpBody(content_type=CONTENT_TYPE, data=data)
