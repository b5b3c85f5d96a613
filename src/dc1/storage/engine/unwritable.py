"""What an engine raises when it takes no writes for a while, whatever is written, and what each means."""

import sqlite3
from enum import StrEnum

import psycopg
from sqlalchemy.exc import DBAPIError

from dc1.storage.engine.postgres_faults import READ_ONLY_TRANSACTION, is_lost


class UnwritableReason(StrEnum):
    """Why nothing can be written now."""

    DISK_FULL = "disk_full"
    LOCKED = "locked"
    READ_ONLY = "read_only"
    UNREACHABLE = "unreachable"
    IO_ERROR = "io_error"
    NO_ANSWER = "no_answer"
    FILE_GONE = "file_gone"
    SCHEMA_CHANGED = "schema_changed"


class UnwritableError(RuntimeError):
    """A write was refused without being tried, because none can succeed now."""

    def __init__(self, reason: UnwritableReason) -> None:
        super().__init__(f"the database takes no writes: {reason}")
        self.reason = reason


class OutcomeUnknownError(RuntimeError):
    """The database was lost during COMMIT and could not say in time what became of the transaction."""


_OF_SQLITE = {
    sqlite3.SQLITE_BUSY: UnwritableReason.LOCKED,
    sqlite3.SQLITE_LOCKED: UnwritableReason.LOCKED,
    sqlite3.SQLITE_READONLY: UnwritableReason.READ_ONLY,
    sqlite3.SQLITE_IOERR: UnwritableReason.IO_ERROR,
    sqlite3.SQLITE_FULL: UnwritableReason.DISK_FULL,
    sqlite3.SQLITE_CANTOPEN: UnwritableReason.IO_ERROR,
}
# The first beginning that fits. 53: out of disk, memory or connections; 25006: a standby, which reads only; 42501: the
# tables are there and we may not write them; 55P03: a lock was not had in time; 57014: a statement took longer than the
# operator lets it; 58: the system under PostgreSQL failed.
_OF_POSTGRESQL = {
    "53100": UnwritableReason.DISK_FULL,
    "53": UnwritableReason.UNREACHABLE,
    READ_ONLY_TRANSACTION: UnwritableReason.READ_ONLY,
    "42501": UnwritableReason.READ_ONLY,
    "55P03": UnwritableReason.LOCKED,
    "57014": UnwritableReason.NO_ANSWER,
    "58": UnwritableReason.IO_ERROR,
}
# What tables that are not ours may answer. PostgreSQL: no such table, column or function, another type, a column that
# wants a value, a check that fails, a plan of before; SQLite: a statement that cannot be prepared, and the same two.
_OF_ANOTHER_SCHEMA = frozenset({"42P01", "42703", "42883", "42804", "23502", "23514", "0A000"})
_OF_ANOTHER_SCHEMA_IN_SQLITE = frozenset(
    {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA, sqlite3.SQLITE_CONSTRAINT_NOTNULL, sqlite3.SQLITE_CONSTRAINT_CHECK}
)
# What libpq says when every host that was asked for one that writes is a standby. It has no code for it.
_ONLY_STANDBYS = ("session is read-only", "server is in hot standby mode")


def may_be_the_schema(error: BaseException) -> bool:
    """Tell whether an error is one that tables of another version answer with, though it may be ours as well."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.Error):
        return cause.sqlstate in _OF_ANOTHER_SCHEMA
    return getattr(cause, "sqlite_errorcode", None) in _OF_ANOTHER_SCHEMA_IN_SQLITE


def unwritable_reason(error: BaseException) -> UnwritableReason | None:
    """Return why a write failed that may succeed later as it is; None when it is the write that is wrong."""
    if isinstance(error, UnwritableError):
        return error.reason
    # As for what could not be begun, whether or not this one was done.
    if isinstance(error, OutcomeUnknownError):
        return UnwritableReason.NO_ANSWER
    cause = error.orig if isinstance(error, DBAPIError) else error
    # The low byte is the kind; what is above it tells, for one, which I/O failed.
    code = getattr(cause, "sqlite_errorcode", None)
    if isinstance(code, int):
        return _OF_SQLITE.get(code & 0xFF)
    if not isinstance(cause, psycopg.Error):
        return None
    state = cause.sqlstate or ""
    for beginning, reason in _OF_POSTGRESQL.items():
        if state.startswith(beginning):
            return reason
    if not (isinstance(error, DBAPIError) and is_lost(error)):
        return None
    only_standbys = any(words in str(cause) for words in _ONLY_STANDBYS)
    return UnwritableReason.READ_ONLY if only_standbys else UnwritableReason.UNREACHABLE
