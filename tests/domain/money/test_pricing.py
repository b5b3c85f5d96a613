"""Quotes and settlements: the worked numbers of the contract, and what must hold for all numbers."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.defaults import PLATFORM_FEE_BPS
from dc1.domain.money.pricing import (
    CLASS_MULTIPLIERS,
    MICRO_PER_HALALA,
    PricingClass,
    Settlement,
    elapsed_seconds,
    halala_from_sar,
    halala_to_sar,
    halala_to_usd,
    quote,
    sar_text,
    settle,
    used_seconds,
)
from dc1.domain.money.token_prices import TokenPrices

rates = st.integers(1, 10_000)
minutes = st.one_of(st.floats(0.1, 1440), st.decimals("0.1", "1440", places=3), st.integers(1, 1440))
multipliers = st.sampled_from(list(CLASS_MULTIPLIERS.values()))
fees = st.integers(0, 10_000)
seconds = st.one_of(st.floats(0, 100_000), st.integers(0, 100_000))


@pytest.mark.parametrize(
    ("rate", "duration", "standard", "priority", "economy"),
    [
        (15, 3, 45, 54, 41),
        (15, 0.1, 2, 2, 2),
        (15, 1440, 21600, 25920, 19440),
        (20, 60, 1200, 1440, 1080),
        (25, 5, 125, 150, 113),
        (20, 10, 200, 240, 180),
        (20, 1, 20, 24, 18),
        (15, 2.5, 38, 45, 34),
        (10, 0.1, 1, 2, 1),
        (10, 7, 70, 84, 63),
    ],
)
def test_worked_quotes(rate: int, duration: float, standard: int, priority: int, economy: int) -> None:
    quotes = [quote(rate, duration, CLASS_MULTIPLIERS[name]) for name in PricingClass]
    assert quotes == [priority, standard, economy]


@pytest.mark.parametrize(
    ("rate", "pricing_class", "duration", "used", "quoted", "actual", "platform", "provider", "refund"),
    [
        (15, "standard", 3, 95, 45, 24, 6, 18, 21),
        (15, "priority", 3, 95, 54, 29, 7, 22, 25),
        (15, "economy", 3, 95, 41, 22, 5, 17, 19),
        (15, "standard", 3, 180, 45, 45, 11, 34, 0),
        (15, "standard", 3, 600, 45, 45, 11, 34, 0),
        (15, "economy", 3, 180, 41, 41, 10, 31, 0),
        (20, "standard", 60, 1801, 1200, 601, 150, 451, 599),
        (25, "priority", 5, 1, 150, 1, 0, 1, 149),
        (20, "standard", 10, 61, 200, 21, 5, 16, 179),
        (15, "standard", 3, 0, 45, 0, 0, 0, 45),
    ],
)
def test_worked_settlements(
    rate: int,
    pricing_class: str,
    duration: int,
    used: int,
    quoted: int,
    actual: int,
    platform: int,
    provider: int,
    refund: int,
) -> None:
    multiplier = CLASS_MULTIPLIERS[PricingClass(pricing_class)]
    assert quote(rate, duration, multiplier) == quoted
    settled = settle(quoted, rate, multiplier, PLATFORM_FEE_BPS, used)
    assert settled == Settlement(actual=actual, platform=platform, provider=provider, refund=refund)


def test_a_float_counts_at_its_shortest_decimal_form() -> None:
    assert quote(10, 0.1 + 0.2, Decimal(1)) == 4, "0.30000000000000004 minutes are more than three tenths"
    assert quote(10, 0.3, Decimal(1)) == 3
    assert quote(15, 0.6, Decimal("1.00")) == 9


@given(rates, minutes, multipliers, fees, seconds)
def test_the_hold_is_split_without_remainder(
    rate: int, duration: float | Decimal, multiplier: Decimal, fee: int, used: float
) -> None:
    quoted = quote(rate, duration, multiplier)
    settled = settle(quoted, rate, multiplier, fee, used)
    assert settled.provider + settled.platform == settled.actual
    assert settled.actual + settled.refund == quoted
    assert min(settled.actual, settled.platform, settled.provider, settled.refund) >= 0


@given(rates, minutes, multipliers, fees, seconds, seconds)
def test_more_seconds_never_cost_less(
    rate: int, duration: float | Decimal, multiplier: Decimal, fee: int, one: float, other: float
) -> None:
    quoted = quote(rate, duration, multiplier)
    shorter = settle(quoted, rate, multiplier, fee, min(one, other))
    longer = settle(quoted, rate, multiplier, fee, max(one, other))
    assert shorter.actual <= longer.actual
    assert shorter.platform <= longer.platform


@given(rates, minutes, minutes, multipliers)
def test_more_minutes_never_cost_less(
    rate: int, one: float | Decimal, other: float | Decimal, multiplier: Decimal
) -> None:
    assert quote(rate, min(one, other), multiplier) <= quote(rate, max(one, other), multiplier)


@given(rates, st.integers(1, 1440), multipliers, fees)
def test_using_all_prepaid_time_costs_the_quote(rate: int, duration: int, multiplier: Decimal, fee: int) -> None:
    quoted = quote(rate, duration, multiplier)
    assert settle(quoted, rate, multiplier, fee, duration * 60).actual == quoted


def test_a_failure_costs_nothing() -> None:
    assert Settlement.full_refund(45) == Settlement(actual=0, platform=0, provider=0, refund=45)


@pytest.mark.parametrize(("elapsed_ms", "expected"), [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_500, 60), (-5000, 1)])
def test_elapsed_is_rounded_up_and_at_least_a_second(elapsed_ms: int, expected: int) -> None:
    assert elapsed_seconds(1_774_206_010_000, 1_774_206_010_000 + elapsed_ms) == expected


def test_a_report_lowers_the_time_but_never_raises_it() -> None:
    assert used_seconds(60) == 60
    assert used_seconds(60, duration_seconds=95) == 60
    assert used_seconds(600, gpu_seconds=12.5, duration_seconds=95) == Decimal("12.5")
    assert used_seconds(60, gpu_seconds=0) == 0
    assert used_seconds(60, gpu_seconds=-1) == 0


def charge(tokens: int, price: int) -> int:
    """What tokens of one price cost, where the hold is large enough."""
    return Settlement.of_tokens(10**12, tokens * price, 0).actual


def test_token_prices() -> None:
    assert charge(500, 19) == 1
    assert charge(0, 19) == 0
    assert charge(1_000_001, 19) == 20
    assert TokenPrices.of(19).hold(1_000_000, 512) == 20
    apart = TokenPrices.of(100, 300, 10)
    assert apart.hold(1_000_000, 1_000_000) == 400
    assert apart.price_micro(1000, 100, cached=900) == 100 * 100 + 900 * 10 + 100 * 300
    assert TokenPrices.of(100) == TokenPrices(100, 100, 100)


@given(st.tuples(*[st.integers(0, 10**6)] * 3), st.integers(0, 10**6), st.integers(1, 8192), st.data())
def test_no_call_costs_more_than_was_held(
    halala: tuple[int, int, int], size: int, max_tokens: int, data: st.DataObject
) -> None:
    prompt_halala, completion_halala, cached_halala = halala
    prices = TokenPrices(prompt_halala, completion_halala, min(cached_halala, prompt_halala))
    prompt, made = data.draw(st.integers(0, size)), data.draw(st.integers(0, max_tokens))
    cached = data.draw(st.integers(0, prompt))
    assert prices.price_micro(prompt, made, cached) <= prices.hold(size, max_tokens) * MICRO_PER_HALALA


@given(st.integers(0, 10**6), st.integers(1, 8192), st.integers(1, 10_000), st.integers(0, 10**6), fees)
def test_a_call_by_token_is_split_without_remainder(
    size: int, max_tokens: int, price: int, total: int, fee: int
) -> None:
    held = TokenPrices.of(price).hold(size, max_tokens)
    settled = Settlement.of_tokens(held, total * price, fee)
    assert settled.provider + settled.platform + settled.refund == held


def test_amounts_in_sar_and_usd() -> None:
    assert halala_to_sar(2235) == 22.35
    assert halala_to_usd(100, Decimal("3.75")) == 0.266667
    assert [sar_text(amount) for amount in (0, 5, 24, 1000, -150)] == ["0.00", "0.05", "0.24", "10.00", "-1.50"]


def test_sar_is_rounded_half_up_to_the_halala() -> None:
    assert [halala_from_sar(sar) for sar in (12.345, 12.344, 0.01, 1000, 0.005)] == [1235, 1234, 1, 100_000, 1]


@given(st.integers(0, 2_000_000_000))
def test_sar_round_trips(halala: int) -> None:
    assert halala_from_sar(halala_to_sar(halala)) == halala
    assert halala_from_sar(Decimal(sar_text(halala))) == halala


def carry(carried: int, added: int) -> int:
    """What an account carries after another remainder, as the database adds it up."""
    return (carried + added) % MICRO_PER_HALALA


@given(st.lists(st.integers(0, 500), min_size=1, max_size=50), fees)
def test_carried_remainders_make_the_platforms_share_exact_over_many_settlements(charges: list[int], fee: int) -> None:
    carried, settled = 0, []
    for charge in charges:
        alone = Settlement.split(charge, charge, fee)
        settled.append(alone.with_share_carried(carried))
        carried += settled[-1].ahead_micro
    assert settled[0] == Settlement.split(charges[0], charges[0], fee)
    assert all(one.platform + one.provider == one.actual and one.provider >= 0 for one in settled)
    assert sum(one.platform for one in settled) == sum(charges) * fee // 10_000
    assert all(one.advance == 0 for one in settled), "what is paid by time is paid by its own charge"
    assert carried == sum(charges) * fee % 10_000 * 100


@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 200_000)), min_size=1, max_size=50),
    st.integers(1, 2_000_000),
    fees,
)
def test_carried_remainders_make_the_price_of_calls_exact_over_many(
    calls: list[tuple[int, int]], price: int, fee: int
) -> None:
    carried, settled = 0, []
    for tokens, more in calls:
        held = TokenPrices.of(price).hold(tokens + more, 1)
        alone = Settlement.of_tokens(held, tokens * price, fee)
        carried = carry(carried, alone.price_micro)
        settled.append(alone.with_price_carried(carried, fee))
        assert settled[-1].actual + settled[-1].refund == held
        assert settled[-1].platform + settled[-1].provider == settled[-1].actual >= 0
    assert settled[0].actual == charge(calls[0][0], price)
    assert sum(one.actual for one in settled) == charge(sum(tokens for tokens, _ in calls), price)
    assert carried == sum(one.price_micro for one in settled)


def test_a_call_is_charged_what_is_held_and_carries_nothing_beyond() -> None:
    settled = Settlement.of_tokens(1, 10**6 * 19, 2500)
    assert settled == Settlement(actual=1, platform=0, provider=1, refund=0)
    assert (settled.price_micro, settled.share_micro) == (0, 750_000)


calls = st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 3_000_000), st.sampled_from([0, 1, 2500, 9999]))
"""Who calls, whom, for how many millionths, and at which share of the platform."""


@given(st.lists(calls, min_size=1, max_size=80))
def test_whoever_chooses_the_calls_each_provider_gets_its_exact_share(made: list[tuple[int, int, int, int]]) -> None:
    """A renter that owns a provider too chooses which of its calls makes the halala that is charged."""
    paid_ahead, ahead, exact, income = Counter[int](), Counter[int](), Counter[int](), Counter[int]()
    platform = fees = 0
    for renter, provider, price_micro, bps in made:
        alone = Settlement.of_tokens(10, price_micro, bps)
        paid_ahead[renter] = carry(paid_ahead[renter], alone.price_micro)
        settled = alone.with_price_carried(paid_ahead[renter], bps).with_share_carried(ahead[provider])
        is_first = ahead[provider] == 0
        ahead[provider] += settled.ahead_micro
        exact[provider] += settled.share_micro
        income[provider] += settled.provider + settled.advance
        platform += settled.platform - settled.advance
        fees += price_micro - settled.share_micro
        assert min(settled.provider, settled.platform, settled.advance, settled.refund) >= 0
        assert settled.provider + settled.platform == settled.actual
        beyond = income[provider] * MICRO_PER_HALALA - exact[provider]
        assert beyond == ahead[provider] > -MICRO_PER_HALALA
        assert beyond < MICRO_PER_HALALA or settled.ahead_micro <= 0 or is_first
        assert beyond < 2 * MICRO_PER_HALALA, "what the first settlement rounds, twice"
    # Whatever is made of it, the market is out of pocket by what its providers are ahead, at most.
    assert platform * MICRO_PER_HALALA == fees + sum(paid_ahead.values()) - sum(ahead.values())


def test_a_call_that_is_charged_nothing_is_owed_and_paid_when_it_makes_a_halala() -> None:
    call = Settlement.of_tokens(10, 800_000, 2500).with_price_carried(0, 2500)
    assert (call.actual, call.share_micro) == (0, 600_000)
    assert call.with_share_carried(0) == Settlement(0, 0, 0, 10)
    assert call.with_share_carried(-600_000) == Settlement(0, 0, 0, 10, advance=1)
    assert call.with_share_carried(-600_000).ahead_micro == 400_000
