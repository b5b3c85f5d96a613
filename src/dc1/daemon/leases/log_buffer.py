"""The log lines of one lease, from the runner until the server has stored them."""

import asyncio
from collections import deque
from dataclasses import dataclass

from dc1.daemon.leases.log_spool import LogSpool, OutputLine
from dc1.daemon.runners.base import Level
from dc1.domain.jobs.log_budget import CUT_NOTICE, LARGEST_BATCH_LINES, MOST_BYTES, MOST_LINES, size_of

MAX_MESSAGE_CHARS = 2_000
# The most lines of one message in the protocol; so many characters are 0.8 MB of UTF-8 at the most.
MAX_BATCH_LINES = LARGEST_BATCH_LINES
MAX_BATCH_CHARS = 200_000
EARLY_LINES = 100
"""So many lines are sent without waiting for more."""

_LOST_A_TRY = 1_000
"""After so many lines that found no room the disk is tried again."""

SPACING_SECONDS = 0.1
"""Least time between two batches with fewer lines."""

MAX_UNRECEIPTED = 8
"""Batches under way at once; what comes after them waits in the spool, and not in the memory of both sides."""


@dataclass(frozen=True, slots=True)
class LogBatch:
    """Lines under one sequence number; what was sent under a number never changes."""

    sequence: int
    lines: tuple[OutputLine, ...]


class LogBuffer:
    """Keeps every line in order up to the budget of a job, and forgets a batch only by its receipt.

    What is beyond the budget the server would not keep either: one line says so in its place, and the rest is thrown
    away here. Times are seconds of any monotonic clock.
    """

    def __init__(self, max_lines: int = MOST_LINES, max_bytes: int = MOST_BYTES, spool: LogSpool | None = None) -> None:
        """Make an empty buffer that by default has room for all that the server keeps of a job."""
        self._max_lines, self._max_bytes = max_lines, max_bytes
        self._spool = LogSpool() if spool is None else spool
        self._lines_left, self._bytes_left = max_lines, max_bytes
        self._is_cut = False
        self._lost = 0
        self._opened_at = 0.0
        self._batches: deque[LogBatch] = deque()
        self._sent = 0
        self._sequence = 0
        self._taken_at = float("-inf")
        self._receipted_at = 0.0
        self._closed = False
        self._is_last = False
        self.is_used = False
        """Whether any line ever came: of calls none does, and their leases are asked for every token of all of them."""
        self.has_room = asyncio.Event()
        """Cleared while a line that came would be lost: the disk is full, and the server has not taken enough."""
        self.has_room.set()

    @property
    def is_cut(self) -> bool:
        """Whether the budget is spent, so that nothing more is kept."""
        return self._is_cut

    def append(self, level: Level, message: str, now: float) -> None:
        """Add a line; what is longer than 2000 characters is cut."""
        if self._is_cut or self._closed:
            return
        self.is_used = True
        if not self._waiting:
            self._opened_at = now
        if self._spool.is_full:
            if self._lost % _LOST_A_TRY == 0:
                self._spool.make_room()
            self._lost += 1
            self._look_for_room()
            return
        if self._lost:
            self._spool.append(self._loss())
        message = message[:MAX_MESSAGE_CHARS]
        size = size_of(message)
        if self._lines_left == 0 or size > self._bytes_left:
            self._is_cut = True
            self._spool.append(OutputLine("warn", CUT_NOTICE))
            return
        self._lines_left -= 1
        self._bytes_left -= size
        self._spool.append(OutputLine(level, message))
        self._look_for_room()

    def close(self) -> None:
        """Say that no more lines come: what is left is due at once."""
        self._closed = True

    def cut_short(self) -> None:
        """Give up what was not sent yet; one line says how much it was, and is due at once."""
        self._lost += len(self._spool)
        self._spool.clear()
        self._is_last = True
        self._look_for_room()

    def release(self) -> None:
        """Forget everything, with what is on the disk."""
        self._closed = True
        self._lost = 0
        self._spool.clear()
        self._batches.clear()
        self._sent = 0
        self._look_for_room()

    @property
    def unsent(self) -> bool:
        """Whether anything waits to be sent, for the first time or again."""
        return self._sent < len(self._batches) or self._waiting

    def due_at(self) -> float | None:
        """Return when the next batch may be taken; None while there is none or too many are under way."""
        if self._sent < len(self._batches):
            # A sealed batch that is due again has waited already.
            return float("-inf")
        if not self._waiting or (len(self._batches) >= MAX_UNRECEIPTED and not self._is_last):
            return None
        if self._closed or len(self._spool) >= EARLY_LINES:
            return self._opened_at
        return max(self._opened_at, self._taken_at + SPACING_SECONDS)

    def take(self, now: float) -> LogBatch:
        """Return the next batch to send. Call it when one is due."""
        if self._sent == len(self._batches):
            self._batches.append(self._seal(now))
        if self._sent == 0:
            self._receipted_at = now
        self._sent += 1
        self._taken_at = now
        return self._batches[self._sent - 1]

    def receipt(self, sequence: int, now: float) -> None:
        """Forget every batch up to `sequence`."""
        while self._sent and self._batches[0].sequence <= sequence:
            self._batches.popleft()
            self._sent -= 1
            self._receipted_at = now

    def resend(self, before: float = float("inf")) -> None:
        """Make everything without a receipt due again, unless a receipt came or the first was sent since `before`."""
        if self._receipted_at < before:
            self._sent = 0

    @property
    def _waiting(self) -> bool:
        return len(self._spool) > 0 or self._lost > 0

    def _seal(self, now: float) -> LogBatch:
        lines: list[OutputLine] = []
        chars = 0
        while len(lines) < MAX_BATCH_LINES and chars < MAX_BATCH_CHARS and (line := self._spool.popleft()):
            chars += len(line.message)
            lines.append(line)
        self._lost += self._spool.lost
        self._spool.lost = 0
        # Behind all that was kept before them.
        if self._lost and not self._spool and len(lines) < MAX_BATCH_LINES:
            lines.append(self._loss())
        self._look_for_room()
        self._opened_at = now
        self._sequence += 1
        return LogBatch(self._sequence, tuple(lines))

    def _look_for_room(self) -> None:
        if self._spool.is_full:
            self.has_room.clear()
        else:
            self.has_room.set()

    def _loss(self) -> OutputLine:
        lost, self._lost = self._lost, 0
        return OutputLine("warn", f"{lost} log lines were lost on the provider's side")
