"""A job as native clients follow it and take its result: messages of their own, where REST has events and free JSON."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from dc1.control.control_plane import ControlPlane
from dc1.control.scheduling.job_feed import JobUpdate, LogLines, Subscription, TokenChunk
from dc1.domain.jobs.results import ResultType, image_bytes, response_text, result_type, stored_image_format
from dc1.domain.jobs.states import JobStatus
from dc1.services.api.apart import apart
from dc1.services.api.call import current_call
from dc1.services.api.event_stream import KEEP_ALIVE_SECONDS, PAGE
from dc1.services.api.values import to_value
from dc1.services.jobs.access import readable_job
from dc1.services.jobs.output import JobWithOutput, OutputCalls
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import job_events, job_logs, jobs
from dc1.storage.jobs.job_events import EventRow
from dc1.storage.jobs.job_logs import LogRow
from dc1.storage.jobs.job_records import JobRow
from dcp.v1 import daemon_stream_pb2
from dcp.v1 import job_watch_pb2 as pb


class WatchCalls(OutputCalls):
    """Jobs, watched and read in types."""

    async def WatchJob(self, request: pb.WatchJobRequest, context: Any) -> AsyncIterator[pb.WatchJobResponse]:
        """Tell what happens to a job until its end."""
        job = await readable_job(self._plane, request.job_id)
        watcher = _Watcher(self._plane, job.id, request)
        async with aclosing(watcher.said()) as said:
            async for message in said:
                yield message

    async def GetResult(self, request: pb.GetResultRequest, context: Any) -> pb.GetResultResponse:
        """Return what a job put out, as far as it did."""
        found = await self._readable_output(request.job_id)
        return await apart(found.result_characters, lambda: _result(found))


class _Watcher:
    """One watcher's place in what a job says."""

    def __init__(self, plane: ControlPlane, row_id: int, request: pb.WatchJobRequest) -> None:
        self._plane = plane
        self._row_id = row_id
        self._sequence = request.since_sequence
        self._line_no = request.since_line
        self._wanted = (LogLines, TokenChunk) if request.tokens else (LogLines,)

    async def said(self) -> AsyncGenerator[pb.WatchJobResponse, None]:
        """Yield what is stored, then what comes, then the end; no end where the server stops, for clients come back."""
        feed = self._plane.job_feed
        # Subscribed before the database is read: what happens in between is told once, by its numbers.
        with feed.reading(current_call().principal.account), feed.subscribe(self._row_id, self._wanted) as news:
            while not feed.closing:
                events, lines, job = await self._plane.db.read(self._stored)
                for message in self._told(events, lines):
                    yield message
                if len(events) == PAGE or len(lines) == PAGE:
                    continue
                if job.is_terminal:
                    yield pb.WatchJobResponse(end=_end(job))
                    return
                async with aclosing(_live(news)) as live:
                    async for message in live:
                        yield message

    def _stored(self, conn: Connection) -> tuple[list[EventRow], list[LogRow], JobRow]:
        """Read what follows in one snapshot, so that an end that is seen has all before it."""
        events = job_events.after(conn, self._row_id, self._sequence, limit=PAGE)
        lines = job_logs.after(conn, self._row_id, self._line_no, limit=PAGE)
        return events, lines, jobs.known(conn, self._row_id)

    def _told(self, events: Sequence[EventRow], lines: Sequence[LogRow]) -> Iterator[pb.WatchJobResponse]:
        for row in events:
            self._sequence = row.sequence_no
            yield pb.WatchJobResponse(event=_event(row))
        for line in lines:
            self._line_no = line.line_no
            yield pb.WatchJobResponse(line=_line(line))


async def _live(news: Subscription) -> AsyncGenerator[pb.WatchJobResponse, None]:
    """Yield text as it comes, and signs of life, until something happened that the database tells in full."""
    while True:
        batch: Sequence[JobUpdate] = await news.next(KEEP_ALIVE_SECONDS)
        for update in batch:
            if isinstance(update, TokenChunk) and update.text:
                yield pb.WatchJobResponse(text=pb.WatchedText(text=update.text, attempt_number=update.attempt))
        if not batch:
            yield pb.WatchJobResponse()
        elif not all(isinstance(update, TokenChunk) for update in batch):
            return
        # Text alone is asked after nothing; the others wait for their turn.
        await asyncio.sleep(0)


def state_of(status: JobStatus) -> "pb.JobState.ValueType":
    """Return the number that a state has on the wire."""
    return pb.JobState.Value(f"JOB_STATE_{status.upper()}")


def _time(ms: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(ms)
    return time


def _event(row: EventRow) -> pb.WatchedEvent:
    return pb.WatchedEvent(
        sequence=row.sequence_no,
        type=row.event_type,
        state=state_of(row.status),
        occurred_at=_time(row.occurred_at_ms),
        message=row.message,
    )


def _line(row: LogRow) -> pb.WatchedLine:
    return pb.WatchedLine(
        line_no=row.line_no,
        level=daemon_stream_pb2.LogLevel.Value(f"LOG_LEVEL_{row.level.upper()}"),
        line=row.message,
        attempt_number=row.attempt_number,
        logged_at=_time(row.logged_at_ms),
    )


def _end(job: JobRow) -> pb.WatchedEnd:
    return pb.WatchedEnd(state=state_of(job.status), actual_cost_halala=job.actual_cost_halala)


def _result(found: JobWithOutput) -> pb.GetResultResponse:
    job, result = found.job, found.result
    answer = pb.GetResultResponse(
        job_id=job.job_id,
        state=state_of(job.status),
        error=job.error,
        prompt_tokens=job.prompt_tokens,
        completion_tokens=job.completion_tokens,
        actual_cost_halala=job.actual_cost_halala,
        completed_at=None if job.completed_at_ms is None else _time(job.completed_at_ms),
    )
    if job.status is not JobStatus.COMPLETED or result is None:
        return answer
    kind = result_type(result)
    if kind is ResultType.TEXT:
        answer.text = response_text(result)
    elif kind is ResultType.IMAGE and isinstance(result, dict):
        media_type = f"image/{stored_image_format(result)}"
        answer.image.CopyFrom(pb.ResultImage(data=image_bytes(result) or b"", media_type=media_type))
    else:
        answer.json.CopyFrom(to_value(result))
    return answer
