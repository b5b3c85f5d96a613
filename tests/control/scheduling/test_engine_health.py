"""An engine that fails call after call is given none for a while, then one at a time."""

from dc1.control.scheduling.engine_health import FAILURES, FIRST_PAUSE_MS, LONGEST_PAUSE_MS, WINDOW_MS, EngineHealth
from dc1.testing.clock import ManualClock

MODEL = "acme/Chat"
OUT = frozenset({1})


def taken_out(clock: ManualClock) -> EngineHealth:
    health = EngineHealth(clock, 300_000)
    for _ in range(FAILURES):
        assert health.shunned(MODEL) == frozenset()
        health.failed(1, MODEL.upper())
    assert health.shunned(MODEL) == OUT
    return health


def test_three_failures_take_it_out_for_that_model_alone() -> None:
    assert taken_out(ManualClock(0)).shunned("acme/other") == frozenset()


def test_failures_that_are_long_past_do_not_count() -> None:
    clock = ManualClock(0)
    health = EngineHealth(clock, 300_000)
    for _ in range(10):
        health.failed(1, MODEL)
        clock.advance(WINDOW_MS / 1000 / (FAILURES - 1))
    assert health.shunned(MODEL) == frozenset()


def test_it_is_tried_by_one_call_after_a_pause_that_grows() -> None:
    clock = ManualClock(0)
    health = taken_out(clock)
    pause_ms = FIRST_PAUSE_MS
    for _ in range(8):
        clock.advance(pause_ms / 1000)
        assert health.shunned(MODEL) == frozenset()
        health.given(1, MODEL)
        assert health.shunned(MODEL) == OUT
        health.failed(1, MODEL)
        pause_ms = min(2 * pause_ms, LONGEST_PAUSE_MS)
        clock.advance(pause_ms / 1000 - 0.001)
        assert health.shunned(MODEL) == OUT
        clock.advance(0.001 - pause_ms / 1000)
    clock.advance(pause_ms / 1000)
    health.given(1, MODEL)
    health.answered(1, MODEL)
    assert health.shunned(MODEL) == frozenset()


def test_a_caller_who_leaves_lets_the_next_one_try() -> None:
    clock = ManualClock(0)
    health = taken_out(clock)
    clock.advance(FIRST_PAUSE_MS / 1000)
    health.given(1, MODEL)
    health.left(1, MODEL)
    assert health.shunned(MODEL) == frozenset()


def test_what_was_under_way_when_it_was_taken_out_makes_the_pause_no_longer() -> None:
    clock = ManualClock(0)
    health = taken_out(clock)
    for _ in range(60):
        health.failed(1, MODEL)
    clock.advance(FIRST_PAUSE_MS / 1000)
    assert health.shunned(MODEL) == frozenset()
