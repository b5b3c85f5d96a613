"""What a job tells, as server-sent events: what is stored, then what comes, then the end."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from google.api.httpbody_pb2 import HttpBody

from dc1.control.control_plane import ControlPlane
from dc1.control.scheduling.job_feed import JobUpdate, Subscription
from dc1.domain.base.clock import iso
from dc1.domain.base.json_types import JsonObject
from dc1.services.api.call import current_call
from dc1.storage.jobs.job_records import JobRow

PAGE = 250
"""How many rows a reader takes from the database at once."""

CONTENT_TYPE = "text/event-stream"
# Contract 6.1. The last one is for an nginx that somebody has in front: it would hold frames back until its buffer is
# full.
HEADERS: Mapping[str, str] = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}
RETRY = b"retry: 2000\n"
"""The first line of every stream."""

# Contract 6.1: the only answer that keeps a browser's EventSource, which takes the end of a stream for a broken
# connection, from asking again and again for as long as the page is open.
_OVER = 204

# Contract 6.1; well below the 600 s after which the edge ends a stream on which nothing moves.
KEEP_ALIVE_SECONDS = 15
KEEP_ALIVE = b": keep-alive\n\n"
_encode = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Stored:
    """The next frames that the database has, and the job as it was with them; `more` when another page may follow."""

    frames: bytes
    more: bool
    job: JobRow


class Reader(ABC):
    """One reader's place in what a job tells. `last_id` is the id of the last frame, after which a client resumes."""

    wanted: tuple[type[JobUpdate], ...] = ()
    """The updates it takes beside changes of state and losses."""

    def __init__(self, plane: ControlPlane, row_id: int, last_id: int) -> None:
        self.plane = plane
        self.row_id = row_id
        self.last_id = last_id

    @abstractmethod
    async def stored(self) -> Stored:
        """Read on in the database."""

    @abstractmethod
    async def is_over(self, last_id: int) -> bool:
        """Tell whether the job has ended, and nothing that it told has the id `last_id` or a greater one."""

    def live(self, batch: Sequence[JobUpdate]) -> tuple[bytes, bool]:
        """Return the frames of news, and whether something happened that only the database tells in full."""
        return b"", bool(batch)

    def now(self) -> str:
        """Return the time of the server's clock."""
        return iso(self.plane.clock.now_ms())

    def end(self, job: JobRow) -> bytes:
        """Return the last frame; its id is the next, so that whoever comes back with it is known to have had it."""
        data: JsonObject = {"type": "end", "status": job.status, "ts": self.now()}
        return frame(data, event_id=self.last_id + 1, event="end")


def frame(data: JsonObject, *, event_id: int, event: str | None = None) -> bytes:
    """Return one event."""
    # The text is one line whatever is in it: JSON escapes line breaks, so that no value can end the frame or begin
    # another.
    name = "" if event is None else f"event: {event}\n"
    return f"id: {event_id}\n{name}data: {_encode(data)}\n\n".encode()


def resume_point(sent: int | None) -> int | None:
    """Return the id after which to go on: the `Last-Event-ID`, else the one `sent` in the query."""
    # The header wins (contract 6.1): a browser that reconnects repeats the address it began with, and says in the
    # header how far it came.
    last_id = _last_event_id()
    return sent if last_id is None else last_id


def _last_event_id() -> int | None:
    # `isdigit` alone takes `²` too; nine digits are more than any job's, and fit every column.
    header = current_call().metadata.get("last-event-id", "")
    return int(header[:9]) if header.isascii() and header.isdigit() else None


async def follow(reader: Reader) -> AsyncGenerator[HttpBody, None]:
    """Yield the frames of a job until it ends, or the server stops: clients come back by themselves and resume.

    One that comes back after the last frame is answered that there is nothing more.
    """
    call = current_call()
    last_id = _last_event_id()
    if last_id is not None and await reader.is_over(last_id):
        call.http_status = _OVER
        yield HttpBody()
        return
    call.headers |= HEADERS
    # Subscribed before the database is read: what happens in between is told twice, and readers drop what they sent.
    feed = reader.plane.job_feed
    with feed.reading(call.principal.account), feed.subscribe(reader.row_id, reader.wanted) as subscription:
        # At once, though the job may say nothing for minutes: status and headers leave with the first body only.
        yield HttpBody(content_type=CONTENT_TYPE, data=RETRY + b"\n")
        async for data in _frames(reader, subscription):
            yield HttpBody(content_type=CONTENT_TYPE, data=data)


async def _frames(reader: Reader, subscription: Subscription) -> AsyncIterator[bytes]:
    # The loop's time and not the market's clock: a keep-alive is about the wire, which no test moves by hand.
    clock = asyncio.get_running_loop().time
    sent_at = clock()
    # Without an `end` frame when the server stops: a client that saw one would not come back.
    while not reader.plane.job_feed.closing:
        stored = await reader.stored()
        if stored.frames:
            yield stored.frames
            sent_at = clock()
        if stored.more:
            continue
        # Asked of the snapshot that the frames came from: every line and event that led to the end was sent before it.
        if stored.job.is_terminal:
            yield reader.end(stored.job)
            return
        behind = False
        while not behind:
            data, behind = reader.live(await subscription.next(max(0.0, sent_at + KEEP_ALIVE_SECONDS - clock())))
            # News need not have frames: it is the silence on the wire that counts.
            if not data and clock() - sent_at >= KEEP_ALIVE_SECONDS:
                data = KEEP_ALIVE
            if data:
                yield data
                sent_at = clock()
