"""What an engine raises when it takes no writes for a while, whatever is written."""

import sqlite3

from sqlalchemy.exc import DBAPIError

_SQLITE_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)
# 53: out of disk, memory or connections; 25006: a standby, which reads only.
_SQLSTATES = ("53", "25006")


def is_unwritable(error: BaseException) -> bool:
    """Tell whether a write failed of the disk or of a lock, so that it may succeed later as it is."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    # The low byte is the kind; what is above it tells, for one, which I/O failed.
    code = getattr(cause, "sqlite_errorcode", None)
    if isinstance(code, int):
        return code & 0xFF in _SQLITE_CODES
    state = getattr(cause, "sqlstate", None)
    return isinstance(state, str) and state.startswith(_SQLSTATES)
