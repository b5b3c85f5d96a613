"""Events in an engine's own words: whatever stands in them, they are an answer or the engine's failure."""

import json
from typing import Any

import pytest

from dc1.daemon.runners.base import EngineCall, RunFailed
from dc1.daemon.runners.inference.event_stream import Event
from dc1.daemon.runners.inference.relays.typed_relay import TypedRelay
from dc1.domain.providers.model_abilities import EnginePath


@pytest.mark.parametrize(
    "said",
    [
        {"type": []},
        {"type": {}, "usage": []},
        {"choices": [{"delta": "text"}, 5]},
        {"choices": {"delta": {}}},
        {"type": "response.completed", "response": []},
        {"delta": {"text": 5}, "usage": {"input_tokens": -1, "output_tokens": "9"}},
    ],
)
@pytest.mark.parametrize("path", [EnginePath.MESSAGES, EnginePath.RESPONSES, EnginePath.TRANSCRIPTIONS])
async def test_odd_events_are_passed_on(path: EnginePath, said: dict[str, Any]) -> None:
    passed: list[str] = []

    async def send(event: str, text: str, is_last: bool) -> None:
        passed.append(event)

    text = json.dumps(said)
    relay = TypedRelay(EngineCall(path, '{"model": "m", "stream": true}', 9), "m", send)
    await relay.take(Event(text, said, is_whole=False))
    await relay.end()
    assert passed == [text, ""]
    assert relay.answer.completion("gpu").prompt_tokens in (None, 0)


@pytest.mark.parametrize(
    ("wanted", "given"), [("audio", "text/event-stream"), ("sse", "audio/mpeg"), ("audio", "text/html")]
)
async def test_sound_comes_as_it_was_asked_for(wanted: str, given: str) -> None:
    async def send(event: str, text: str, is_last: bool) -> None:
        raise AssertionError(event)

    body = json.dumps({"model": "m", "input": "x", "stream_format": wanted})
    relay = TypedRelay(EngineCall(EnginePath.SPEECH, body, 0), "m", send)
    with pytest.raises(RunFailed):
        relay.takes_bytes(given)


@pytest.mark.parametrize(
    ("path", "most"), [(EnginePath.RESPONSES, 9), (EnginePath.RESPONSES, 0), (EnginePath.TRANSCRIPTIONS, 9)]
)
async def test_an_engine_that_goes_on_beyond_what_was_asked_has_failed(path: EnginePath, most: int) -> None:
    async def send(event: str, text: str, is_last: bool) -> None:
        pass

    said: dict[str, Any] = {"type": "response.output_text.delta", "delta": "x"}

    async def go_on() -> None:
        relay = TypedRelay(EngineCall(path, '{"model": "m", "stream": true}', most), "m", send)
        for _ in range(400):
            await relay.take(Event(json.dumps(said), said, is_whole=False))

    if not most or path == EnginePath.TRANSCRIPTIONS:
        # Of sound, which is not counted in tokens, and of its words, which nobody asks to be fewer.
        await go_on()
        return
    with pytest.raises(RunFailed, match="goes on beyond"):
        await go_on()
