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
        # The built-in one made 56 tokens for the price of three.
        ({"max_tokens": 3, "n_predict": 60}, 60),
    ],
)
def test_the_largest_of_all_spellings_counts(said: JsonObject, most: int) -> None:
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


def test_so_it_does_of_texts() -> None:
    assert kind_of(EnginePath.COMPLETIONS).most_tokens({"prompt": "a", "max_tokens": 0, "n_predict": 9}) == 9


@pytest.mark.parametrize(
    ("path", "said", "field"),
    [
        (EnginePath.CHAT, {"n_predict": -1}, "n_predict"),
        (EnginePath.COMPLETIONS, {"n_predict": 8193}, "n_predict"),
        (EnginePath.CHAT, {"n": 2, "n_cmpl": 9}, "n_cmpl"),
        (EnginePath.CHAT, {"best_of": 9}, "best_of"),
        (EnginePath.COMPLETIONS, {"n_cmpl": 9}, "n_cmpl"),
        (EnginePath.RESPONSES, {"n_predict": 9}, "n_predict"),
        (EnginePath.MESSAGES, {"n_cmpl": 2}, "n_cmpl"),
        (EnginePath.MESSAGES, {"n": 2}, "n"),
        (EnginePath.RESPONSES, {"max_output_tokens": 1, "max_completion_tokens": 8192}, "max_completion_tokens"),
    ],
)
def test_what_an_engine_takes_for_more_than_is_held_is_refused(path: EnginePath, said: JsonObject, field: str) -> None:
    body: JsonObject = {"model": "a", "messages": [], "prompt": "a", "input": "a", "max_tokens": 5, **said}
    assert field in {fault.field for fault in kind_of(path).faults(body)}
