"""An engine that fails call after call is given none for a while, then one at a time."""

from dc1.control.scheduling.engine_health import FAILURES, FIRST_PAUSE_MS, LONGEST_PAUSE_MS, WINDOW_MS, EngineHealth
from dc1.testing.clock import ManualClock

MODEL = "acme/Chat"
OUT = frozenset({1})


def taken_out(clock: ManualClock) -> EngineHealth:
    health = EngineHealth(clock, 300_000)
    for renter_id in range(1, FAILURES + 1):
        assert health.shunned(MODEL) == frozenset()
        health.failed(1, MODEL.upper(), renter_id)
    assert health.shunned(MODEL) == OUT
    return health


def test_three_failures_take_it_out_for_that_model_alone() -> None:
    assert taken_out(ManualClock(0)).shunned("acme/other") == frozenset()


def test_failures_that_are_long_past_do_not_count() -> None:
    clock = ManualClock(0)
    health = EngineHealth(clock, 300_000)
    for renter_id in range(1, 11):
        health.failed(1, MODEL, renter_id)
        clock.advance(WINDOW_MS / 1000 / (FAILURES - 1))
    assert health.shunned(MODEL) == frozenset()


def test_it_is_tried_by_one_call_after_a_pause_that_grows() -> None:
    clock = ManualClock(0)
    health = taken_out(clock)
    pause_ms = FIRST_PAUSE_MS
    for _ in range(8):
        clock.advance(pause_ms / 1000)
        assert health.shunned(MODEL) == frozenset()
        health.given(1, MODEL, 1)
        assert health.shunned(MODEL) == OUT
        health.failed(1, MODEL, 1)
        pause_ms = min(2 * pause_ms, LONGEST_PAUSE_MS)
        clock.advance(pause_ms / 1000 - 0.001)
        assert health.shunned(MODEL) == OUT
        clock.advance(0.001 - pause_ms / 1000)
    clock.advance(pause_ms / 1000)
    health.given(1, MODEL, 1)
    health.answered(1, MODEL, 1)
    assert health.shunned(MODEL) == frozenset()


def test_a_caller_who_leaves_lets_the_next_one_try() -> None:
    clock = ManualClock(0)
    health = taken_out(clock)
    clock.advance(FIRST_PAUSE_MS / 1000)
    health.given(1, MODEL, 1)
    health.left(1, MODEL, 1)
    assert health.shunned(MODEL) == frozenset()


def test_what_was_under_way_when_it_was_taken_out_makes_the_pause_no_longer() -> None:
    clock = ManualClock(0)
    health = taken_out(clock)
    for _ in range(60):
        health.failed(1, MODEL, 1)
    clock.advance(FIRST_PAUSE_MS / 1000)
    assert health.shunned(MODEL) == frozenset()


def test_what_fails_of_one_renter_keeps_the_engine_from_nobody_else() -> None:
    """Else three free calls that an engine cannot stand would take it from everybody."""
    health = EngineHealth(ManualClock(0), 300_000)
    for _ in range(60):
        health.failed(1, MODEL, 7)
    assert (health.shunned(MODEL), health.shunned(MODEL, 8), health.shunned(MODEL, 7)) == (
        frozenset(),
        frozenset(),
        OUT,
    )
    # An answer to somebody else says nothing of what that renter asks.
    health.answered(1, MODEL, 8)
    assert health.shunned(MODEL, 7) == OUT
    health.answered(1, MODEL, 7)
    assert health.shunned(MODEL, 7) == frozenset()


def test_however_often_one_renter_fails_the_others_failures_count() -> None:
    health = EngineHealth(ManualClock(0), 300_000)
    health.failed(1, MODEL, 8)
    for _ in range(60):
        health.failed(1, MODEL, 7)
    assert health.shunned(MODEL, 9) == OUT
