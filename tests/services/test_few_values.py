"""What counting the values of a request costs, when they are far too many."""

import time

import pytest
from google.protobuf.struct_pb2 import ListValue, Value

from dc1.domain.errors import ApiError
from dc1.services.api.values import require_few_values


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
