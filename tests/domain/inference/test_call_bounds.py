"""Whoever says far more than was asked for is ended, and nobody who says what was."""

from typing import Any

import pytest

from dc1.domain.base.json_types import compact
from dc1.domain.inference.events import AnswerEvent
from dc1.domain.inference.usage import NOTHING_RELAYED, CallBounds, RelayedText
from dc1.domain.providers.model_abilities import EnginePath

WORDS = "These are words. " * 1_000


@pytest.mark.parametrize(
    ("asked", "said", "is_too_much"),
    [
        ({"prompt": WORDS}, f"{WORDS}x", True),
        ({"prompt": WORDS, "echo": True}, f"{WORDS}x", False),
        ({"prompt": [WORDS, WORDS], "echo": True}, f"{WORDS}{WORDS}xx", False),
        ({"prompt": [7] * 4_000, "echo": True}, f"{WORDS}x", False),
        ({"prompt": "Hi", "echo": True}, f"{WORDS}x", True),
        ({"prompt": WORDS, "stream": False}, f"{WORDS}x", False),
    ],
)
def test_an_echo_of_the_prompt_was_asked_for(asked: Any, said: str, *, is_too_much: bool) -> None:
    """It comes with the first token, which may be the last: it is counted by its length."""
    event = AnswerEvent.read(compact({"choices": [{"index": 0, "text": said, "finish_reason": "length"}]}).encode())
    assert event is not None
    bounds = CallBounds.of(EnginePath.COMPLETIONS, {"model": "m", "max_tokens": 1, "stream": True, **asked})
    assert bounds.are_passed(NOTHING_RELAYED.plus(*event.made())) is is_too_much


def test_the_words_of_a_recording_are_as_many_as_they_are() -> None:
    bounds = CallBounds.of(EnginePath.TRANSCRIPTIONS, {"model": "m", "file": {"data": ""}, "stream": True})
    assert not bounds.are_passed(RelayedText(200_000, 40_000))
