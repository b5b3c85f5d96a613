"""The jobs of an account as they move, for whoever watches all of them."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dc1.storage.jobs.job_records import JobRow

MOST_JOBS = 1_000
"""How many jobs may wait for a slow reader; beyond it, it reads anew what there is."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Whose jobs are watched: a renter's, those of an owner's machines, or with neither everybody's."""

    renter_id: int | None = None
    account_id: int | None = None


EVERYBODY = Audience()


class WatchedJobs:
    """What moved since one reader looked last: each job once, as it is now."""

    def __init__(self) -> None:
        self._moved: dict[int, JobRow] = {}
        self._has_moved = asyncio.Event()
        self._lagged = False

    def put(self, job: JobRow) -> None:
        """Note a job as it was stored."""
        known = self._moved.get(job.id)
        # The news of replicas may come late, and a newer version must not be undone by it.
        if known is None or known.event_sequence <= job.event_sequence:
            self._moved[job.id] = job
        if len(self._moved) > MOST_JOBS:
            self._moved.clear()
            self._lagged = True
        self._has_moved.set()

    async def wait(self, timeout_seconds: float) -> None:
        """Wait until something moved, or the time is up."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._has_moved.wait()
        except TimeoutError:
            return

    def take(self) -> tuple[list[JobRow], bool]:
        """Return what moved, and whether so much did that some was lost."""
        moved, lagged = list(self._moved.values()), self._lagged
        self._moved, self._lagged = {}, False
        self._has_moved.clear()
        return moved, lagged


class JobWatch:
    """Who watches whose jobs, and how many runs began and jobs ended."""

    def __init__(self, account_of: Callable[[int], int | None]) -> None:
        """`account_of` tells whose account a machine is in."""
        self._account_of = account_of
        self._watchers: defaultdict[Audience, set[WatchedJobs]] = defaultdict(set)
        self.tell_watchers: Callable[[JobRow, int | None], None] = lambda job, account_id: None
        """Called with each job that was moved here and the account whose machine has it, for watchers elsewhere."""
        self.changed: Callable[[], None] = lambda: None
        """Called when somebody begins to watch."""
        self.started = 0
        """Runs that began, since the server started."""
        self.ended = 0
        """Jobs that ended, since the server started."""

    @property
    def audiences(self) -> Collection[Audience]:
        """Whose jobs are watched here."""
        return self._watchers.keys()

    def is_watched(self, renter_id: int, machine_id: int | None) -> bool:
        """Tell whether anybody here watches the jobs of a renter, or of the account that a machine is in."""
        if not self._watchers:
            return False
        return any(each in self._watchers for each in self._audiences_of(renter_id, self._account(machine_id)))

    def passed(self, *, ran: bool) -> None:
        """Count a job that came and went while nobody here looked, and its run if it had any."""
        self.started += ran
        self.ended += 1

    def moved(self, job: JobRow, *, starts: bool = False, heard: bool = False) -> None:
        """Tell of a job as it was stored; `starts` says that its run has just begun, `heard` that it was elsewhere."""
        self.started += starts
        self.ended += job.is_terminal
        account_id = self._account(job.provider_id or job.last_provider_id)
        if not heard:
            self.tell_watchers(job, account_id)
        if not self._watchers:
            return
        for audience in self._audiences_of(job.renter_id, account_id):
            # `get`, as a look-up in a defaultdict would keep a set for every renter.
            for watcher in self._watchers.get(audience, ()):
                watcher.put(job)

    def _account(self, machine_id: int | None) -> int | None:
        return None if machine_id is None else self._account_of(machine_id)

    @staticmethod
    def _audiences_of(renter_id: int, account_id: int | None) -> list[Audience]:
        audiences = [EVERYBODY, Audience(renter_id=renter_id)]
        return audiences if account_id is None else [*audiences, Audience(account_id=account_id)]

    @contextmanager
    def watching(self, audience: Audience) -> Iterator[WatchedJobs]:
        """Watch somebody's jobs for the length of the context."""
        watcher = WatchedJobs()
        self._watchers[audience].add(watcher)
        self.changed()
        try:
            yield watcher
        finally:
            self._watchers[audience].discard(watcher)
            if not self._watchers[audience]:
                del self._watchers[audience]
