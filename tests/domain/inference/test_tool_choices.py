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
        {"tool_choice": "required", "tools": []},
        {"tool_choice": "required", "tools": [{}]},
        {"tool_choice": "required", "tools": [{"type": "function"}, {"type": "function", "function": {}}]},
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


def native(path: EnginePath, **asked: Any) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "input": "Hi", "max_tokens": 9, **asked}
    read_call(path, compact(body).encode(), 100_000)


SEARCH: Any = {"type": "web_search"}
FLAT: Any = {"type": "function", "name": "find"}


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (EnginePath.MESSAGES, {"tool_choice": {"type": "any"}}),
        (EnginePath.MESSAGES, {"tool_choice": {"type": "any"}, "tools": [{}]}),
        (EnginePath.MESSAGES, {"tool_choice": {"type": "tool", "name": "list"}, "tools": [{"name": "find"}]}),
        (EnginePath.RESPONSES, {"tool_choice": "required", "tools": []}),
        (EnginePath.RESPONSES, {"tool_choice": {"type": "function", "name": "list"}, "tools": [FLAT, SEARCH]}),
        (EnginePath.RESPONSES, {"tool_choice": SEARCH}),
    ],
)
def test_a_choice_in_an_apis_own_words_of_what_is_not_there(path: EnginePath, asked: Any) -> None:
    with pytest.raises(ApiError) as refusal:
        native(path, **asked)
    assert [fault.field for fault in refusal.value.fields] == ["tool_choice"]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (EnginePath.MESSAGES, {"tool_choice": {"type": "any"}, "tools": [{"name": "find"}]}),
        (EnginePath.MESSAGES, {"tool_choice": {"type": "tool", "name": "find"}, "tools": [{"name": "find"}]}),
        (EnginePath.MESSAGES, {"tool_choice": {"type": "auto"}}),
        (EnginePath.MESSAGES, {"tool_choice": {"type": "none"}}),
        (EnginePath.RESPONSES, {"tool_choice": "required", "tools": [SEARCH]}),
        (EnginePath.RESPONSES, {"tool_choice": SEARCH, "tools": [SEARCH]}),
        (
            EnginePath.RESPONSES,
            {"tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [SEARCH]}, "tools": [FLAT, SEARCH]},
        ),
    ],
)
def test_a_choice_in_an_apis_own_words_of_what_is_there(path: EnginePath, asked: Any) -> None:
    native(path, **asked)
