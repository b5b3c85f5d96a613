"""Numbers and free JSON."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.base.json_types import JsonValue, compact, is_oversized, with_integers
from dc1.domain.base.numeric import as_integer, as_number, exact, plain


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (10, Decimal(10)),
        ("10", Decimal(10)),
        (0.1, Decimal("0.1")),
        ("1e3", Decimal(1000)),
        ("-2.50", Decimal("-2.5")),
        (True, None),
        (None, None),
        ("", None),
        ("hot", None),
        ("1_000", None),
        ("NaN", None),
        (float("nan"), None),
        (float("inf"), None),
        ("1.7976931348623157e308", Decimal("1.7976931348623157e308")),
        ("1.8e308", None),
        ("-1e309", None),
        ("1e999999999", None),
        ("1e-999999999", None),
        ([1], None),
    ],
)
def test_numbers_and_numbers_in_strings(value: JsonValue, expected: Decimal | None) -> None:
    assert as_number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(10.0, 10), ("10.0", 10), (10.5, None), ("10", 10), (False, None), ("x", None)]
)
def test_integers(value: JsonValue, expected: int | None) -> None:
    assert as_integer(value) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_their_value(number: float) -> None:
    assert float(exact(number)) == number
    assert plain(exact(number)) == number


def test_whole_doubles_become_integers_at_every_level() -> None:
    restored = with_integers({"a": [4.0, 4.5, {"b": -0.0}], "c": "4.0", "d": True})
    assert compact(restored) == '{"a":[4,4.5,{"b":0}],"c":"4.0","d":true}'


def test_size_counts_bytes_of_utf8() -> None:
    assert not is_oversized("x" * (256 * 1024 - 2))
    assert is_oversized("x" * (256 * 1024 - 1))
    assert is_oversized("ب" * (128 * 1024))
