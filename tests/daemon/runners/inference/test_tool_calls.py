"""Calls of tools are put together of their pieces at no cost to others, whatever an engine sends."""

import copy
import json
from typing import Any

import pytest

from dc1.daemon.runners.base import EngineCall, RunFailed
from dc1.daemon.runners.inference.event_stream import Event
from dc1.daemon.runners.inference.relays.relay import EventRelay
from dc1.daemon.runners.inference.tool_calls import ToolCalls, mend_whole_calls


def piece(**said: Any) -> dict[str, Any]:
    return {"function": {"arguments": said.pop("arguments", "")}, **said}


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(index=number) for number in range(3_000)],
        [piece(id=f"c{number}") for number in range(3_000)],
        [piece(index=0, arguments="x")] * 50_000,
    ],
    ids=["by index", "by id", "of one call"],
)
def test_no_answer_calls_more_tools_than_it_can_have_tokens(pieces: list[Any]) -> None:
    """Looked for among all before it, each of a million would hold everybody up for an hour."""

    def put_together() -> None:
        calls = ToolCalls()
        for start in range(0, len(pieces), 500):
            calls.add(pieces[start : start + 500])

    with pytest.raises(RunFailed, match="more tools"):
        put_together()


def test_an_answer_in_one_piece_calls_no_more_tools_either() -> None:
    with pytest.raises(RunFailed, match="more tools"):
        mend_whole_calls({"tool_calls": [{} for _ in range(3_000)]})


def test_as_many_as_it_can_have_are_told_apart() -> None:
    calls = ToolCalls()
    for number in range(1_000):
        assert calls.add([piece(index=0, id=f"c{number}", arguments="{")]) == [number]
        assert calls.add([piece(index=0, arguments="}")]) == [number]
    assert {call["function"]["arguments"] for call in calls.whole()} == {"{}"}  # type: ignore[index,call-overload]


def test_every_call_has_an_index_of_its_own_that_clients_can_count_to() -> None:
    calls = ToolCalls()
    said = [(1, "a"), (1, "b"), (10**30, "c"), (-1, "d"), (2, "e"), (0, "f")]
    found = [calls.add([piece(index=index, id=call)])[0] for index, call in said]
    assert len({*found}) == len(said)
    assert min(found) == 0
    assert max(found) < 10
    assert calls.add([piece(index=10**30, arguments="{}")]) == [found[2]]


def test_arguments_of_any_length_are_joined_once() -> None:
    calls = ToolCalls()
    for _ in range(8_192):
        calls.add([{"function": {"name": "f", "arguments": "x" * 100}}])
    assert sum(len(str(call["function"])) for call in calls.whole()) > 8_192 * 100


@pytest.mark.parametrize(("wanted", "told"), [(1, [0]), (2, [0, 1])])
async def test_answers_that_nobody_asked_for_are_left_out(wanted: int, told: list[int]) -> None:
    """An engine numbers as many as it likes; their caller would pay for all of them."""
    said: list[Any] = []

    async def send(event: str, _text: str, _is_last: bool) -> None:
        said.append(json.loads(event))

    body = json.dumps({"messages": [], "stream": True, "n": wanted})
    relay = EventRelay(EngineCall("/v1/chat/completions", body, 50), "m", send)
    value: dict[str, Any] = {"choices": [{"index": number, "delta": {"content": "x"}} for number in range(-1, 300)]}
    if wanted == 1:
        # Whichever comes first, whatever its number.
        value["choices"] = value["choices"][2:]
    await relay.take(Event("{}", value, is_whole=False))
    await relay.take(Event("{}", {"choices": [{"index": 200, "delta": {"content": "x"}}]}, is_whole=False))
    assert [[choice["index"] for choice in each["choices"]] for each in said] == [told]
    # What the engine counts are all of them.
    for choices in ([], [{"index": 0, "delta": {}, "finish_reason": "stop"}]):
        counted = {"choices": choices, "usage": {"prompt_tokens": 7, "completion_tokens": 900}}
        await relay.take(Event(json.dumps(counted), counted, is_whole=False))
        assert "900" not in json.dumps(said[-1])
    completion = relay.answer.completion("")
    assert (completion.prompt_tokens, completion.completion_tokens) == (7, len(told))


