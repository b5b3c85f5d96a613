"""What is held for is what an engine may make, however a call says it."""

import pytest

from dc1.domain.base.json_types import JsonObject
from dc1.domain.inference.calls import DEFAULT_MAX_TOKENS, MAX_TOKENS
from dc1.domain.inference.kinds import kind_of
from dc1.domain.providers.model_abilities import EnginePath


@pytest.mark.parametrize(
    ("said", "most"),
    [
        ({"stream": True}, DEFAULT_MAX_TOKENS),
        # Nobody can cut what comes in one piece, and who has it pays for it.
        ({}, MAX_TOKENS),
        ({"max_tokens": None, "max_completion_tokens": None, "n": 2}, 2 * MAX_TOKENS),
        ({"max_tokens": None, "max_completion_tokens": 5}, 5),
        ({"max_tokens": 7, "n": 3}, 21),
        # An engine that goes by the other one would make 8,192 tokens for the price of one.
        ({"max_tokens": 1, "max_completion_tokens": 8192}, 8192),
        ({"max_tokens": 8192, "max_completion_tokens": 1}, 8192),
    ],
)
def test_the_larger_of_both_spellings_counts(said: JsonObject, most: int) -> None:
    assert kind_of(EnginePath.CHAT).most_tokens(said) == most


@pytest.mark.parametrize(
    ("path", "said", "most"),
    [
        (EnginePath.MESSAGES, {"max_tokens": 5, "max_output_tokens": 1}, 5),
        (EnginePath.MESSAGES, {"max_tokens": 10**30}, MAX_TOKENS),
        (EnginePath.RESPONSES, {"max_output_tokens": 5}, 5),
        (EnginePath.RESPONSES, {"max_output_tokens": None}, MAX_TOKENS),
        # The other API's key, which engines of this one pass over.
        (EnginePath.RESPONSES, {"max_tokens": 1}, MAX_TOKENS),
        (EnginePath.RESPONSES, {"max_tokens": 1, "max_output_tokens": 900}, 900),
    ],
)
def test_of_engines_own_apis_the_key_of_each_counts(path: EnginePath, said: JsonObject, most: int) -> None:
    assert kind_of(path).most_tokens(said) == most
