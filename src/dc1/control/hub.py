"""Live fan-out of what happens to a job to everybody who watches it.

Publishing never waits. A watcher that falls behind loses its buffer and is told so: it reads what it missed from the
database, so a slow reader costs neither a job nor another reader anything.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from dc1.storage.job_logs import LogRow

_BUFFERED_EVENTS = 256


@dataclass(frozen=True, slots=True)
class LogLines:
    """Log lines that were stored."""

    rows: Sequence[LogRow]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Text that a run generated."""

    attempt: int
    text: str
    count: int


@dataclass(frozen=True, slots=True)
class Moved:
    """The job changed its state or its phase."""


@dataclass(frozen=True, slots=True)
class Behind:
    """Events were dropped because the watcher was slow."""


JobNews: TypeAlias = LogLines | Tokens | Moved | Behind


class Watcher:
    """One reader's bounded buffer of a job's news."""

    def __init__(self) -> None:
        self._news: deque[JobNews] = deque()
        self._waiting = asyncio.Event()

    def put(self, news: JobNews) -> None:
        """Buffer news, or replace a full buffer by the notice that some was lost."""
        if len(self._news) >= _BUFFERED_EVENTS:
            self._news.clear()
            self._news.append(Behind())
        self._news.append(news)
        self._waiting.set()

    async def next(self, timeout_seconds: float) -> list[JobNews]:
        """Return everything that is buffered, waiting for the first; empty after the time-out."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._waiting.wait()
        except TimeoutError:
            return []
        self._waiting.clear()
        news = list(self._news)
        self._news.clear()
        return news


class Hub:
    """Who watches which job, by row id."""

    def __init__(self) -> None:
        self._watchers: defaultdict[int, set[Watcher]] = defaultdict(set)

    def watched_rows(self) -> list[int]:
        """Return the row ids of the jobs that somebody watches."""
        return list(self._watchers)

    def publish(self, row_id: int, news: JobNews) -> None:
        """Hand news of a job to everybody who watches it."""
        for watcher in self._watchers.get(row_id, ()):
            watcher.put(news)

    @contextmanager
    def watch(self, row_id: int) -> Iterator[Watcher]:
        """Watch a job for the length of the context."""
        watcher = Watcher()
        self._watchers[row_id].add(watcher)
        try:
            yield watcher
        finally:
            self._watchers[row_id].discard(watcher)
            if not self._watchers[row_id]:
                del self._watchers[row_id]
