"""Clocks that are not the world's."""

import time

from dc1.testing.clock import ManualClock, SkewedClock


def test_a_clock_moved_by_hand_stands_still_until_it_is() -> None:
    clock = ManualClock(1_000)
    clock.advance(59.5)
    assert clock.now_ms() == clock.now_ms() == 60_500


def test_a_skewed_clock_goes_at_the_worlds_pace() -> None:
    clock = SkewedClock(-7)
    assert abs(clock.now_ms() - (time.time() - 7) * 1000) < 5000
