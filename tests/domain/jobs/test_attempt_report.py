import math

import pytest

from dc1.domain.errors import ApiError
from dc1.domain.jobs.attempt_report import AttemptReport


@pytest.mark.parametrize(
    ("said", "kept"), [(None, None), (95, 95), (0, 0), (-1.0, 0), (math.nan, None), (math.inf, None), (-math.inf, None)]
)
def test_gpu_seconds_that_are_not_finite_were_not_said_and_negative_ones_are_none(
    said: float | None, kept: float | None
) -> None:
    assert AttemptReport.read(completed=True, gpu_seconds=said).gpu_seconds == kept


@pytest.mark.parametrize(("said", "kept"), [(None, None), (0, 0), (380, 380), (2**32 - 1, 2**32 - 1), (-5, 0)])
def test_token_counts_are_never_negative(said: int | None, kept: int | None) -> None:
    report = AttemptReport.read(completed=True, prompt_tokens=said, completion_tokens=said)
    assert (report.prompt_tokens, report.completion_tokens) == (kept, kept)


@pytest.mark.parametrize("seconds", [-0.1, 180.1, math.nan, math.inf, -math.inf])
def test_a_duration_outside_of_what_the_job_may_take_is_refused(seconds: float) -> None:
    with pytest.raises(ApiError, match="between 0 and 180"):
        AttemptReport.read(completed=True, duration_seconds=seconds, most_seconds=180)


def test_a_failure_keeps_no_result_and_always_has_a_text_and_a_category() -> None:
    silent = AttemptReport.read(completed=False, result="half", error="", category="")
    assert (silent.result, silent.error, silent.error_category) == (None, "The run failed", "execution")
    told = AttemptReport.read(completed=False, error="CUDA out of memory")
    assert (told.error, told.error_category) == ("CUDA out of memory", "oom")
    assert AttemptReport.read(completed=False, category="timeout").error_category == "timeout"


def test_the_result_is_read_as_every_dialect_reads_it() -> None:
    assert AttemptReport.read(completed=True, result='log\nDC1_RESULT_JSON:{"n": 1}').result == {"n": 1}
