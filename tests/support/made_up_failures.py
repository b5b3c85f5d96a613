"""Exceptions that somebody else's code may raise at a boundary, ordinary and odd."""

import asyncio
import concurrent.futures
import errno
from collections.abc import Callable

from hypothesis import strategies as st


class UnprintableError(Exception):
    """One that cannot be put into words."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class OwnBaseError(BaseException):
    """One that a library keeps from `except Exception`."""


Failure = Callable[[], BaseException]

KINDS: tuple[Failure, ...] = (
    ValueError,
    UnprintableError,
    RecursionError,
    MemoryError,
    TimeoutError,
    StopIteration,
    StopAsyncIteration,
    lambda: KeyError("gone"),
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    lambda: OSError(errno.ENOSPC, "No space left on device"),
    lambda: AttributeError("'NoneType' object has no attribute 'get'", name="get", obj=None),
    concurrent.futures.CancelledError,
    asyncio.CancelledError,
    OwnBaseError,
    lambda: SystemExit(1),
)
"""How to make each: a raised exception carries its traceback, so none is raised twice."""

_groups = st.lists(st.sampled_from(KINDS), min_size=1, max_size=3).map(
    lambda kinds: lambda: BaseExceptionGroup("several", [kind() for kind in kinds])
)

FAILURES: st.SearchStrategy[Failure] = st.sampled_from(KINDS) | _groups
