"""Log lines are numbered from 1 within the job, across all its attempts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, insert, select

from dc1.domain.jobs.log_budget import CUT_NOTICE, MOST_BYTES, fitting
from dc1.domain.jobs.log_notices import BEFORE_WORK
from dc1.domain.jobs.states import LogLevel
from dc1.storage.engine.row_mapping import Page, Shape
from dc1.storage.engine.statements import PreparedStatement, upsert
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.schema.tables import job_log_batches, job_log_heads, job_logs


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line to store."""

    level: LogLevel
    message: str
    logged_at_ms: int


@dataclass(frozen=True, slots=True)
class LogRow:
    """A stored line."""

    job_id: int
    line_no: int
    attempt_number: int
    level: LogLevel
    message: str
    logged_at_ms: int


@dataclass(frozen=True, slots=True)
class Logged:
    """What became of log lines; none are new when the batch had been stored before."""

    job: JobRow
    attempt: int
    rows: Sequence[LogRow]


_shape = Shape(LogRow, job_logs)
_BATCH = ("job_id", "attempt_number", "batch_seq")
_INSERT = PreparedStatement(insert(job_logs), _shape.names)


def append(
    conn: Connection, job_id: int, attempt_number: int, lines: Sequence[LogLine], batch_seq: int | None = None
) -> list[LogRow]:
    """Store lines and return them with their numbers.

    A daemon numbers its batches within an attempt; one that was stored before changes nothing and returns no lines.
    What is over the job's budget is not stored; where it begins, one line says so.
    """
    if not lines:
        return []
    # Adds nothing and holds the row until the commit, so that two batches of a job cannot both take what is left.
    total_lines, total_bytes = _add(conn, job_id, 0, 0)
    # A log that was cut before takes not even the number of a batch: a daemon may have any number of them.
    if total_bytes > MOST_BYTES or (batch_seq is not None and not _is_new(conn, job_id, attempt_number, batch_seq)):
        return []
    kept, size = _within_budget(lines, total_lines, total_bytes)
    _add(conn, job_id, len(kept), size)
    rows = [
        LogRow(job_id, total_lines + 1 + index, attempt_number, line.level, line.message, line.logged_at_ms)
        for index, line in enumerate(kept)
    ]
    _INSERT.run_many(conn, [_shape.values(row) for row in rows])
    return rows


def _is_new(conn: Connection, job_id: int, attempt_number: int, batch_seq: int) -> bool:
    # The row is the answer: where it was there before, nothing is returned.
    statement = upsert(conn, job_log_batches, _BATCH, returning=("batch_seq",))
    return bool(statement.rows(conn, dict(zip(_BATCH, (job_id, attempt_number, batch_seq), strict=True))))


def _within_budget(lines: Sequence[LogLine], total_lines: int, total_bytes: int) -> tuple[Sequence[LogLine], int]:
    """Return the lines to store, the last of which may say that the log is cut, and the bytes to count for them."""
    fit, size = fitting([line.message for line in lines], total_lines, total_bytes)
    if fit == len(lines):
        return lines, size
    notice = LogLine(LogLevel.WARN, CUT_NOTICE, lines[fit].logged_at_ms)
    # Beyond the budget in bytes whatever it was that ran out: that is how a log is known to be cut.
    return [*lines[:fit], notice], MOST_BYTES + 1 - total_bytes


def _add(conn: Connection, job_id: int, lines: int, size: int) -> tuple[int, int]:
    # One row a job hands out the numbers, so only those who write to the same job wait for each other.
    columns = ("total_lines", "total_bytes")
    statement = upsert(conn, job_log_heads, ("job_id",), add=columns, returning=columns)
    ((total_lines, total_bytes),) = statement.rows(conn, {"job_id": job_id, "total_lines": lines, "total_bytes": size})
    return int(total_lines), int(total_bytes)


def page(
    conn: Connection, job_id: int, *, since: int = 0, limit: int = 200, attempt_number: int | None = None
) -> Page[LogRow]:
    """Return lines after number `since`, oldest first; `total` counts every line of the job."""
    query = _after(job_id, since, limit)
    if attempt_number is not None:
        query = query.where(job_logs.c.attempt_number == attempt_number)
    rows = _shape.all(conn.execute(query))
    total = conn.scalar(select(job_log_heads.c.total_lines).where(job_log_heads.c.job_id == job_id))
    return Page(rows, total or 0)


def after(conn: Connection, job_id: int, since: int, *, limit: int) -> list[LogRow]:
    """Do as `page`, for callers that need no total."""
    return _shape.all(conn.execute(_after(job_id, since, limit)))


def _after(job_id: int, since: int, limit: int) -> Select[*tuple[Any, ...]]:
    query = select(*_shape.columns).where(job_logs.c.job_id == job_id, job_logs.c.line_no > since)
    return query.order_by(job_logs.c.line_no).limit(limit)


def totals_of(conn: Connection, job_ids: Collection[int]) -> dict[int, int]:
    """Return how many lines each of the jobs has; jobs without any are left out."""
    query = select(job_log_heads.c.job_id, job_log_heads.c.total_lines).where(job_log_heads.c.job_id.in_(job_ids))
    return {row.job_id: row.total_lines for row in conn.execute(query)}


def last_attempt(conn: Connection, job_id: int) -> int | None:
    """Return which attempt printed the last line, None when there is none."""
    newest = job_logs.c.line_no.desc()
    query = select(job_logs.c.attempt_number).where(job_logs.c.job_id == job_id).order_by(newest).limit(1)
    return conn.execute(query).scalar()


def has_printed(conn: Connection, job_id: int, attempt_number: int) -> bool:
    """Tell whether an attempt has a line that is not one of its daemon's own notices."""
    of_attempt = (job_logs.c.job_id == job_id, job_logs.c.attempt_number == attempt_number)
    query = select(job_logs.c.line_no).where(*of_attempt, job_logs.c.message.not_in(BEFORE_WORK))
    # Newest first, where those of this attempt are.
    return conn.execute(query.order_by(job_logs.c.line_no.desc()).limit(1)).first() is not None
