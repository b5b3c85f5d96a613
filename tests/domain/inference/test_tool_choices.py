"""A call that wants a tool called that is not there is refused: an engine would answer in vain, and unpaid."""

from typing import Any

import pytest

from dc1.domain.base.json_types import compact
from dc1.domain.errors import ApiError
from dc1.domain.inference.kinds import read_call
from dc1.domain.providers.model_abilities import EnginePath

FIND: Any = {"type": "function", "function": {"name": "find"}}
DRAW: Any = {"type": "custom", "custom": {"name": "draw"}}
LIST: Any = {"type": "function", "function": {"name": "list"}}


def read(**asked: Any) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **asked}
    read_call(EnginePath.CHAT, compact(body).encode(), 100_000)


def allowed(mode: str, *tools: Any) -> Any:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [*tools]}}


@pytest.mark.parametrize(
    "asked",
    [
        {"tool_choice": allowed("required")},
        {"tool_choice": allowed("required", FIND)},
        {"tools": [FIND], "tool_choice": allowed("required", LIST)},
        {"tools": [FIND], "tool_choice": allowed("required", {"function": {}})},
        {"tools": [FIND], "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [LIST]}},
        {"tool_choice": DRAW},
        {"tool_choice": {"type": "auto"}},
        {"tool_choice": {}, "tools": [{}]},
        {"function_call": {"type": "other", "name": "find"}},
        {"functions": [{"name": "find"}], "function_call": {"name": ["find"]}},
    ],
)
def test_a_choice_of_what_is_not_there(asked: Any) -> None:
    with pytest.raises(ApiError) as refusal:
        read(**asked)
    (fault,) = refusal.value.fields
    assert fault.field in asked
    assert fault.message.startswith(("must name one of ", "must not be required without "))


@pytest.mark.parametrize(
    "asked",
    [
        {"tools": [FIND, LIST], "tool_choice": allowed("required", LIST)},
        {"tools": [FIND], "tool_choice": allowed("auto")},
        {"tools": [DRAW], "tool_choice": allowed("required", DRAW)},
        {"tools": [DRAW], "tool_choice": DRAW},
        {"tools": [FIND], "tool_choice": "required"},
        {"tool_choice": "none"},
        {"tool_choice": None, "function_call": "auto"},
        {"functions": [{"name": "find"}], "function_call": {"name": "find"}},
    ],
)
def test_a_choice_of_what_is_there(asked: Any) -> None:
    read(**asked)
