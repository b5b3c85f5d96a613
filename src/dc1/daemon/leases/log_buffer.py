"""The log lines of one lease, from the runner until the server has stored them."""

from collections import deque
from dataclasses import dataclass

from dc1.daemon.runners.base import Level
from dc1.domain.jobs.log_budget import LARGEST_BATCH_LINES, MOST_BYTES, MOST_LINES

MAX_MESSAGE_CHARS = 2_000
# The most lines of one message in the protocol; so many characters are 0.8 MB of UTF-8 at the most.
MAX_BATCH_LINES = LARGEST_BATCH_LINES
MAX_BATCH_CHARS = 200_000
EARLY_LINES = 100
"""So many lines are sent without waiting for more."""

SPACING_SECONDS = 0.1
"""Least time between two batches with fewer lines."""

MAX_UNRECEIPTED = 8
"""Batches under way at once while the run goes on."""

_DROPPABLE: frozenset[Level] = frozenset({"debug", "info"})


@dataclass(frozen=True, slots=True)
class OutputLine:
    """One line."""

    level: Level
    message: str


@dataclass(frozen=True, slots=True)
class LogBatch:
    """Lines under one sequence number; what was sent under a number never changes."""

    sequence: int
    lines: tuple[OutputLine, ...]


class LogBuffer:
    """Keeps lines in order and within bounds, and forgets a batch only by its receipt.

    Lines are numbered into batches when they are first sent, so what was not sent may still be dropped when it becomes
    too much: the oldest debug and info lines first. A warning in their place says how many were lost. Times are seconds
    of any monotonic clock.
    """

    def __init__(self, max_lines: int = MOST_LINES, max_chars: int = MOST_BYTES) -> None:
        """Make an empty buffer that by default has room for all that the server keeps of a job."""
        self._max_lines, self._max_chars = max_lines, max_chars
        self._open: deque[OutputLine] = deque()
        self._open_chars = 0
        self._opened_at = 0.0
        self._dropped = 0
        self._batches: deque[LogBatch] = deque()
        self._sent = 0
        self._sequence = 0
        self._taken_at = float("-inf")
        self._receipted_at = 0.0
        self._closed = False

    def append(self, level: Level, message: str, now: float) -> None:
        """Add a line; what is longer than 2000 characters is cut."""
        if not self._open:
            self._opened_at = now
        line = OutputLine(level, message[:MAX_MESSAGE_CHARS])
        self._open.append(line)
        self._open_chars += len(line.message)
        if self._over(self._max_lines, self._max_chars):
            self._shrink()

    def close(self) -> None:
        """Say that no more lines come: what is left is due at once, however much is under way."""
        self._closed = True

    @property
    def unsent(self) -> bool:
        """Whether anything waits to be sent, for the first time or again."""
        return self._sent < len(self._batches) or self._waiting

    def due_at(self) -> float | None:
        """Return when the next batch may be taken; None while there is none or too many are under way."""
        if self._sent < len(self._batches):
            # A sealed batch that is due again has waited already.
            return float("-inf")
        if not self._waiting or (len(self._batches) >= MAX_UNRECEIPTED and not self._closed):
            return None
        if self._closed or len(self._open) >= EARLY_LINES:
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
        return bool(self._open) or self._dropped > 0

    def _over(self, lines: float, chars: float) -> bool:
        return len(self._open) > lines or self._open_chars > chars

    def _shrink(self) -> None:
        # To nine tenths, so that a flood is not sifted anew for every line.
        lines, chars = self._max_lines * 0.9, self._max_chars * 0.9
        kept: deque[OutputLine] = deque()
        while self._open and self._over(lines - len(kept), chars):
            line = self._open.popleft()
            if line.level in _DROPPABLE:
                self._drop(line)
            else:
                kept.append(line)
        # `extendleft` turns the order round, hence the reversal.
        self._open.extendleft(reversed(kept))
        while self._over(lines, chars):
            self._drop(self._open.popleft())

    def _drop(self, line: OutputLine) -> None:
        self._dropped += 1
        self._open_chars -= len(line.message)

    def _seal(self, now: float) -> LogBatch:
        lines: list[OutputLine] = []
        # In front, where the oldest lines were.
        if self._dropped:
            lines.append(
                OutputLine("warn", f"{self._dropped} log lines were dropped: they came faster than they could be sent")
            )
            self._dropped = 0
        chars = 0
        while self._open and len(lines) < MAX_BATCH_LINES and chars < MAX_BATCH_CHARS:
            line = self._open.popleft()
            chars += len(line.message)
            lines.append(line)
        self._open_chars -= chars
        self._opened_at = now
        self._sequence += 1
        return LogBatch(self._sequence, tuple(lines))
