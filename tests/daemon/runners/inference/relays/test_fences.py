"""JSON that a model puts into a fence of Markdown reaches whoever asked for JSON without the fence."""

import json
from typing import Any

import pytest

from dc1.daemon.runners.base import EngineCall
from dc1.daemon.runners.inference.event_stream import Event
from dc1.daemon.runners.inference.relays.fences import Unfenced
from dc1.daemon.runners.inference.relays.relay import EventRelay
from dc1.domain.base.json_types import JsonObject

OBJECT: JsonObject = {"response_format": {"type": "json_object"}}
TOOLS: JsonObject = {"tools": [{"type": "function", "function": {"name": "f"}}]}
CODE = '{"code": "```py\\n\\"`\\\\", "a": [1, "`"]}'


def unfenced(*pieces: str) -> str:
    fence = Unfenced()
    return "".join([*map(fence.take, pieces), fence.rest()])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("```json\n{}\n```", "{}\n"),
        ("\n\n``` json\r\n[1]```\n\nI hope it helps: `{}`", "\n\n[1]"),
        ('```{"a": 1}```', '{"a": 1}'),
        ('```json {"a": 1} ```', '{"a": 1} '),
        ("```\n\n  [true]\n```", "[true]\n"),
        (f"```json\n{CODE}\n```", f"{CODE}\n"),
        # Cut at its length.
        ('```json\n{"a": ', '{"a": '),
        # No fence around JSON.
        ("{}", "{}"),
        (" \n{}", " \n{}"),
        ("", ""),
        (f"```{' ' * 2000}{{}}", f"```{' ' * 2000}{{}}"),
        ("`", "`"),
        ("```json\n", "```json\n"),
        ("```python\nprint()\n```", "```python\nprint()\n```"),
        ("```json\nSure\n```", "```json\nSure\n```"),
        ("```\ntrue\n```", "```\ntrue\n```"),
        ("Sure:\n```json\n{}\n```", "Sure:\n```json\n{}\n```"),
        ("<think>Hm</think>```json\n{}```", "<think>Hm</think>```json\n{}```"),
    ],
)
def test_the_fence_is_left_out_in_whatever_pieces_it_comes(text: str, told: str) -> None:
    assert unfenced(text) == told
    assert unfenced(*text) == told
    for at in range(len(text)):
        assert unfenced(text[:at], text[at:]) == told


async def relayed(asked: Any, *values: Any, stream: bool) -> tuple[list[Any], str]:
    """What is told of an answer, and the text of its result."""
    told: list[str] = []

    async def send(event: str, _text: str, _is_last: bool) -> None:
        told.append(event)

    relay = EventRelay(EngineCall("/v1/chat/completions", json.dumps({"stream": stream, **asked}), 50), "m", send)
    for value in values:
        await relay.take(Event(json.dumps(value), value, is_whole=not stream))
    await relay.end()
    return [json.loads(event) for event in told if event], relay.answer.completion("cpu").text


def chunks(*pieces: str) -> list[JsonObject]:
    said: list[JsonObject] = [{"delta": {"role": "assistant", "content": piece}} for piece in pieces]
    said.append({"delta": {}, "finish_reason": "stop"})
    return [{"choices": [{"index": 0, **each}]} for each in said]


@pytest.mark.parametrize(
    "asked",
    [OBJECT, OBJECT | TOOLS, {"guided_json": {"type": "object"}}, {"structured_outputs": {"json": {}}}],
)
async def test_a_stream_is_told_without_it(asked: Any) -> None:
    told, text = await relayed(
        asked, *chunks("", "```", "json", "\n", '{"a', '": 1}', "\n``", "`", "\nWell"), stream=True
    )
    said = [choice["delta"].get("content", "") for chunk in told for choice in chunk["choices"]]
    assert "".join(said) == text == '{"a": 1}\n'
    # A chunk for each that the engine sent: what else stands in it, such as logprobs, is told.
    assert len(said) == 10


async def test_so_is_an_answer_in_one_piece() -> None:
    message = {"role": "assistant", "content": '```json\n{"a": 1}\n```'}
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}}
    (told,), text = await relayed(OBJECT, answer, stream=False)
    assert told["choices"][0]["message"]["content"] == text == '{"a": 1}\n'
    assert told["usage"] == {"prompt_tokens": 1}


async def test_whoever_does_not_ask_for_json_has_it_as_it_is() -> None:
    fenced = "```json\n{}\n```"
    for asked in ({}, {"response_format": {"type": "text"}}, {**OBJECT, "echo": True}):
        _, text = await relayed(asked, *chunks(fenced), stream=True)
        assert text == fenced


async def test_what_was_no_fence_after_all_is_told_where_a_tool_may_be_called_instead() -> None:
    _, text = await relayed({**OBJECT, **TOOLS}, *chunks("```", "python\n", "f()"), stream=True)
    assert text == "```python\nf()"
    told, text = await relayed({**OBJECT, **TOOLS}, *chunks("``"), stream=True)
    assert text == "``"
    assert told[-1]["choices"][0] == {"index": 0, "delta": {"content": "``"}, "finish_reason": "stop"}


async def test_a_half_begun_fence_is_told_of_an_answer_that_never_says_its_end() -> None:
    _, text = await relayed({**OBJECT, **TOOLS}, *chunks("```json")[:-1], stream=True)
    assert text == "```json"
