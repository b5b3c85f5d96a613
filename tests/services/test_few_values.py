"""What counting the values of a request costs, when they are far too many, and what stays of those that come often."""

import time

import pytest
from google.protobuf.struct_pb2 import ListValue, Value

from dc1.domain.errors import ApiError
from dc1.services.api import values
from dc1.services.api.values import from_value, require_few_values


def test_far_too_many_values_are_refused_without_looking_at_one() -> None:
    one = ListValue(values=[Value(number_value=1)]).SerializeToString()
    numbers = Value(list_value=ListValue.FromString(one * 1_000_000))
    started = time.process_time()
    numbers.ByteSize()
    asking_its_size = time.process_time() - started

    started = time.process_time()
    with pytest.raises(ApiError):
        require_few_values(numbers, 200_000)
    taken = time.process_time() - started

    # Looking at as many as are allowed took three times that and more, while nobody else was answered.
    assert taken < 2 * asking_its_size


def test_as_many_as_are_allowed_pass() -> None:
    require_few_values(Value(list_value=ListValue(values=[Value(number_value=1)] * 1_000)), 1_000)
    with pytest.raises(ApiError):
        require_few_values(Value(list_value=ListValue(values=[Value(number_value=1)] * 1_001)), 1_000)


def test_names_that_many_say_are_kept_once() -> None:
    """Ten thousand machines report the same twenty names, with each beat."""
    first, second = Value(), Value()
    for value in (first, second):
        value.struct_value.update({"gpu_name": "L40", "all_gpus": [{"temp_c": 61}]})
    kept, again = (from_value(Value.FromString(value.SerializeToString())) for value in (first, second))
    assert isinstance(kept, dict)
    assert isinstance(again, dict)
    assert [id(name) for name in sorted(kept)] == [id(name) for name in sorted(again)]


def test_names_that_anybody_makes_up_are_forgotten() -> None:
    """Pythons from 3.12.0 to 3.12.5 never forget a name that was interned, and a request may have a megabyte of it."""
    for number in range(2_000):
        value = Value()
        value.struct_value.update({f"made_up_{number}": 1, "x" * 1_000 + str(number): 1})
        from_value(value)
    kept = values._known.cache_info()
    assert kept.currsize <= 1_000
    misses = kept.misses
    value = Value()
    value.struct_value.update({"y" * 65: 1})
    assert from_value(value) == {"y" * 65: 1}
    assert values._known.cache_info().misses == misses, "a long one is not kept at all"
