"""Live fan-out of what happens to a job to everybody who subscribed to it.

Publishing never waits. A subscriber that falls behind loses its buffer and is told so: it reads what it missed from the
database, so a slow reader costs neither a job nor another reader anything.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from dc1.domain.base.json_types import JsonValue
from dc1.domain.errors import rate_limit_exceeded
from dc1.domain.inference.events import AnswerEvent
from dc1.storage.jobs.job_logs import LogRow
from dc1.storage.jobs.job_records import JobRow

_BUFFERED_CHARACTERS = 512 * 1024
_BUFFERED_OF_ANSWER = 9 * 1024 * 1024
"""Of the one reader of a call, who gets what the engine says as it is: an event may have 8 MiB."""

MOST_BUFFERED = 128 * 1024 * 1024
"""Of all readers together: whoever has most of it unread is told of the results."""

MOST_OF_OWNER = 100
"""Subscriptions of one account at once, each of which may have a full buffer."""

_COME_BACK_SECONDS = 5
_CHARACTERS_OF_UPDATE = 1024
_CHARACTERS_OF_LINE = 256
"""What each update and each line of it counts for beside its text: its object takes room too."""


@dataclass(frozen=True, slots=True)
class LogLines:
    """Log lines that were stored."""

    rows: Sequence[LogRow]


@dataclass(frozen=True, slots=True)
class TokenChunk:
    """Text that a run generated, and how many characters came before it, where the daemon says so.

    `events` is what the engine said of a call meanwhile, `event_offset` how much of that came before, and `is_last`
    whether it is over.
    """

    attempt: int
    text: str
    count: int
    offset: int | None = None
    events: tuple[AnswerEvent, ...] = ()
    event_offset: int = 0
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The job changed its state or its phase; `answered` is the job and its result, where that is how it ended here."""

    answered: tuple[JobRow, JsonValue] | None = None


@dataclass(frozen=True, slots=True)
class Lagged:
    """Events were dropped because the subscriber was slow."""


JobUpdate: TypeAlias = LogLines | TokenChunk | StateChanged | Lagged


class Buffered:
    """How much all readers of a server have not read, in characters, and who they are."""

    def __init__(self) -> None:
        self.size = 0
        self.readers: set[Subscription] = set()


class Subscription:
    """One reader's bounded buffer of a job's updates."""

    def __init__(
        self,
        wanted: tuple[type[JobUpdate], ...] = (LogLines, TokenChunk),
        most: int = _BUFFERED_CHARACTERS,
        of_all: Buffered | None = None,
    ) -> None:
        """`wanted` are the updates that are buffered beside changes of state and losses, `most` their characters.

        They count among those `of_all`.
        """
        self._most = most
        self._of_all = of_all or Buffered()
        self.is_of_caller = most == _BUFFERED_OF_ANSWER
        self._wanted = (*wanted, StateChanged, Lagged)
        self._updates: deque[JobUpdate] = deque()
        self._has_updates = asyncio.Event()
        self.size = 0
        """How much is buffered, in characters."""
        self._of_all.readers.add(self)

    def put(self, update: JobUpdate) -> None:
        """Buffer an update, or replace what would be too much by the notice that some was lost."""
        # Filtered here and not by the reader: tokens that nobody wants would push out the lines that somebody does.
        if not isinstance(update, self._wanted):
            return
        size = _size(update)
        if self.size + size > self._most:
            self._lag()
            return
        self._append(update, size)
        if self._of_all.size > MOST_BUFFERED:
            # Not this one, which may have read all it had: whoever opens calls and reads none would take from everybody
            # what is said as it comes.
            max(self._of_all.readers, key=lambda reader: reader.size)._lag()

    def _lag(self) -> None:
        # All of it goes, not just the oldest: what is left would begin after a gap, and the reader has to ask the
        # database for everything since its last line anyway.
        self._drop()
        self._append(Lagged(), _CHARACTERS_OF_UPDATE)

    def _append(self, update: JobUpdate, size: int) -> None:
        self._updates.append(update)
        self.size += size
        self._of_all.size += size
        self._has_updates.set()

    def _drop(self) -> None:
        self._updates.clear()
        self._of_all.size -= self.size
        self.size = 0

    def close(self) -> None:
        """Forget everything that is buffered, for nobody reads it any more."""
        self._drop()
        self._of_all.readers.discard(self)

    async def next(self, timeout_seconds: float) -> list[JobUpdate]:
        """Return everything that is buffered, waiting for the first; empty after the time-out."""
        if not self._updates and timeout_seconds > 0:
            # Woken by a timer: `asyncio.timeout` would take longer than all the rest of what a token costs here.
            waking = asyncio.get_running_loop().call_later(timeout_seconds, self._has_updates.set)
            try:
                await self._has_updates.wait()
            finally:
                waking.cancel()
        self._has_updates.clear()
        updates = list(self._updates)
        self._drop()
        return updates


