"""Whether a job that its provider failed can run on another one, now or once that is free."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from dc1.control.fleet.provider import Provider
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.leases import Lease
from dc1.domain.jobs.placement import Requirement, capability_obstacle
from dc1.domain.jobs.states import JobSource
from dc1.storage.jobs.job_records import JobRow

_MOST_ASKED = 1000


class Retries:
    """Who else could run a job, by what is known here of the fleet."""

    def __init__(self, core: Core) -> None:
        self._fleet = core.fleet
        self._queue_seconds = core.config.limits.queue_deadline_seconds
        self._call_queue_seconds = core.config.completion_queue_seconds

    def queue_seconds(self, job: JobRow) -> float:
        """Return how long a job may wait for another provider."""
        return self._call_queue_seconds if job.source is JobSource.V1 else self._queue_seconds

    def again_seconds(self, lease: Lease) -> float | None:
        """Return how long a job that nobody took may wait for another provider, None where it may not."""
        return self.queue_seconds(lease.assignment.job) if self.may_follow(lease) else None

    def may_follow(self, lease: Lease) -> bool:
        """Tell whether a job that its provider lost may wait for another attempt: a call for another provider only."""
        return lease.assignment.job.source is not JobSource.V1 or self.others_fit(lease)

    def others_fit(self, lease: Lease) -> bool:
        """Tell whether anybody but its provider and those who lost it before can run a job, if it may begin anew."""
        job = lease.assignment.job
        # Who has read the beginning of one answer cannot be given the end of another.
        is_begun = job.source is JobSource.V1 and lease.relayed.tokens > 0
        if job.named_provider_id is not None or is_begun:
            return False
        tried = frozenset({lease.provider_id, *(job.lost_by or ())})
        wanted = replace(job.requirement, excluded_provider_id=lease.provider_id, handed_to=tried)
        if job.source is JobSource.V1 and not self._call_queue_seconds:
            return self._is_free(wanted)
        # A walk, as it happens once for a failed job and ends with the first that fits; so many are enough to believe
        # that one will, for a job that waits in vain is refunded too.
        others = (other for other in self._candidates(job) if other.id not in tried)
        views = islice((self._fleet.view(other) for other in others), _MOST_ASKED)
        return any(view.takes_new_work and capability_obstacle(view, wanted) is None for view in views)

    def _candidates(self, job: JobRow) -> Iterable[Provider]:
        if job.source is not JobSource.V1:
            return self._fleet
        found = (self._fleet.get(provider_id) for provider_id in self._fleet.offered.providers_of(job.model or ""))
        return (provider for provider in found if provider is not None)

    def _is_free(self, wanted: Requirement) -> bool:
        availability = self._fleet.availability
        return availability.local.best(wanted) is not None or availability.remote.best(wanted) is not None
