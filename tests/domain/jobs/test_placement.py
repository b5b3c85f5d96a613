"""Which provider fits, which is chosen, and which job goes first."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.jobs.placement import (
    Admission,
    ProviderView,
    Requirement,
    availability_obstacle,
    choose,
    fits,
    placement_obstacle,
    vram_gb,
)
from dc1.domain.jobs.queue_order import queue_key
from dc1.domain.jobs.states import ComputeType
from dc1.domain.providers.liveness import Approval, ProviderStatus

ANY = Requirement()
IDLE = ProviderView(id=1, approval=Approval.APPROVED, status=ProviderStatus.ONLINE, vram_mib=24564, gpu_type="RTX4090")


@pytest.mark.parametrize(("mib", "gb"), [(24564, 24), (24576, 24), (16376, 16), (512, 1), (511, 0), (81559, 80)])
def test_vram_in_whole_gb(mib: int, gb: int) -> None:
    assert vram_gb(mib) == gb


@pytest.mark.parametrize(
    ("view", "requirement", "reason"),
    [
        (replace(IDLE, status=ProviderStatus.SUSPENDED), ANY, Admission.PROVIDER_SUSPENDED),
        (replace(IDLE, approval=Approval.PENDING), ANY, Admission.PROVIDER_NOT_APPROVED),
        (replace(IDLE, status=ProviderStatus.PAUSED), ANY, Admission.PROVIDER_PAUSED),
        (replace(IDLE, status=ProviderStatus.OFFLINE), ANY, Admission.PROVIDER_OFFLINE),
        (replace(IDLE, status=ProviderStatus.REGISTERED), ANY, Admission.PROVIDER_OFFLINE),
        (replace(IDLE, occupied=1), ANY, Admission.PROVIDER_BUSY),
        (replace(IDLE, slots=2, occupied=1), Requirement(gpu_count=2), Admission.PROVIDER_BUSY),
        (IDLE, Requirement(named_provider_id=2), Admission.NO_ELIGIBLE_JOB_FOR_PROVIDER),
        (IDLE, Requirement(gpu_count=2), Admission.INSUFFICIENT_GPU_COUNT),
        (IDLE, Requirement(min_vram_gb=25), Admission.INSUFFICIENT_VRAM),
        (IDLE, Requirement(gpu_type="H100"), Admission.GPU_TYPE_MISMATCH),
        (replace(IDLE, gpu_type=None), Requirement(gpu_type="H100"), Admission.GPU_TYPE_MISMATCH),
        (
            replace(IDLE, compute_types=frozenset({"training"})),
            Requirement(compute_type=ComputeType.INFERENCE),
            Admission.COMPUTE_TYPE_UNSUPPORTED,
        ),
        (
            replace(IDLE, job_types=frozenset({"benchmark"})),
            Requirement(job_type="training"),
            Admission.COMPUTE_TYPE_UNSUPPORTED,
        ),
        (
            replace(IDLE, models=frozenset({"a/b"})),
            Requirement(model="c/d"),
            Admission.MODEL_UNSUPPORTED_ON_PROVIDER,
        ),
    ],
)
def test_misfits(view: ProviderView, requirement: Requirement, reason: Admission) -> None:
    assert placement_obstacle(view, requirement) is reason
    assert not fits(view, requirement)


@pytest.mark.parametrize(
    ("view", "requirement"),
    [
        (IDLE, ANY),
        (replace(IDLE, status=ProviderStatus.DEGRADED), ANY),
        (IDLE, Requirement(named_provider_id=1, min_vram_gb=24, gpu_type="RTX4090")),
        (replace(IDLE, vram_mib=None), Requirement(min_vram_gb=80)),
        (IDLE, Requirement(model="any/model")),
        (replace(IDLE, models=frozenset({"a/b"})), ANY),
        (replace(IDLE, models=frozenset({"a/b"})), Requirement(model="a/b")),
        (replace(IDLE, slots=4, occupied=2), Requirement(gpu_count=2)),
        (replace(IDLE, job_types=frozenset({"training"})), Requirement(job_type="training")),
    ],
)
def test_fits(view: ProviderView, requirement: Requirement) -> None:
    assert fits(view, requirement)
    assert availability_obstacle(view) is None


def test_choice_weighs_one_thing_after_the_other() -> None:
    wanted = Requirement(model="m")
    ranked = [
        replace(IDLE, id=9, models=frozenset({"m"}), reputation=50, slots=4, occupied=3),
        replace(IDLE, id=8, reputation=90, slots=4, occupied=3),
        replace(IDLE, id=7, reputation=80, slots=4, occupied=1),
        replace(IDLE, id=5, reputation=80, slots=4, occupied=2),
        replace(IDLE, id=6, reputation=80, slots=4, occupied=2),
        replace(IDLE, id=1, status=ProviderStatus.DEGRADED, models=frozenset({"m"}), reputation=100),
    ]
    chosen = [choose(reversed(ranked[start:]), wanted) for start in range(len(ranked))]
    assert chosen == [9, 8, 7, 5, 6, 1]


def test_prewarm_puts_a_cached_model_first() -> None:
    warm = replace(IDLE, id=2, status=ProviderStatus.DEGRADED, models=frozenset({"m"}))
    assert choose([IDLE, warm], Requirement(model="m")) == 1
    assert choose([IDLE, warm], Requirement(model="m"), prewarm=True) == 2


def test_an_avoided_provider_is_the_last_resort() -> None:
    other = replace(IDLE, id=2, status=ProviderStatus.DEGRADED)
    assert choose([IDLE, other], ANY, avoid={1}) == 2
    assert choose([IDLE], ANY, avoid={1}) == 1
    assert choose([replace(IDLE, occupied=1)], ANY) is None


@given(
    st.lists(
        st.builds(
            ProviderView,
            id=st.integers(1, 50),
            approval=st.sampled_from(Approval),
            status=st.sampled_from(ProviderStatus),
            slots=st.integers(1, 4),
            occupied=st.integers(0, 4),
            vram_mib=st.none() | st.integers(0, 100_000),
            reputation=st.integers(0, 100),
        ),
        unique_by=lambda view: view.id,
    ),
    st.builds(Requirement, min_vram_gb=st.none() | st.integers(1, 80), gpu_count=st.integers(1, 4)),
)
def test_the_chosen_provider_fits(views: list[ProviderView], requirement: Requirement) -> None:
    chosen = choose(views, requirement)
    fitting = {view.id for view in views if fits(view, requirement)}
    assert chosen in fitting if fitting else chosen is None


@dataclass(frozen=True)
class Job:
    id: int
    pricing_class: str = "standard"
    priority: int = 2
    submitted_at_ms: int = 0


def test_queue_order() -> None:
    ordered = [
        Job(9, pricing_class="priority", priority=3, submitted_at_ms=9),
        Job(8, priority=1, submitted_at_ms=8),
        Job(7, submitted_at_ms=1),
        Job(2, submitted_at_ms=2),
        Job(3, submitted_at_ms=2),
        Job(1, pricing_class="economy", priority=1),
    ]
    assert sorted(sorted(ordered, key=lambda job: job.id), key=queue_key) == ordered
