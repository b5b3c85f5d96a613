"""How a failure of our own work is logged, once nobody is left to be told of it."""

from collections.abc import Callable
from functools import partial

import structlog

from dc1.storage.engine.unwritable import unwritable_reason


def level_of(error: BaseException, log: structlog.stdlib.BoundLogger) -> Callable[..., object]:
    """Return what logs an event that failed so: with a traceback, or a line where the database is away, full or locked.

    Those are no mistake of ours, and an error already for whoever looks after the database. Tracebacks of all that it
    stops, each of a hundred lines, would bury that one.
    """
    reason = unwritable_reason(error)
    return partial(log.error, exc_info=error) if reason is None else partial(log.warning, reason=reason)


def is_told(times: int) -> bool:
    """Tell whether a failure that happened so many times gets a line: the first, second, fourth, eighth and so on."""
    return times & (times - 1) == 0
