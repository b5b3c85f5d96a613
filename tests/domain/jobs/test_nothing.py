"""What counts as a result that holds nothing."""

import pytest

from dc1.domain.base.json_types import JsonValue
from dc1.domain.jobs.results import is_nothing


@pytest.mark.parametrize(
    ("result", "nothing"),
    [
        (None, True),
        ("", True),
        (" \n", True),
        ({}, True),
        ({"type": "text"}, True),
        ({"response": ""}, True),
        ({"type": "text", "response": " ", "model": "a/b"}, True),
        ("0", False),
        ({"n": 0}, False),
        ({"response": "", "tool_calls": [{"id": "1"}]}, False),
        ({"type": "image", "image_base64": "aGk="}, False),
        ({"output": "x"}, False),
    ],
)
def test_nothing(result: JsonValue, nothing: bool) -> None:
    assert is_nothing(result) is nothing
