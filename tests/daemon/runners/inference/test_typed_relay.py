"""Events in an engine's own words: whatever stands in them, they are an answer or the engine's failure."""

import json
from typing import Any

import pytest

from dc1.daemon.runners.base import EngineCall
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
