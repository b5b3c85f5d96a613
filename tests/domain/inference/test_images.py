"""What a call for pictures is, counts for and is answered with (contract 6.2)."""

import json
from typing import Any

import pytest

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.inference.events import AnswerEvent
from dc1.domain.inference.images import image_answer_fault
from dc1.domain.inference.kinds import kind_of, read_call
from dc1.domain.providers.model_abilities import EnginePath

ASKED: JsonObject = {"model": "a/model", "prompt": "sea", "n": 2}
TWO: list[JsonValue] = [{"b64_json": "iVBO"}, {"b64_json": "iVBP"}]


def test_a_call_counts_a_thousand_tokens_for_each_picture() -> None:
    call = read_call(EnginePath.IMAGES, json.dumps(ASKED).encode(), 1024)
    assert (call.prompt_bytes, call.max_tokens, call.needs_bodies) == (3, 2000, True)
    assert json.loads(call.body) == ASKED | {"response_format": "b64_json"}
    assert kind_of(EnginePath.IMAGES).tokens_made({"data": [*TWO]}) == 2000


def test_what_passes_counts_as_made() -> None:
    event = AnswerEvent.read(json.dumps({"data": TWO}).encode())
    assert event is not None
    assert event.made() == ("iVBOiVBP", 2000)


@pytest.mark.parametrize(
    ("data", "is_whole"),
    [(TWO, True), (TWO[:1], False), ([*TWO, {}], False), ([{"url": "x"}] * 2, False), (None, False), ("iVBO", False)],
)
def test_an_answer_has_as_many_pictures_as_were_asked_for(data: Any, is_whole: bool) -> None:
    assert (image_answer_fault(ASKED, {"data": data}) is None) is is_whole
