"""How an answer is held against the JSON shape that is documented: each key, with its type."""

import re
from collections.abc import Callable
from typing import Any, TypeAlias

Check: TypeAlias = Callable[[Any], bool]
Shape: TypeAlias = "Check | dict[str, Shape] | list[Shape]"

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def integer(value: Any) -> bool:
    """An integer without a fraction."""
    return isinstance(value, int) and not isinstance(value, bool)


def number(value: Any) -> bool:
    return integer(value) or isinstance(value, float)


def text(value: Any) -> bool:
    return isinstance(value, str)


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def time(value: Any) -> bool:
    """ISO-8601 UTC with milliseconds."""
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


def free_object(value: Any) -> bool:
    return isinstance(value, dict)


def anything(value: Any) -> bool:
    return True


def nothing(value: Any) -> bool:
    return value is None


def or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


def differences(value: Any, shape: Shape, path: str = "$") -> list[str]:
    """What in `value` is not as in `shape`; further keys are allowed. A list's shape is that of each entry."""
    if callable(shape):
        return [] if shape(value) else [f"{path} is {value!r}, not {shape.__name__}"]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{path} is {value!r}, not a list"]
        return [line for index, entry in enumerate(value) for line in differences(entry, shape[0], f"{path}[{index}]")]
    if not isinstance(value, dict):
        return [f"{path} is {value!r}, not an object"]
    missing = [f"{path}.{key} is missing" for key in shape if key not in value]
    return missing + [
        line for key, part in shape.items() if key in value for line in differences(value[key], part, f"{path}.{key}")
    ]


def fits(value: Any, shape: Shape) -> bool:
    """True, or an AssertionError that names every difference."""
    found = differences(value, shape)
    assert not found, "\n".join(found)
    return True