def test_many_calls_in_one_chunk_are_too_many_as_well() -> None:
    with pytest.raises(RunFailed, match="more tools"):
        ToolCalls().add([piece(index=number) for number in range(3_000)])


CALLED: Any = {"index": 0, "id": "c", "function": {"name": "find"}}
ENDED: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": "tool_calls"}
USAGE: dict[str, Any] = {"prompt_tokens": 1, "completion_tokens": 2}


@pytest.mark.parametrize(
    ("late", "arguments"), [([], "{}"), (['{"q":', "1}"], '{"q":1}'), (["", '{"q":1}'], '{"q":1}'), ([" "], " {}")]
)
@pytest.mark.parametrize("has_usage", [True, False])
async def test_arguments_behind_the_reason_of_an_end_are_told_before_it(
    late: list[str], arguments: str, *, has_usage: bool
) -> None:
    told: list[Any] = []

    async def send(event: str, _text: str, _is_last: bool) -> None:
        told.extend([json.loads(event)] if event else [])

    relay = EventRelay(EngineCall("/v1/chat/completions", '{"messages": [], "stream": true}', 50), "m", send)
    chunks: list[Any] = [
        {"choices": [{"index": 0, "delta": {"tool_calls": [CALLED]}}]},
        {"choices": [ENDED]},
        *({"choices": [{"index": 0, "delta": {"tool_calls": [piece(index=0, arguments=each)]}}]} for each in late),
        *([{"choices": [], "usage": USAGE}] if has_usage else []),
    ]
    for chunk in copy.deepcopy(chunks):
        await relay.take(Event(json.dumps(chunk), chunk, is_whole=False))
    await relay.end()
    choices = [choice for each in told for choice in each["choices"]]
    pieces = [call for choice in choices for call in choice["delta"].get("tool_calls", [])]
    assert "".join(each["function"].get("arguments", "") for each in pieces) == arguments
    assert [choice.get("finish_reason") for choice in choices][-1] == "tool_calls"
    assert ("usage" in told[-1]) is has_usage


@pytest.mark.parametrize("first", ['{"q":1}', '{ "q": 1 }', {"q": 1}], ids=["text", "spaced", "object"])
@pytest.mark.parametrize("again", ['{"q":1}', {"q": 1}], ids=["text", "object"])
async def test_a_call_that_is_said_again_in_full_is_told_once(first: Any, again: Any) -> None:
    told: list[Any] = []

    async def send(event: str, _text: str, _is_last: bool) -> None:
        told.append(json.loads(event))

    relay = EventRelay(EngineCall("/v1/chat/completions", '{"messages": [], "stream": true}', 50), "m", send)
    for arguments, reason in ((first, None), (again, "tool_calls")):
        whole = {"index": 0, "id": "c", "function": {"name": "find", "arguments": arguments}}
        value: dict[str, Any] = {"choices": [{"index": 0, "delta": {"tool_calls": [whole]}, "finish_reason": reason}]}
        text = json.dumps(value)
        await relay.take(Event(text, json.loads(text), is_whole=False))
    pieces = [call for each in told for call in each["choices"][0]["delta"]["tool_calls"]]
    assert json.loads("".join(each["function"]["arguments"] for each in pieces)) == {"q": 1}
    (kept,) = relay.answer.completion("cpu").tool_calls
    assert kept["function"] == {"name": "find", "arguments": pieces[0]["function"]["arguments"]}


async def test_what_is_said_with_an_end_that_waits_is_told_with_it() -> None:
    told: list[tuple[str, str]] = []

    async def send(event: str, text: str, _is_last: bool) -> None:
        told.append((event, text))

    relay = EventRelay(EngineCall("/v1/chat/completions", '{"messages": [], "stream": true}', 50), "m", send)
    ended = {"index": 0, "delta": {"content": "Wait", "tool_calls": [CALLED]}, "finish_reason": "tool_calls"}
    value: dict[str, Any] = {"choices": [ended]}
    await relay.take(Event(json.dumps(value), copy.deepcopy(value), is_whole=False))
    assert told == []
    await relay.end()
    assert [(bool(event), text) for event, text in told] == [(True, "Wait"), (False, "")]
