"""Whose fault a failure is: what a daemon says, held against what was seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.faults import CONSEQUENCES, FAULTS, Fault, Seen, fault_of_cancel, fault_of_failure
from dc1.domain.jobs.states import Actor, ErrorCategory, exit_code_in

IDLE, WORKED, WORKED_TO_THE_END = Seen(False), Seen(True), Seen(True, reached_deadline=True)


def test_every_category_has_a_fault_and_every_fault_its_consequences() -> None:
    assert set(FAULTS) == set(ErrorCategory)
    assert {fault: (found.charged, found.counts) for fault, found in CONSEQUENCES.items()} == {
        Fault.RENTER: (True, False),
        Fault.PROVIDER: (False, True),
        Fault.MARKET: (False, False),
    }


@pytest.mark.parametrize(
    ("category", "exit_code", "seen", "expected"),
    [
        (ErrorCategory.EXECUTION, 1, WORKED, Fault.RENTER),
        (ErrorCategory.EXECUTION, 1, IDLE, Fault.PROVIDER),
        (ErrorCategory.EXECUTION, 0, WORKED, Fault.PROVIDER),
        (ErrorCategory.EXECUTION, None, WORKED, Fault.PROVIDER),
        (ErrorCategory.OOM, None, WORKED, Fault.RENTER),
        (ErrorCategory.OOM, 137, IDLE, Fault.PROVIDER),
        (ErrorCategory.TIMEOUT, None, WORKED_TO_THE_END, Fault.RENTER),
        (ErrorCategory.TIMEOUT, None, WORKED, Fault.PROVIDER),
        (ErrorCategory.TIMEOUT, None, Seen(False, reached_deadline=True), Fault.PROVIDER),
        (ErrorCategory.INVALID_PARAMS, None, IDLE, Fault.RENTER),
        (ErrorCategory.INVALID_RESULT, 0, WORKED, Fault.RENTER),
        (ErrorCategory.IMAGE_PULL, 1, WORKED, Fault.PROVIDER),
        (ErrorCategory.GPU_LOST, None, WORKED, Fault.PROVIDER),
        (ErrorCategory.ENGINE_BUSY, None, WORKED, Fault.MARKET),
        (ErrorCategory.QUEUE_TIMEOUT, None, WORKED, Fault.PROVIDER),
        (ErrorCategory.SERVER_STOP, None, WORKED, Fault.PROVIDER),
    ],
)
def test_a_daemons_word_is_held_against_what_was_seen(
    category: ErrorCategory, exit_code: int | None, seen: Seen, expected: Fault
) -> None:
    assert fault_of_failure(category, exit_code, Actor.PROVIDER, seen) is expected
    assert fault_of_failure(category, exit_code, Actor.ADMIN, seen) is Fault.MARKET


@given(st.sampled_from(ErrorCategory), st.none() | st.integers(-(2**31), 2**31 - 1), st.booleans())
def test_no_word_of_a_daemon_makes_an_idle_run_one_that_is_charged(
    category: ErrorCategory, exit_code: int | None, reached: bool
) -> None:
    """But for a refusal of parameters, which is paid nothing, as is an engine that is busy."""
    fault = fault_of_failure(category, exit_code, Actor.PROVIDER, Seen(False, reached))
    assert fault is Fault.PROVIDER or category in (ErrorCategory.INVALID_PARAMS, ErrorCategory.ENGINE_BUSY)


def test_who_cancels_is_whose_fault_it_is() -> None:
    assert (fault_of_cancel(Actor.RENTER), fault_of_cancel(Actor.ADMIN)) == (Fault.RENTER, Fault.MARKET)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Container exited with code 1", 1),
        ("exited with status 3: pull failed", 3),
        ("exit status 137", 137),
        ("exit_code=2", 2),
        ("exited with a non-zero status", None),
        ("the exit is at row 12", None),
        ("exited with code 99999999999999999999", None),
        ("pull failed", None),
    ],
)
def test_an_exit_code_is_read_in_words(message: str, expected: int | None) -> None:
    assert exit_code_in(message) == expected


def test_what_a_program_prints_makes_no_fault_of_the_providers() -> None:
    """Its last words end up in the daemon's message."""
    for said in (
        AttemptReport.read(completed=False, error="exited with status 1: image pull failed"),
        AttemptReport.read(completed=False, error="image pull failed", exit_code=1),
    ):
        assert (said.error_category, said.exit_code) == (ErrorCategory.EXECUTION, 1)
    assert AttemptReport.read(completed=False, error="x", category="queue_timeout").error_category == "execution"
