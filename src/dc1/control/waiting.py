"""The queue in memory: jobs that wait for a provider, in the one order that everybody is shown."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from dc1.domain.money import PricingClass
from dc1.domain.placement import CLASS_RANK, ProviderView, Requirement, fits, queue_key

_Key: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A queued job as far as dispatching it needs to know.

    `avoid` names the providers that just lost, ignored or declined it; they get it only when no other fits, and not
    before `avoid_until_ms`.
    """

    id: int
    job_id: str
    requirement: Requirement
    pricing_class: str
    priority: int
    submitted_at_ms: int
    prewarm: bool = False
    avoid: frozenset[int] = field(default_factory=frozenset)
    avoid_until_ms: int = 0


class WaitingJobs:
    """Queued jobs, grouped by what they ask for: equal requirements are matched once."""

    def __init__(self) -> None:
        self._jobs: dict[int, WaitingJob] = {}
        # By the provider that is named, or None: a provider is never matched against jobs that name another.
        self._keys: dict[int | None, dict[Requirement, list[_Key]]] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, row_id: int) -> bool:
        return row_id in self._jobs

    def add(self, job: WaitingJob) -> None:
        """Put a job in its place; one that waits already keeps it."""
        if job.id not in self._jobs:
            self._jobs[job.id] = job
            named = self._keys.setdefault(job.requirement.named_provider_id, {})
            insort(named.setdefault(job.requirement, []), queue_key(job))

    def remove(self, row_id: int) -> WaitingJob | None:
        """Take a job out, and return it if it waited."""
        job = self._jobs.pop(row_id, None)
        if job is None:
            return None
        named = self._keys[job.requirement.named_provider_id]
        keys = named[job.requirement]
        del keys[bisect_left(keys, queue_key(job))]
        if not keys:
            del named[job.requirement]
        if not named:
            del self._keys[job.requirement.named_provider_id]
        return job

    def position(self, row_id: int) -> int | None:
        """Return the 1-based place among the jobs that wait for the same provider (or for any), or None."""
        job = self._jobs.get(row_id)
        return None if job is None else self._position(job.requirement, queue_key(job))

    def position_of_new(self, requirement: Requirement, pricing_class: str, priority: int) -> int:
        """Return the place a job would get that is submitted now: behind every one of its class and priority."""
        return self._position(requirement, (CLASS_RANK[PricingClass(pricing_class)], priority + 1))

    def first_fitting(self, view: ProviderView, may_have: Callable[[WaitingJob], bool]) -> WaitingJob | None:
        """Return the first job in the order that `view` meets now, of those that it may have."""
        heads = []
        for named_provider_id in (None, view.id):
            for requirement, keys in self._named(named_provider_id).items():
                if fits(view, requirement):
                    head = next((key for key in keys if may_have(self._jobs[key[-1]])), None)
                    heads += [] if head is None else [head]
        return self._jobs[min(heads)[-1]] if heads else None

    def requirements(self) -> Iterator[Requirement]:
        """Yield everything that is waited for."""
        for named in self._keys.values():
            yield from named

    def _named(self, provider_id: int | None) -> Mapping[Requirement, list[_Key]]:
        return self._keys.get(provider_id, {})

    def _position(self, requirement: Requirement, key: _Key) -> int:
        return 1 + sum(bisect_left(keys, key) for keys in self._named(requirement.named_provider_id).values())
