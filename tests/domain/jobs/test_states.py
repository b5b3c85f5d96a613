"""Job states, deadlines and ids."""

import itertools
import re
import sys
from decimal import Decimal
from types import FrameType
from typing import Any

import pytest

from dc1.domain.jobs.states import (
    ALLOWED,
    JOB_TYPES,
    OPEN,
    TERMINAL,
    Actor,
    ErrorCategory,
    JobStatus,
    Phase,
    can_move,
    error_category,
    new_job_id,
    run_deadline_seconds,
    workspace_volume_name,
)


def test_documented_orders() -> None:
    assert ", ".join(JOB_TYPES) == (
        "image_generation, llm-inference, llm_inference, rendering, training, benchmark, custom_container, "
        "vllm_serve, rag-pipeline"
    )
    assert ", ".join(Phase) == ("pulling, downloading_model, installing_deps, loading_model, generating, formatting")


def test_terminal_states_absorb() -> None:
    assert {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED} == TERMINAL
    for current, target, actor in itertools.product(TERMINAL, JobStatus, Actor):
        assert not can_move(current, target, actor)


def test_every_open_state_can_be_left_for_a_terminal_one() -> None:
    for status in OPEN:
        assert can_move(status, JobStatus.CANCELLED, Actor.RENTER)
        assert can_move(status, JobStatus.FAILED, Actor.SERVER)


def test_who_may_move_a_job() -> None:
    assert can_move(None, JobStatus.QUEUED, Actor.RENTER)
    assert not can_move(None, JobStatus.RUNNING, Actor.ADMIN)
    assert can_move(JobStatus.QUEUED, JobStatus.RUNNING, Actor.PROVIDER)
    assert not can_move(JobStatus.QUEUED, JobStatus.COMPLETED, Actor.PROVIDER)
    assert not can_move(JobStatus.RUNNING, JobStatus.PENDING, Actor.SCHEDULER)
    assert not can_move(JobStatus.RUNNING, JobStatus.CANCELLED, Actor.PROVIDER)
    assert [current for current in JobStatus if can_move(current, JobStatus.RUNNING, Actor.PROVIDER)] == [
        JobStatus.QUEUED,
        JobStatus.PENDING,
    ]
    assert not any(can_move(current, JobStatus.PENDING, Actor.RENTER) for current in JobStatus)
    assert all(movers for movers in ALLOWED.values())


@pytest.mark.parametrize(
    ("maximum", "minutes", "expected"),
    [
        (1800, "3", 180),
        (60, "3", 60),
        (1800, "0.1", 6),
        (1800, "0.101", 7),
        (3600, "1440", 3600),
        (1800, "0.001", 1),
        (512, None, 512),
    ],
)
def test_run_deadline(maximum: int, minutes: str | None, expected: int) -> None:
    assert run_deadline_seconds(maximum, None if minutes is None else Decimal(minutes)) == expected


@pytest.mark.parametrize(
    ("reported", "message", "expected"),
    [
        ("timeout", "CUDA out of memory", ErrorCategory.TIMEOUT),
        (None, "CUDA out of memory", ErrorCategory.OOM),
        (None, "pull timeout", ErrorCategory.IMAGE_PULL),
        ("gremlins", "segmentation fault", ErrorCategory.EXECUTION),
    ],
)
def test_error_category(reported: str | None, message: str, expected: ErrorCategory) -> None:
    assert error_category(reported, message) is expected


def test_the_system_is_asked_for_many_ids_at_once() -> None:
    """Each time that it is, the event loop lets another thread go first, for as long as that likes."""
    asked = 0

    def count(_frame: FrameType, event: str, function: Any) -> None:
        nonlocal asked
        asked += event == "c_call" and function.__name__ == "urandom"

    sys.setprofile(count)
    try:
        for _ in range(300):
            new_job_id(1_774_206_010_000)
    finally:
        sys.setprofile(None)
    assert 1 <= asked <= 2


def test_public_ids() -> None:
    made = {new_job_id(1_774_206_010_000) for _ in range(300)}
    assert len(made) == 300
    assert all(re.fullmatch(r"job-1774206010000-[a-z0-9]{6}", job_id) for job_id in made)
    assert new_job_id(5, prefix="test").startswith("test-5-")
    assert workspace_volume_name("job-5-abcdef") == "dcp-job-job-5-abcdef"
