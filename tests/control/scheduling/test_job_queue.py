"""The queue in memory against a plain sorted list."""

from hypothesis import given
from hypothesis import strategies as st

from dc1.control.scheduling.job_queue import JobQueue, WaitingJob
from dc1.domain.jobs.placement import ProviderView, Requirement, fits, placement_obstacle
from dc1.domain.jobs.queue_order import queue_key
from dc1.domain.providers.liveness import Approval, ProviderStatus

requirements = st.builds(
    Requirement,
    named_provider_id=st.sampled_from([None, 1, 2]),
    model=st.sampled_from([None, "acme/chat-7b"]),
    gpu_type=st.sampled_from([None, "H100"]),
)


@st.composite
def waiting_jobs(draw: st.DrawFn) -> list[WaitingJob]:
    return [
        WaitingJob(
            id=number,
            job_id=f"job-{number}",
            requirement=draw(requirements),
            pricing_class=draw(st.sampled_from(["priority", "standard", "economy"])),
            priority=draw(st.integers(1, 3)),
            submitted_at_ms=draw(st.integers(0, 3)),
        )
        for number in range(1, draw(st.integers(1, 12)) + 1)
    ]


@given(jobs=waiting_jobs(), removed=st.sets(st.integers(1, 12)), refused=st.sets(st.integers(1, 12)))
def test_positions_and_the_first_fit_are_those_of_one_sorted_list(
    jobs: list[WaitingJob], removed: set[int], refused: set[int]
) -> None:
    waiting = JobQueue()
    for job in jobs:
        waiting.add(job)
        waiting.add(job)
    for row_id in removed:
        waiting.remove(row_id)
    left = sorted((job for job in jobs if job.id not in removed), key=queue_key)
    assert len(waiting) == len(left)
    assert set(waiting.requirements()) == {job.requirement for job in left}
    types: dict[str | None, list[int]] = {}
    for job in left:
        types.setdefault(job.requirement.gpu_type, []).append(job.submitted_at_ms)
    counted = waiting.by_gpu_type()
    assert {gpu: (depth, oldest_ms) for gpu, depth, oldest_ms in counted} == {
        gpu: (len(times), min(times)) for gpu, times in types.items()
    }
    assert [depth for _, depth, _ in counted] == sorted((len(times) for times in types.values()), reverse=True)

    for job in jobs:
        rivals = [
            other.id for other in left if other.requirement.named_provider_id == job.requirement.named_provider_id
        ]
        assert waiting.position(job.id) == (rivals.index(job.id) + 1 if job.id in rivals else None)

    view = ProviderView(1, Approval.APPROVED, ProviderStatus.ONLINE, models=frozenset({"acme/chat-70b"}))
    fitting = [job for job in left if fits(view, job.requirement) and job.id not in refused]
    first = waiting.first_fitting(view, lambda job: job.id not in refused)
    assert first == (fitting[0] if fitting else None)
    assert waiting.obstacles(view) == {placement_obstacle(view, job.requirement) for job in left} - {None}


@given(jobs=waiting_jobs(), requirement=requirements, priority=st.integers(1, 3))
def test_the_place_of_a_new_job_is_the_one_it_gets(
    jobs: list[WaitingJob], requirement: Requirement, priority: int
) -> None:
    waiting = JobQueue()
    for job in jobs:
        waiting.add(job)
    promised = waiting.position_of_new(requirement, "standard", priority)

    waiting.add(WaitingJob(99, "job-99", requirement, "standard", priority, submitted_at_ms=4))

    assert waiting.position(99) == promised
