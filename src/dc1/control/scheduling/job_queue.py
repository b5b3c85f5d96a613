"""The queue in memory: jobs that wait for a provider, in the one order that everybody is shown."""

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from dc1.domain.jobs.placement import (
    Admission,
    ProviderView,
    Requirement,
    fits,
    placement_obstacle,
)
from dc1.domain.jobs.queue_order import class_rank, queue_key

_Key: TypeAlias = tuple[int, ...]
K = TypeVar("K")
V = TypeVar("V", int, _Key)


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A queued job as far as dispatching it needs to know.

    `avoid` names the providers that just lost, ignored or declined it; they get it only when no other fits, and not
    before `avoid_until_ms`. `since_ms` is when it came to wait here, and `first` whom a call prefers.
    """

    id: int
    job_id: str
    requirement: Requirement
    pricing_class: str
    priority: int
    submitted_at_ms: int
    prewarm: bool = False
    since_ms: int = 0
    avoid: frozenset[int] = field(default_factory=frozenset)
    avoid_until_ms: int = 0
    first: int | None = None


@dataclass(frozen=True, slots=True)
class QueueBucket:
    """Waiting jobs of one price class and compute type, and how long they have waited."""

    pricing_class: str
    compute_type: str
    depth: int
    avg_wait_seconds: float
    p95_wait_seconds: float


class JobQueue:
    """Queued jobs, grouped by what they ask for: equal requirements are matched once."""

    def __init__(self) -> None:
        self._jobs: dict[int, WaitingJob] = {}
        # By the provider that is named, or None: a provider is never matched against jobs that name another.
        self._keys: dict[int | None, dict[Requirement, list[_Key]]] = {}
        self._since_ms: dict[tuple[str, str], list[int]] = {}
        """When the jobs of each price class and compute type were submitted, the oldest first."""
        self._since_ms_by_gpu: dict[str | None, list[int]] = {}

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
            insort(self._since_ms.setdefault(_bucket(job), []), job.submitted_at_ms)
            insort(self._since_ms_by_gpu.setdefault(job.requirement.gpu_type, []), job.submitted_at_ms)

    def remove(self, row_id: int) -> WaitingJob | None:
        """Take a job out, and return it if it waited."""
        job = self._jobs.pop(row_id, None)
        if job is None:
            return None
        named = self._keys[job.requirement.named_provider_id]
        _discard(named, job.requirement, queue_key(job))
        if not named:
            del self._keys[job.requirement.named_provider_id]
        _discard(self._since_ms, _bucket(job), job.submitted_at_ms)
        _discard(self._since_ms_by_gpu, job.requirement.gpu_type, job.submitted_at_ms)
        return job

    def position(self, row_id: int) -> int | None:
        """Return the 1-based place among the jobs that wait for the same provider (or for any), or None."""
        job = self._jobs.get(row_id)
        return None if job is None else self._position(job.requirement, queue_key(job))

    def position_of_new(self, requirement: Requirement, pricing_class: str, priority: int) -> int:
        """Return the place a job would get that is submitted now: behind every one of its class and priority."""
        return self._position(requirement, key_of_new(pricing_class, priority))

    def first_fitting(self, view: ProviderView, may_have: Callable[[WaitingJob], bool]) -> WaitingJob | None:
        """Return the first job in the order that `view` meets now, of those that it may have."""
        heads = []
        for named_provider_id in (None, view.id):
            for requirement, keys in self._named(named_provider_id).items():
                # Jobs by the thousand ask for a handful of things: each is matched once, and of its jobs the first
                # counts.
                if fits(view, requirement):
                    head = next((key for key in keys if may_have(self._jobs[key[-1]])), None)
                    heads += [] if head is None else [head]
        return self._jobs[min(heads)[-1]] if heads else None

    def requirements(self) -> Iterator[Requirement]:
        """Yield everything that is waited for."""
        for named in self._keys.values():
            yield from named

    def obstacles(self, view: ProviderView) -> set[Admission]:
        """Return what keeps waiting jobs from a provider; that they name others is one reason, however many do."""
        mine = (None, view.id)
        reasons = {placement_obstacle(view, requirement) for name in mine for requirement in self._named(name)}
        if len(self._keys) > sum(name in self._keys for name in mine):
            reasons.add(Admission.NO_ELIGIBLE_JOB_FOR_PROVIDER)
        return {reason for reason in reasons if reason is not None}

    def _named(self, provider_id: int | None) -> Mapping[Requirement, list[_Key]]:
        return self._keys.get(provider_id, {})

    def _position(self, requirement: Requirement, key: _Key) -> int:
        return 1 + sum(bisect_left(keys, key) for keys in self._named(requirement.named_provider_id).values())

    def naming(self, provider_id: int) -> list[WaitingJob]:
        """Return the jobs that only this provider may run, in the order."""
        keys = [key for keys in self._named(provider_id).values() for key in keys]
        return [self._jobs[key[-1]] for key in sorted(keys)]

    def buckets(self, now_ms: int) -> list[QueueBucket]:
        """Return how much of what waits and for how long, the classes in the order."""
        names = sorted(self._since_ms, key=lambda name: (class_rank(name[0]), name[1]))
        return [_waits(*name, self._since_ms[name], now_ms) for name in names]

    def by_gpu_type(self) -> list[tuple[str | None, int, int]]:
        """Return of each GPU type, or of any as None, how many jobs wait and when the oldest came; the most first.

        Counted as they come and go: whoever watches asks every second, however many wait.
        """
        found = [(gpu_type, len(since_ms), since_ms[0]) for gpu_type, since_ms in self._since_ms_by_gpu.items()]
        return sorted(found, key=lambda entry: (-entry[1], entry[0] or ""))


def key_of_new(pricing_class: str, priority: int) -> _Key:
    """Return where in the order a job comes that is submitted now; compare by `queue_key`."""
    return (class_rank(pricing_class), priority + 1)


def _bucket(job: WaitingJob) -> tuple[str, str]:
    return job.pricing_class, job.requirement.compute_type


def _discard(lists: dict[K, list[V]], key: K, value: V) -> None:
    """Take one `value` out of a sorted list, and an empty list out of `lists`."""
    values = lists[key]
    del values[bisect_left(values, value)]
    if not values:
        del lists[key]


def _waits(pricing_class: str, compute_type: str, since_ms: list[int], now_ms: int) -> QueueBucket:
    depth = len(since_ms)
    # 95 in 100 waited at most as long as the job before which only the oldest 5 in 100 came.
    p95_ms = now_ms - since_ms[depth - math.ceil(0.95 * depth)]
    average_ms = now_ms - sum(since_ms) / depth
    return QueueBucket(
        pricing_class, compute_type, depth, round(max(0.0, average_ms) / 1000, 3), round(max(0, p95_ms) / 1000, 3)
    )
