"""The queue in memory: jobs that wait for a provider, in the one order that everybody is shown."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from dc1.domain.money import PricingClass
from dc1.domain.placement import CLASS_RANK, ProviderView, Requirement, fits, queue_key

_Key: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A queued job as far as dispatching it needs to know.

    `avoid` names the providers that just lost or ignored it; they get it only when no other fits.
    """

    id: int
    job_id: str
    requirement: Requirement
    pricing_class: str
    priority: int
    submitted_at_ms: int
    prewarm: bool = False
    avoid: frozenset[int] = field(default_factory=frozenset)


class WaitingJobs:
    """Queued jobs, grouped by what they ask for: equal requirements are matched once."""

    def __init__(self) -> None:
        self._jobs: dict[int, WaitingJob] = {}
        self._keys: dict[Requirement, list[_Key]] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, row_id: int) -> bool:
        return row_id in self._jobs

    def add(self, job: WaitingJob) -> None:
        """Put a job in its place; one that waits already keeps it."""
        if job.id not in self._jobs:
            self._jobs[job.id] = job
            insort(self._keys.setdefault(job.requirement, []), queue_key(job))

    def remove(self, row_id: int) -> WaitingJob | None:
        """Take a job out, and return it if it waited."""
        job = self._jobs.pop(row_id, None)
        if job is None:
            return None
        keys = self._keys[job.requirement]
        del keys[bisect_left(keys, queue_key(job))]
        if not keys:
            del self._keys[job.requirement]
        return job

    def position(self, row_id: int) -> int | None:
        """Return the 1-based place among the jobs that wait for the same provider (or for any), or None."""
        job = self._jobs.get(row_id)
        if job is None:
            return None
        key = queue_key(job)
        return 1 + sum(
            bisect_left(keys, key)
            for requirement, keys in self._keys.items()
            if requirement.named_provider_id == job.requirement.named_provider_id
        )

    def position_of_new(self, requirement: Requirement, pricing_class: str, priority: int) -> int:
        """Return the place a job would get that is submitted now: behind every one of its class and priority."""
        behind = (CLASS_RANK[PricingClass(pricing_class)], priority + 1)
        return 1 + sum(
            bisect_left(keys, behind)
            for other, keys in self._keys.items()
            if other.named_provider_id == requirement.named_provider_id
        )

    def fitting(self, view: ProviderView) -> Iterator[WaitingJob]:
        """Yield the first waiting job of every requirement that `view` meets now, the first in the order first."""
        heads = sorted(keys[0] for requirement, keys in self._keys.items() if fits(view, requirement))
        return (self._jobs[key[-1]] for key in heads)

    def requirements(self) -> Iterator[Requirement]:
        """Yield everything that is waited for."""
        return iter(self._keys)
