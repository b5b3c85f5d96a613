"""What a model reads of a call in an engine's own words is held and paid, wherever it stands."""

import pytest

from dc1.domain.base.json_types import JsonObject
from dc1.domain.inference.kinds import kind_of
from dc1.domain.providers.model_abilities import EnginePath

LONG = "x" * 100_000
IMAGE: JsonObject = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": LONG}}


def size(*messages: JsonObject) -> int:
    return kind_of(EnginePath.MESSAGES).prompt_bytes({"model": "m", "max_tokens": 9, "messages": [*messages]})


def test_a_medium_counts_for_what_it_is_and_not_for_its_bytes() -> None:
    assert 4096 < size({"role": "user", "content": [IMAGE]}) < 4300
    sent: JsonObject = {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": LONG}]}]}
    assert 4096 < kind_of(EnginePath.RESPONSES).prompt_bytes({"model": "m", **sent}) < 4300


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "text", "text": LONG}]},
        # Engines pass over a key that they do not know, and read the text beside it.
        {"role": "user", "type": "image", "content": LONG},
        {"role": "user", "content": [{**IMAGE, "text": LONG}]},
        {"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": LONG}}]},
        {"role": "user", "content": [{"type": "document", "title": LONG, "source": {"type": "url", "url": "u"}}]},
        {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": LONG}]}]},
    ],
)
def test_text_counts_wherever_it_stands(message: JsonObject) -> None:
    assert size(message) > len(LONG)
