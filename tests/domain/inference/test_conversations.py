"""What was said before may be said again as it came, whichever turn of the API it is of."""

from typing import Any

import pytest

from dc1.domain.base.json_types import compact
from dc1.domain.errors import ApiError
from dc1.domain.inference.kinds import read_call
from dc1.domain.providers.model_abilities import EnginePath


def read(message: Any) -> None:
    body: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi"}, message]}
    read_call(EnginePath.CHAT, compact(body).encode(), 100_000)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": {"name": "f"}}]},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "assistant", "content": None, "refusal": "No"},
        {"role": "assistant", "audio": {"id": "a"}},
        {"role": "assistant", "content": None},
        {"role": "function", "name": "f", "content": "7"},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "7"}]},
    ],
)
def test_an_answer_and_what_came_of_it_may_be_sent_back(message: Any) -> None:
    read(message)


@pytest.mark.parametrize("role", ["user", "system", "developer", "tool", "function"])
def test_everybody_else_says_something(role: str) -> None:
    with pytest.raises(ApiError):
        read({"role": role, "content": None})
