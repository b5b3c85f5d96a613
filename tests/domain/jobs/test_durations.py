"""How long a job may run: for what it prepaid, at most what it named, never beyond what the market allows."""

from dataclasses import replace
from typing import Any

import pytest

from dc1.domain.errors import ApiError
from dc1.domain.jobs.submission import SubmitBody, accept

BENCHMARK = SubmitBody(job_type="benchmark", duration_minutes=3)


@pytest.mark.parametrize(("minutes", "seconds"), [(0.1, 6), (0.101, 7), (10_080, 604_800)])
def test_a_job_that_names_no_deadline_runs_for_what_it_prepaid(minutes: float, seconds: int) -> None:
    assert accept(replace(BENCHMARK, duration_minutes=minutes), ()).max_duration_seconds == seconds
    named = replace(BENCHMARK, duration_minutes=minutes, max_duration_seconds=60)
    assert accept(named, ()).max_duration_seconds == 60


@pytest.mark.parametrize(
    ("sent", "fields"),
    [
        ({"duration_minutes": 2.0, "max_duration_seconds": 120}, []),
        ({"duration_minutes": 2.01}, ["duration_minutes"]),
        ({"duration_minutes": 3, "max_duration_seconds": 121}, ["duration_minutes", "max_duration_seconds"]),
    ],
)
def test_no_job_is_longer_than_the_market_lets_them_be(sent: dict[str, Any], fields: list[str]) -> None:
    body = replace(BENCHMARK, **sent)
    if not fields:
        assert accept(body, (), most_seconds=120).max_duration_seconds == 120
        return
    with pytest.raises(ApiError) as refused:
        accept(body, (), most_seconds=120)
    assert [violation.field for violation in refused.value.fields] == fields
