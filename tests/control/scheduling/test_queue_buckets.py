"""How much waits, and for how long."""

from dc1.control.scheduling.job_queue import JobQueue, QueueBucket, WaitingJob
from dc1.domain.jobs.placement import Requirement
from dc1.domain.jobs.states import ComputeType

NOW = 1_000_000


def waiting(row_id: int, waited_seconds: float, *, named: int | None = None, priority: int = 2) -> WaitingJob:
    return WaitingJob(
        id=row_id,
        job_id=f"job-{row_id}",
        requirement=Requirement(named_provider_id=named, compute_type=ComputeType.INFERENCE),
        pricing_class="standard",
        priority=priority,
        submitted_at_ms=NOW - round(waited_seconds * 1000),
    )


def test_waits_of_a_hundred_jobs() -> None:
    queue = JobQueue()
    for number in range(100, 0, -1):
        queue.add(waiting(number, number, named=number % 3 or None))
    assert queue.buckets(NOW) == [QueueBucket("standard", "inference", 100, 50.5, 95)]
    for number in range(1, 100):
        queue.remove(number)
    assert queue.buckets(NOW) == [QueueBucket("standard", "inference", 1, 100, 100)]
    queue.remove(100)
    assert queue.buckets(NOW) == []


def test_a_clock_that_was_set_back_gives_no_negative_wait() -> None:
    queue = JobQueue()
    queue.add(waiting(1, -5))
    assert queue.buckets(NOW) == [QueueBucket("standard", "inference", 1, 0, 0)]


def test_jobs_that_name_a_provider_are_in_dispatch_order() -> None:
    queue = JobQueue()
    queue.add(waiting(1, 10, named=7))
    queue.add(waiting(2, 5, named=7, priority=1))
    queue.add(waiting(3, 20, named=8))
    queue.add(waiting(4, 20))
    assert [job.id for job in queue.naming(7)] == [2, 1]
    assert queue.naming(9) == []
