"""A call of a tool that must be made is made, by the built-in engine too, whose models take the wish for advice."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from dc1.daemon.runners.base import EngineCall, RunFailed
from dc1.daemon.runners.inference.engine_llamacpp import LlamaCppEngine, bundled_model
from dc1.daemon.runners.inference.event_stream import Event
from dc1.daemon.runners.inference.forced_calls import CHAT, relay_of
from dc1.daemon.runners.inference.relays.relay import EventRelay
from dc1.domain.errors.engine_refusals import REFUSED

WHERE = {"$ref": "#/$defs/Where"}
CITIES = {"Where": {"type": "object", "properties": {"city": {"enum": ["Riyadh", "Jeddah"]}}, "required": ["city"]}}
WEATHER = {"type": "object", "properties": {"where": WHERE}, "required": ["where"], "$defs": CITIES}
CLOCK = {"type": "object", "properties": {"zone": {"type": "string", "maxLength": 9}}, "required": ["zone"]}
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": parameters}}
    for name, parameters in (("get_weather", WEATHER), ("get_time", CLOCK))
]
ASKED = [{"role": "user", "content": "What is the weather in Riyadh?"}]
NAMED = {"type": "function", "function": {"name": "get_weather"}}
SAID = '{ "name": "get_weather",\n "arguments": {"where": {"city": "}"}}\n}'


def call_of(tool_choice: Any, **more: Any) -> EngineCall:
    body = {"messages": ASKED, "tools": TOOLS, "tool_choice": tool_choice, "temperature": 0, "max_tokens": 90, **more}
    return EngineCall(CHAT, json.dumps(body), 90)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[LlamaCppEngine]:
    engine = LlamaCppEngine(bundled_model())
    await engine.prepare()
    yield engine
    await engine.aclose()


async def answers(engine: LlamaCppEngine, call: EngineCall) -> list[dict[str, Any]]:
    """The choices as the caller reads them."""
    events: list[str] = []

    async def told(event: str, *_: Any) -> None:
        events.append(event)

    await engine.call("m", call, told)
    return [choice for event in events if event for choice in json.loads(event)["choices"]]


def joined(choices: list[dict[str, Any]]) -> tuple[str, str, str]:
    """Name, arguments and finish reason of the one call in a stream."""
    pieces = [piece for choice in choices for piece in choice["delta"].get("tool_calls", ())]
    assert [piece["id"].startswith("call_") for piece in pieces if "id" in piece] == [True]
    assert not any(choice["delta"].get("content") for choice in choices)
    (reason,) = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    names = [piece["function"].get("name", "") for piece in pieces]
    return "".join(names), "".join(piece["function"]["arguments"] for piece in pieces), reason


@pytest.mark.model
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("choice", [NAMED, "required"], ids=["named", "required"])
async def test_the_built_in_engine_makes_the_call(engine: LlamaCppEngine, choice: Any) -> None:
    (whole,) = await answers(engine, call_of(choice))
    (made,) = whole["message"]["tool_calls"]
    assert (whole["finish_reason"], whole["message"]["content"]) == ("tool_calls", None)
    name, arguments, reason = joined(await answers(engine, call_of(choice, stream=True)))
    assert reason == "tool_calls"
    for called, said in ((made["function"]["name"], made["function"]["arguments"]), (name, arguments)):
        read = json.loads(said)
        if called == "get_weather":
            assert read["where"]["city"] in ("Riyadh", "Jeddah")
        else:
            assert (choice, list(read)) == ("required", ["zone"])


async def test_pieces_that_end_anywhere_are_one_call() -> None:
    for size in (1, 2, 7, len(SAID)):
        events: list[str] = []

        async def told(event: str, *_: Any, events: list[str] = events) -> None:
            events.append(event)

        relay = relay_of(call_of(NAMED, stream=True), "m", told)
        said = [(SAID[at : at + size], None) for at in range(0, len(SAID), size)]
        for content, reason in (*said, ("", "stop")):
            value = {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": reason}]}
            await relay.take(Event(json.dumps(value), value, is_whole=False))
        await relay.end()
        choices = [choice for event in events if event for choice in json.loads(event)["choices"]]
        assert joined(choices) == ("get_weather", '{"where": {"city": "}"}}', "tool_calls")


async def test_an_engine_that_ignores_the_wish_is_no_answer() -> None:
    """Contract 6.2: an answer without what was asked for is a 400, but for one that was cut."""

    async def told(*_: Any) -> None:
        pass

    async def take(reason: str) -> None:
        value = {"choices": [{"index": 0, "message": {"content": "Hot, I guess"}, "finish_reason": reason}]}
        await EventRelay(call_of("required"), "m", told).take(Event(json.dumps(value), value, is_whole=True))

    await take("length")
    with pytest.raises(RunFailed) as refused:
        await take("stop")
    assert refused.value.refusal is not None
    assert refused.value.refusal.status in REFUSED


def test_a_tool_that_is_not_there_cannot_be_named() -> None:
    async def told(*_: Any) -> None:
        pass

    with pytest.raises(RunFailed, match="none of the tools"):
        relay_of(call_of({"type": "function", "function": {"name": "nothing"}}), "m", told)
