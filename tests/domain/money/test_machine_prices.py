"""Prices of machines: exact products of integers, rounded once."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.money.machine_prices import (
    DEFAULT_BOUNDS,
    GPU_FACTORS_PCT,
    UNIT_PRICE_BPS,
    factor_pct,
    hundredths,
    price_bps,
    price_ceiling_bps,
)
from dc1.domain.money.pricing import CLASS_MULTIPLIERS, quote, rate_per_minute, settle
from dc1.domain.providers.hardware import gpu_name

rates = st.integers(1, 10_000)
factors = st.integers(1, 10_000)
asks = st.integers(DEFAULT_BOUNDS.least_pct, DEFAULT_BOUNDS.most_pct)
classes = st.sampled_from(list(CLASS_MULTIPLIERS.values()))
counts = st.integers(1, 64)
minutes = st.one_of(st.floats(0.1, 1440), st.decimals("0.1", "1440", places=3))


@given(rate=rates, factor=factors, ask=asks, multiplier=classes, count=counts, duration=minutes)
def test_a_quote_is_the_exact_product_rounded_up_once(
    rate: int, factor: int, ask: int, multiplier: Decimal, count: int, duration: float | Decimal
) -> None:
    exact = Fraction(rate) * Fraction(factor, 100) * Fraction(ask, 100) * Fraction(multiplier) * count
    exact *= Fraction(Decimal(repr(duration)) if isinstance(duration, float) else duration)
    assert 0 <= quote(rate, duration, multiplier, price_bps(factor, ask) * count) - exact < 1


@given(rate=rates, held=asks, ran=asks, factor=factors, multiplier=classes, whole=st.integers(0, 1_440))
def test_no_machine_that_costs_at_most_the_hold_charges_more_than_was_held(
    rate: int, held: int, ran: int, factor: int, multiplier: Decimal, whole: int
) -> None:
    dearest, own = price_bps(factor, max(held, ran)), price_bps(factor, ran)
    hold = quote(rate, whole, multiplier, dearest)
    settled = settle(hold, rate, multiplier, 2500, whole * 60, own)
    assert settled.actual == quote(rate, whole, multiplier, own) <= hold
    assert settled.actual + settled.refund == hold


@given(most=st.floats(0.01, 100_000), rate=rates, multiplier=classes, count=counts)
def test_a_ceiling_is_the_dearest_price_below_the_limit(
    most: float, rate: int, multiplier: Decimal, count: int
) -> None:
    ceiling = price_ceiling_bps(most, rate, multiplier, count)

    def minute(each_bps: int) -> Fraction:
        return Fraction(rate * each_bps * count, UNIT_PRICE_BPS) * Fraction(multiplier)

    limit = Fraction(Decimal(repr(most)))
    assert minute(ceiling) <= limit or ceiling == 1
    assert minute(ceiling + 1) > limit


def test_what_costs_as_before_machines_had_prices() -> None:
    assert GPU_FACTORS_PCT["RTX 4090"] == factor_pct(GPU_FACTORS_PCT, None) == factor_pct(GPU_FACTORS_PCT, "GT 710")
    assert price_bps(100, 100) == UNIT_PRICE_BPS


def test_the_table_calls_models_as_placement_does() -> None:
    assert [gpu_name(name) for name in GPU_FACTORS_PCT] == list(GPU_FACTORS_PCT)


@pytest.mark.parametrize(("sent", "expected"), [(1.25, 125), (0.9, 90), (2, 200), (0.455, None), (0.29, 29)])
def test_factors_and_asks_have_two_decimals(sent: float, expected: int | None) -> None:
    assert hundredths(sent) == expected


def test_bounds_that_were_narrowed_hold_for_what_was_asked_before() -> None:
    assert [DEFAULT_BOUNDS.within(ask) for ask in (10, 50, 100, 200, 300)] == [50, 50, 100, 200, 200]


def test_a_shown_rate_has_the_parts_of_a_halala() -> None:
    assert rate_per_minute(15, Decimal("0.90"), price_bps(45, 105)) == 6.37875
