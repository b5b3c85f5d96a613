"""A job's log as server-sent events."""

from collections.abc import Sequence

from dc1.control.control_plane import ControlPlane
from dc1.control.scheduling.job_feed import JobUpdate, LogLines, TokenChunk
from dc1.domain.base.clock import iso
from dc1.domain.base.json_types import JsonObject
from dc1.services.api.event_stream import PAGE, Reader, Stored, frame
from dc1.services.jobs.messages import SCHEMA_VERSION
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import job_logs, jobs
from dc1.storage.jobs.job_logs import LogRow
from dc1.storage.jobs.job_records import JobRow


class LogReader(Reader):
    """Reads the lines after number `since`, and generated text as it comes when `tokens` is set."""

    def __init__(self, plane: ControlPlane, row_id: int, since: int, *, tokens: bool) -> None:
        super().__init__(plane, row_id, since)
        self.wanted = (LogLines, TokenChunk) if tokens else (LogLines,)

    async def stored(self) -> Stored:
        """Read the next page of lines."""

        def next_lines(conn: Connection) -> tuple[list[LogRow], JobRow]:
            return job_logs.after(conn, self.row_id, self.last_id, limit=PAGE), jobs.known(conn, self.row_id)

        rows, job = await self.plane.db.read(next_lines)
        return Stored(self._lines(rows), len(rows) == PAGE, job)

    async def is_over(self, last_id: int) -> bool:
        """Tell whether the job has ended without a line of that number."""

        def next_line(conn: Connection) -> bool:
            rows = job_logs.after(conn, self.row_id, last_id - 1, limit=1)
            # Lines count from 1: whoever has had none has not had the end either.
            return last_id > 0 and not rows and jobs.known(conn, self.row_id).is_terminal

        return await self.plane.db.read(next_line)

    def live(self, batch: Sequence[JobUpdate]) -> tuple[bytes, bool]:
        """Take lines that follow the last one from the news; only a gap needs the database."""
        data, behind = b"", False
        for update in batch:
            if isinstance(update, TokenChunk):
                data += self._token(update)
            # Overlap is dropped by `_lines`; a first line further on means that others are missing, or still on their
            # way.
            elif isinstance(update, LogLines) and update.rows[0].line_no <= self.last_id + 1:
                data += self._lines(update.rows)
            else:
                # A change of state comes here too: the database is asked for the end, and gives what was logged before
                # it.
                behind = True
        return data, behind

    def _lines(self, rows: Sequence[LogRow]) -> bytes:
        """Return the frames of the lines that were not sent yet."""
        fresh = [row for row in rows if row.line_no > self.last_id]
        if not fresh:
            return b""
        self.last_id = fresh[-1].line_no
        sent_at = self.now()
        return b"".join(frame(_log_event(row, sent_at), event_id=row.line_no) for row in fresh)

    def _token(self, tokens: TokenChunk) -> bytes:
        """Return the frame of generated text; its id is that of the last line, so that resuming still works."""
        # Of a call the engine may have said something that is no text.
        if not tokens.text:
            return b""
        # Live only: generated text is stored nowhere but in the result, so a client that comes back has no gap filled.
        data: JsonObject = {"type": "token", "text": tokens.text, "attempt_number": tokens.attempt, "ts": self.now()}
        return frame(data, event_id=self.last_id, event="token")


def _log_event(row: LogRow, sent_at: str) -> JsonObject:
    return {
        "schema_version": SCHEMA_VERSION,
        "type": "log",
        "event_type": "job.log",
        "line_no": row.line_no,
        "level": row.level,
        "line": row.message,
        "attempt_number": row.attempt_number,
        "logged_at": iso(row.logged_at_ms),
        "ts": sent_at,
    }
