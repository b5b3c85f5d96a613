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

from dc1.storage.jobs.job_logs import LogRow

_BUFFERED_CHARACTERS = 512 * 1024
_CHARACTERS_OF_NEWS = 1024
_CHARACTERS_OF_LINE = 256
"""What each piece of news and each line of it counts for beside its text: its object takes room too."""


@dataclass(frozen=True, slots=True)
class LogLines:
    """Log lines that were stored."""

    rows: Sequence[LogRow]


@dataclass(frozen=True, slots=True)
class TokenChunk:
    """Text that a run generated, and how many characters came before it, where the daemon says so."""

    attempt: int
    text: str
    count: int
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The job changed its state or its phase."""


@dataclass(frozen=True, slots=True)
class Lagged:
    """Events were dropped because the watcher was slow."""


JobUpdate: TypeAlias = LogLines | TokenChunk | StateChanged | Lagged


class Subscription:
    """One reader's bounded buffer of a job's news."""

    def __init__(self, wanted: tuple[type[JobUpdate], ...] = (LogLines, TokenChunk)) -> None:
        """`wanted` is the news that is buffered beside moves and losses."""
        self._wanted = (*wanted, StateChanged, Lagged)
        self._news: deque[JobUpdate] = deque()
        self._size = 0
        self._waiting = asyncio.Event()

    @property
    def size(self) -> int:
        """How much is buffered, in characters; at most 512 Ki."""
        return self._size

    def put(self, news: JobUpdate) -> None:
        """Buffer news, or replace what would be too much by the notice that some was lost."""
        if not isinstance(news, self._wanted):
            return
        size = _size(news)
        if self._size + size > _BUFFERED_CHARACTERS:
            self._news.clear()
            self._size = 0
            news, size = Lagged(), _CHARACTERS_OF_NEWS
        self._news.append(news)
        self._size += size
        self._waiting.set()

    async def next(self, timeout_seconds: float) -> list[JobUpdate]:
        """Return everything that is buffered, waiting for the first; empty after the time-out."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._waiting.wait()
        except TimeoutError:
            return []
        self._waiting.clear()
        news = list(self._news)
        self._news.clear()
        self._size = 0
        return news


def _size(news: JobUpdate) -> int:
    if isinstance(news, LogLines):
        return _CHARACTERS_OF_NEWS + sum(_CHARACTERS_OF_LINE + len(row.message) for row in news.rows)
    return _CHARACTERS_OF_NEWS + (len(news.text) if isinstance(news, TokenChunk) else 0)


class JobFeed:
    """Who watches which job, by row id."""

    def __init__(self) -> None:
        self._watchers: defaultdict[int, set[Subscription]] = defaultdict(set)
        self.closing = False

    def close(self) -> None:
        """Wake everybody up: who only follows a job can do so from the next server."""
        self.closing = True
        for row_id in self._watchers:
            self.publish(row_id, StateChanged())

    def watched_rows(self) -> list[int]:
        """Return the row ids of the jobs that somebody watches."""
        return list(self._watchers)

    def publish(self, row_id: int, news: JobUpdate) -> None:
        """Hand news of a job to everybody who watches it."""
        for watcher in self._watchers.get(row_id, ()):
            watcher.put(news)

    @contextmanager
    def watch(
        self, row_id: int, wanted: tuple[type[JobUpdate], ...] = (LogLines, TokenChunk)
    ) -> Iterator[Subscription]:
        """Watch a job for the length of the context: its moves, and of its lines and tokens those `wanted`."""
        watcher = Subscription(wanted)
        self._watchers[row_id].add(watcher)
        try:
            yield watcher
        finally:
            self._watchers[row_id].discard(watcher)
            if not self._watchers[row_id]:
                del self._watchers[row_id]
