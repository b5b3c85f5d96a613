"""Finds out whether the database takes writes, by writing."""

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable

from sqlalchemy import Connection, Integer, LargeBinary, column, insert, select, table, update

from dc1.storage.engine.unwritable import UnwritableReason, unwritable_reason

log = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
"""For so long one answer is as good as another: probes are asked for by anybody."""

HANGS_SECONDS = 5.0
"""A write that takes longer is not waited for by others."""

_PAUSE_SECONDS = 1.0
_SMALL_BYTES = 64
# Small writes may fit into what a full disk has left, so that after a failure one of them would prove nothing.
_LARGE_BYTES = 64 * 1024
# The schema is above us, and its revisions use what is here.
_probes = table("write_probes", column("id", Integer), column("filler", LargeBinary))
# A row that another server is writing now is not waited for: one that stands still in its own probe would have all of
# them refuse everything. There are as many as were ever written at once.
_FREE = select(_probes.c.id).limit(1).with_for_update(skip_locked=True).scalar_subquery()
_PUT = update(_probes).where(_probes.c.id == _FREE)
_ADD = insert(_probes)
_MOST_IDS = 2**31 - 1


class WriteProbe:
    """Knows why nothing can be written, and tries again by itself until something can.

    One probe runs at a time, whoever asks. A failed write alone refuses nobody: it may have been too large for what
    is left, and the probe that it starts decides.
    """

    def __init__(self, write: Callable[[Callable[[Connection], object]], Awaitable[object]]) -> None:
        self._write = write
        self._reason: UnwritableReason | None = None
        self._begun_at = self._ended_at = float("-inf")
        self._doubted = False
        self._running: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def reason(self) -> UnwritableReason | None:
        """Why the last probe failed; None when it did not."""
        return self._reason

    async def check(self, patience_seconds: float) -> UnwritableReason | None:
        """Return why nothing can be written, from a probe that is at most a second old."""
        if self._reason is None and time.monotonic() - self._ended_at >= FRESH_SECONDS:
            running = self._start()
            # Counted from its beginning: who comes later need not wait as long to learn that it hangs.
            left = max(0.0, self._begun_at + patience_seconds - time.monotonic())
            # Not `wait_for`, which would cancel what is everybody's.
            done, _ = await asyncio.wait({running}, timeout=left)
            if not done:
                return UnwritableReason.NO_ANSWER
        return self._reason

    def doubt(self) -> None:
        """Look whether it was only this one write that failed."""
        self._doubted = True
        if self._reason is None:
            self._start()

    def close(self) -> None:
        """Ask no more."""
        for task in (self._running, self._watching):
            if task is not None:
                task.cancel()

    def _start(self) -> asyncio.Task[None]:
        if self._running is None or self._running.done():
            self._begun_at = time.monotonic()
            self._running = asyncio.create_task(self._probe(), name="write-probe")
        return self._running

    async def _probe(self) -> None:
        size = _LARGE_BYTES if self._doubted or self._reason is not None else _SMALL_BYTES
        self._doubted = False
        # Whoever comes meanwhile would hang as well, and keep a connection.
        hanging = asyncio.get_running_loop().call_later(HANGS_SECONDS, self._find, UnwritableReason.NO_ANSWER)
        # Of random bytes, which PostgreSQL cannot compress to nothing.
        filler = os.urandom(size)
        try:
            await self._write(lambda conn: _put(conn, filler))
            self._find(None)
        except Exception as error:
            self._find(unwritable_reason(error) or UnwritableReason.IO_ERROR, error)
        finally:
            hanging.cancel()
        self._ended_at = time.monotonic()

    def _find(self, reason: UnwritableReason | None, error: Exception | None = None) -> None:
        before, self._reason = self._reason, reason
        if before is None and reason is not None:
            log.error("the database takes no writes (%s): %s", reason, getattr(error, "orig", error))
        if before is not None and reason is None:
            log.warning("the database takes writes again (was %s)", before)
        if reason is not None and (self._watching is None or self._watching.done()):
            # Nobody else tries while writes are refused, so recovery would go unnoticed.
            self._watching = asyncio.create_task(self._watch(), name="write-probe-watch")

    async def _watch(self) -> None:
        while self._reason is not None:
            await asyncio.sleep(_PAUSE_SECONDS)
            # One that hangs is waited for, not joined by another.
            await asyncio.wait({self._start()})


def _put(conn: Connection, filler: bytes) -> None:
    if not conn.execute(_PUT.values(filler=filler)).rowcount:
        conn.execute(_ADD.values(id=1 + secrets.randbelow(_MOST_IDS), filler=filler))
