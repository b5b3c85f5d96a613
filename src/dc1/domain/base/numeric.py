"""Numbers as JSON carries them: plain or in a string, and exact at their shortest decimal form."""

import re
import sys
from decimal import Decimal
from typing import TypeAlias

from dc1.domain.base.json_types import MAX_EXACT_INTEGER, JsonValue

Number: TypeAlias = int | float | Decimal

_JSON_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,9})?")
_LARGEST = Decimal(sys.float_info.max)
_MAX_EXPONENT = 400


def exact(number: Number | str) -> Decimal:
    """Return a number at its shortest decimal form, so that 0.1 means one tenth.

    Raises:
        ValueError: text is not a JSON number, or the number is NaN, infinite or beyond any double.
    """
    if isinstance(number, str) and _JSON_NUMBER.fullmatch(number) is None:
        raise ValueError("not a number")
    # repr is the shortest decimal that reads back as the same double.
    value = Decimal(repr(number)) if isinstance(number, float) else Decimal(number)
    # An exponent of a billion would cost gigabytes to turn into an integer.
    if not value.is_finite() or abs(value.adjusted()) > _MAX_EXPONENT or abs(value) > _LARGEST:
        raise ValueError("not a finite number of reasonable size")
    return value


def as_number(value: JsonValue) -> Decimal | None:
    """Return the finite number that a JSON value holds, as a number or as a string, else None."""
    # To Python a boolean is an integer; in JSON it is no number.
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return exact(value)
    except ValueError:
        return None


def as_found(value: JsonValue) -> Number | None:
    """Return the finite number that a JSON value holds, a number as it is: nothing exact is calculated of it."""
    # Of a bool the type is another. By way of decimals the dozen figures of a beat took a sixth of its time.
    if type(value) is float or type(value) is int:
        return value if -sys.float_info.max <= value <= sys.float_info.max else None
    return as_number(value)


def as_integer(value: JsonValue) -> int | None:
    """Return the integer that a JSON value holds; `10.0` is one, `10.5` is none."""
    number = as_number(value)
    return int(number) if number is not None and number == number.to_integral_value() else None


def plain(number: Number) -> int | float:
    """Return a number as JSON prints it best: an integer where it is whole and exact."""
    whole = -MAX_EXACT_INTEGER < number < MAX_EXACT_INTEGER and number == int(number)
    return int(number) if whole else float(number)
