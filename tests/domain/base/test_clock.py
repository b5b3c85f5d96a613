"""Time: ISO text and UTC calendar boundaries."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.base.clock import (
    SystemClock,
    day_start_ms,
    iso,
    month_start_ms,
    next_day_start_ms,
    next_month_start_ms,
    parse_iso,
)
from dc1.testing.clock import ManualClock

NOON = 1_774_206_005_000


def test_iso_always_has_milliseconds() -> None:
    assert iso(NOON) == "2026-03-22T19:00:05.000Z"
    assert iso(NOON + 7) == "2026-03-22T19:00:05.007Z"
    assert iso(0) == "1970-01-01T00:00:00.000Z"


@given(st.integers(0, 4_102_444_800_000))
def test_iso_round_trips(ms: int) -> None:
    assert parse_iso(iso(ms)) == ms


def test_offsets_and_bare_times_are_read() -> None:
    assert parse_iso("2026-03-22T22:00:05+03:00") == NOON
    assert parse_iso("2026-03-22T19:00:05") == NOON


def test_other_text_is_no_time() -> None:
    with pytest.raises(ValueError, match="Invalid isoformat"):
        parse_iso("yesterday")


def test_calendar_boundaries() -> None:
    assert iso(day_start_ms(NOON)) == "2026-03-22T00:00:00.000Z"
    assert iso(next_day_start_ms(NOON)) == "2026-03-23T00:00:00.000Z"
    assert iso(month_start_ms(NOON)) == "2026-03-01T00:00:00.000Z"
    assert iso(next_month_start_ms(NOON)) == "2026-04-01T00:00:00.000Z"
    assert iso(next_month_start_ms(parse_iso("2026-12-31T23:59:59Z"))) == "2027-01-01T00:00:00.000Z"


def test_clocks() -> None:
    assert abs(SystemClock().now_ms() - time.time() * 1000) < 5000
    clock = ManualClock(NOON)
    clock.advance(59.5)
    assert clock.now_ms() == NOON + 59_500