def _size(update: JobUpdate) -> int:
    if isinstance(update, LogLines):
        return _CHARACTERS_OF_UPDATE + sum(_CHARACTERS_OF_LINE + len(row.message) for row in update.rows)
    if isinstance(update, TokenChunk):
        return _CHARACTERS_OF_UPDATE + len(update.text) + sum(len(event.text) for event in update.events)
    return _CHARACTERS_OF_UPDATE


class JobFeed:
    """Who subscribed to which job, by row id."""

    def __init__(self) -> None:
        self._subscriptions: defaultdict[int, set[Subscription]] = defaultdict(set)
        self._of_owner: Counter[str] = Counter()
        self.buffered = Buffered()
        # Text that nobody heard, of all jobs in the order in which it came.
        self._unheard: deque[tuple[int, TokenChunk]] = deque()
        self._unheard_size = 0
        self.closing = False
        self.tell_readers: Callable[[int, JobUpdate], None] = lambda row_id, update: None
        """Called with each update, for whoever reads a job at another server."""
        self.begun: Callable[[int], None] = lambda row_id: None
        """Called when a job has its first reader here."""

    def close(self) -> None:
        """Wake everybody up: who only follows a job can do so from the next server."""
        self.closing = True
        for row_id in self._subscriptions:
            self.publish(row_id, StateChanged())

    def read_rows(self) -> list[int]:
        """Return the row ids of the jobs that somebody reads here."""
        return list(self._subscriptions)

    def is_read(self, row_id: int) -> bool:
        """Tell whether anybody reads a job here."""
        return row_id in self._subscriptions

    def has_caller(self, row_id: int) -> bool:
        """Tell whether whoever is answered by a job reads it here."""
        return any(subscription.is_of_caller for subscription in self._subscriptions.get(row_id, ()))

    def publish(self, row_id: int, update: JobUpdate, *, heard: bool = False) -> None:
        """Hand an update of a job to everybody who subscribed to it; one that was `heard` of elsewhere to those here.

        Two servers whose readers are told by each other would tell it to and fro without an end.
        """
        if not heard:
            self.tell_readers(row_id, update)
        # `get`, as a look-up in a defaultdict would keep an empty set for every job that ever did anything.
        subscriptions = self._subscriptions.get(row_id, ())
        for subscription in subscriptions:
            subscription.put(update)
        if not subscriptions and isinstance(update, TokenChunk):
            self._keep(row_id, update)

    def _keep(self, row_id: int, update: TokenChunk) -> None:
        self._unheard.append((row_id, update))
        self._unheard_size += _size(update)
        while self._unheard_size > _BUFFERED_CHARACTERS:
            self._unheard_size -= _size(self._unheard.popleft()[1])

    @contextmanager
    def reading(self, owner: str) -> Iterator[None]:
        """Count a reader of an account for the length of the context.

        Raises:
            rate_limit_exceeded: The account has a hundred of them open here.
        """
        if self._of_owner[owner] >= MOST_OF_OWNER:
            raise rate_limit_exceeded(_COME_BACK_SECONDS)
        self._of_owner[owner] += 1
        try:
            yield
        finally:
            self._of_owner[owner] -= 1
            if not self._of_owner[owner]:
                del self._of_owner[owner]

    @contextmanager
    def subscribe(
        self, row_id: int, wanted: tuple[type[JobUpdate], ...] = (LogLines, TokenChunk), *, from_start: bool = False
    ) -> Iterator[Subscription]:
        """Subscribe to a job for the length of the context: to its changes of state, and to those updates `wanted`.

        With `from_start`, for the first reader of a job that has only begun, also to the text that came before.

        Yields:
            The subscription.
        """
        # Whoever subscribes does so before reading what is stored: what happens in between is told twice, never missed.
        most = _BUFFERED_OF_ANSWER if from_start else _BUFFERED_CHARACTERS
        subscription = Subscription(wanted, most, self.buffered)
        if from_start:
            # Another server may have offered the job, and its daemon begun to speak, before this one has followed the
            # commit of its own: text is stored nowhere, so it has waited here.
            for kept_id, update in self._unheard:
                if kept_id == row_id:
                    subscription.put(update)
        is_first = not self.is_read(row_id)
        self._subscriptions[row_id].add(subscription)
        if is_first:
            self.begun(row_id)
        try:
            yield subscription
        finally:
            subscription.close()
            self._subscriptions[row_id].discard(subscription)
            if not self._subscriptions[row_id]:
                del self._subscriptions[row_id]
