"""Which of the jobs that other servers move concern this one, and what is known of the rest.

Of a machine whose stream ends elsewhere it is known how much of it is taken, and not by which jobs.
"""

import time
from collections.abc import Iterable

from dc1.control.scheduling.core import Core
from dc1.control.scheduling.job_versions import JobVersions
from dc1.domain.jobs.states import OPEN, JobSource, JobStatus
from dc1.storage.cluster.change_feed import JobFact
from dc1.storage.cluster.held_jobs import NOTHING_HELD, HeldJobs
from dc1.storage.jobs.job_records import JobRow

_COUNT_AGAIN_SECONDS = 10.0
"""What a change did not tell of, as that an offer was taken back, is right again after so long."""


class Concerns:
    """Tells by what is known of a job without its row, which most are never read for."""

    def __init__(self, core: Core, versions: JobVersions) -> None:
        self._job_feed = core.job_feed
        self._job_watch = core.job_watch
        self._fleet = core.fleet
        self._leases = core.leases
        self._versions = versions
        self._elsewhere: set[int] = set()
        self._held: dict[int, HeldJobs] = {}
        """What is taken of the machines that others serve, by jobs that are not known here."""
        self._to_count: set[int] = set()
        self._counted_at = time.monotonic()
        self._total = NOTHING_HELD

    # Machines

    def is_elsewhere(self, provider_id: int) -> bool:
        """Tell whether another server serves a machine, or did last, and its jobs are not all known here."""
        return provider_id in self._elsewhere

    def leave(self, provider_id: int) -> None:
        """Note that another server serves a machine: its jobs are no concern of ours from now on."""
        if provider_id not in self._elsewhere:
            self._elsewhere.add(provider_id)
            self._to_count.add(provider_id)

    def follow(self, provider_id: int) -> None:
        """Have the jobs of a machine concern this server again; those that it has by now are still to be read.

        In this order: what moves after they were read is told, or found by the next look.
        """
        self._elsewhere.discard(provider_id)

    def followed(self, provider_id: int) -> None:
        """Note that every job of a machine is about to be known."""
        self._set(provider_id, NOTHING_HELD)

    def to_count(self) -> set[int]:
        """Return of which machines is to be counted what is taken."""
        if time.monotonic() - self._counted_at > _COUNT_AGAIN_SECONDS:
            self._counted_at = time.monotonic()
            self._to_count.update(self._held)
        wanted, self._to_count = self._to_count & self._elsewhere, set()
        return wanted

    def known_jobs(self, provider_ids: Iterable[int]) -> list[int]:
        """Return the jobs of machines that are known here."""
        return [lease.row_id for each in provider_ids for lease in self._leases.of_provider(each)]

    def count_again(self, provider_ids: Iterable[int]) -> None:
        """Have it counted with the next look."""
        self._to_count.update(provider_ids)

    def counted(self, found: dict[int, HeldJobs]) -> bool:
        """Take what was counted, and tell whether a machine has room for more calls than before."""
        is_freed = False
        for provider_id, held in found.items():
            if provider_id in self._elsewhere:
                is_freed = is_freed or held.calls < self._held.get(provider_id, NOTHING_HELD).calls
                self._set(provider_id, held)
        return is_freed

    def counts(self, provider_id: int | None) -> tuple[int, int]:
        """Return how many jobs that are not known here are offered and run, on one machine or on all."""
        held = self._total if provider_id is None else self._held.get(provider_id, NOTHING_HELD)
        return held.offered, held.running

    def busy(self) -> int:
        """Return on how many machines such jobs run."""
        return sum(held.running > 0 for held in self._held.values())

    def _set(self, provider_id: int, held: HeldJobs) -> None:
        known = self._held.get(provider_id, NOTHING_HELD)
        if known == held:
            return
        if held == NOTHING_HELD:
            del self._held[provider_id]
        else:
            self._held[provider_id] = held
        self._total = self._total.plus(held).minus(known)
        change, provider = held.minus(known), self._fleet.get(provider_id)
        if provider is not None and (change.gpus or change.calls):
            # Before it is indexed anew, with both.
            provider.calls = max(0, provider.calls + change.calls)
            self._fleet.occupy_elsewhere(provider_id, change.gpus)

    # Jobs

    def leaves(self, job: JobRow) -> bool:
        """Tell whether a job that has a machine is another server's, who alone follows it."""
        provider = None if job.provider_id is None else self._fleet.get(job.provider_id)
        # A call whose caller is here has its answer pass through here.
        if provider is None or (job.source is JobSource.V1 and self._job_feed.has_caller(job.id)):
            return False
        if provider.stream_replica is not None:
            self.leave(provider.id)
        if provider.id not in self._elsewhere:
            return False
        self._to_count.add(provider.id)
        return True

    def moved(self, job: JobRow) -> None:
        """Note that a job was moved here, of which the next look brings nothing new."""
        self._count_later(job.provider_id, job.last_provider_id)

    def _count_later(self, *provider_ids: int | None) -> None:
        self._to_count.update(each for each in provider_ids if each in self._elsewhere)

    def concerns(self, fact: JobFact) -> bool:
        """Tell whether memory has to follow a job that may have moved elsewhere; one that has not is passed over."""
        if not self._versions.is_newer(fact.row_id, fact.event_sequence):
            return False
        self._count_later(fact.provider_id, fact.last_provider_id)
        if self._versions.is_open(fact.row_id) or self._job_feed.is_read(fact.row_id):
            return True
        if self._job_watch.is_watched(fact.renter_id, fact.provider_id or fact.last_provider_id):
            return True
        if fact.status in OPEN:
            return fact.status == JobStatus.QUEUED or fact.provider_id not in self._elsewhere
        # It came and went elsewhere, and nobody here asks what became of it.
        is_unknown = not self._versions.is_known(fact.row_id)
        self._versions.end(fact.row_id, fact.event_sequence)
        self._job_watch.passed(ran=fact.attempt_number > 0 and is_unknown)
        return False
