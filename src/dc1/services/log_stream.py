"""A job's log as server-sent events: what is stored, then what comes, then the end."""

import json
from collections.abc import AsyncIterator, Sequence

from google.api.httpbody_pb2 import HttpBody

from dc1.control.hub import LogLines, Tokens, Watcher
from dc1.control.market import Market
from dc1.domain.clock import iso
from dc1.domain.json_types import JsonObject
from dc1.services.call import current_call
from dc1.storage import job_logs, jobs
from dc1.storage.database import Connection
from dc1.storage.job_logs import LogRow
from dc1.storage.job_rows import JobRow

_SCHEMA_VERSION = "2026-03-20.v1"
_CONTENT_TYPE = "text/event-stream"
_KEEP_ALIVE_SECONDS = 15
_PAGE = 500


class _Reader:
    """One reader's place in the log."""

    def __init__(self, market: Market, row_id: int, since: int) -> None:
        self._market = market
        self._row_id = row_id
        self.last_line = since

    async def stored(self) -> tuple[list[LogRow], JobRow]:
        """Return the next stored lines and the job as it was with them."""

        def work(conn: Connection) -> tuple[list[LogRow], JobRow]:
            job = jobs.get(conn, self._row_id)
            assert job is not None
            return job_logs.page(conn, self._row_id, since=self.last_line, limit=_PAGE).rows, job

        return await self._market.db.read(work)

    def frames(self, rows: Sequence[LogRow]) -> bytes:
        """Return the frames of the lines that were not sent yet."""
        fresh = [row for row in rows if row.line_no > self.last_line]
        if not fresh:
            return b""
        self.last_line = fresh[-1].line_no
        sent_at = iso(self._market.clock.now_ms())
        return b"".join(_frame(_log_event(row, sent_at), event_id=row.line_no) for row in fresh)

    def token_frame(self, tokens: Tokens) -> bytes:
        """Return the frame of generated text; its id is that of the last line, so that resuming still works."""
        sent_at = iso(self._market.clock.now_ms())
        data: JsonObject = {"type": "token", "text": tokens.text, "attempt_number": tokens.attempt, "ts": sent_at}
        return _frame(data, event_id=self.last_line, event="token")

    def end_frame(self, job: JobRow) -> bytes:
        """Return the last frame."""
        data: JsonObject = {"type": "end", "status": job.status, "ts": iso(self._market.clock.now_ms())}
        return _frame(data, event_id=self.last_line, event="end")


async def stream_logs(market: Market, row_id: int, since: int, *, tokens: bool) -> AsyncIterator[HttpBody]:
    """Yield the log after line `since`, and generated text as it comes when `tokens` is set, until the job ends."""
    current_call().headers |= {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}
    reader = _Reader(market, row_id, since)
    with market.hub.watch(row_id) as watcher:
        yield HttpBody(content_type=_CONTENT_TYPE, data=b"retry: 2000\n\n")
        while True:
            rows, job = await reader.stored()
            if rows:
                yield HttpBody(content_type=_CONTENT_TYPE, data=reader.frames(rows))
            if len(rows) == _PAGE:
                continue
            if job.is_terminal:
                yield HttpBody(content_type=_CONTENT_TYPE, data=reader.end_frame(job))
                return
            async for data in _live(reader, watcher, tokens=tokens):
                yield HttpBody(content_type=_CONTENT_TYPE, data=data)


async def _live(reader: _Reader, watcher: Watcher, *, tokens: bool) -> AsyncIterator[bytes]:
    """Yield what is published, until something happened that only the database tells in full."""
    while True:
        batch = await watcher.next(_KEEP_ALIVE_SECONDS)
        if not batch:
            yield b": keep-alive\n\n"
        behind = False
        for news in batch:
            if isinstance(news, Tokens):
                if tokens:
                    yield reader.token_frame(news)
            elif isinstance(news, LogLines) and news.rows[0].line_no == reader.last_line + 1:
                yield reader.frames(news.rows)
            else:
                behind = True
        if behind:
            return


def _log_event(row: LogRow, sent_at: str) -> JsonObject:
    return {
        "schema_version": _SCHEMA_VERSION,
        "type": "log",
        "event_type": "job.log",
        "line_no": row.line_no,
        "level": row.level,
        "line": row.message,
        "attempt_number": row.attempt_number,
        "logged_at": iso(row.logged_at_ms),
        "ts": sent_at,
    }


def _frame(data: JsonObject, *, event_id: int, event: str | None = None) -> bytes:
    name = "" if event is None else f"event: {event}\n"
    return f"id: {event_id}\n{name}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
