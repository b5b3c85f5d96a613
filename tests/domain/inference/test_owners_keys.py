"""No caller decides over an engine, over who else is asked there, or over more work than its price is for."""

from collections.abc import Callable
from typing import Any

import pytest

from dc1.domain.base.json_types import JsonObject, compact
from dc1.domain.errors import ApiError
from dc1.domain.inference.calls import InferenceCall
from dc1.domain.inference.dialects.messages_request import read_messages
from dc1.domain.inference.dialects.responses_request import read_responses
from dc1.domain.inference.kinds import CALL_KINDS, read_call
from dc1.domain.providers.model_abilities import EnginePath

FILE: JsonObject = {"filename": "a.wav", "content_type": "audio/wav", "data": "AAAA"}
# What any kind of call may say, each of which passes over the others' keys.
ASKED: JsonObject = {
    "model": "m",
    "messages": [{"role": "user", "content": "Hi"}],
    "prompt": "Hi",
    "input": "Hi",
    "query": "Hi",
    "documents": ["Hi"],
    "file": FILE,
    "max_tokens": 5,
}
OF_ALL = ("model", "max_tokens")


def read(path: str, **asked: Any) -> InferenceCall:
    kind = CALL_KINDS[path]
    body = {name: value for name, value in ASKED.items() if name in (*kind.required, *OF_ALL)} | asked
    return read_call(path, compact(body).encode(), 8 * 1024 * 1024)


def fields(path: str, **asked: Any) -> list[str]:
    with pytest.raises(ApiError) as refused:
        read(path, **asked)
    return [each.field for each in refused.value.fields]


SAID: list[JsonObject] = [
    # A program that the engine runs.
    {"chat_template": "{% for a in range(10**9) %}{% endfor %}"},
    {"custom_logit_processor": "800495"},
    {"logits_processors": ["os.system"]},
    {"instruction_template_str": "{% for a in range(10**9) %}{% endfor %}"},
    {"stop_regex": "(a|a)*b"},
    {"grammar_triggers": [{"type": 2, "value": "(a|a)*b"}]},
    # A machine that it would connect to from within its network, and what another caller left on it.
    {"kv_transfer_params": {"do_remote_prefill": True, "remote_host": "10.0.0.1", "remote_port": 22}},
    {"bootstrap_host": "10.0.0.1"},
    {"disaggregated_params": {"opaque_state": "AAAA"}},
    {"session_params": {"id": "another's"}},
    {"migration_request": {"remote_engine_id": "tcp://10.0.0.1"}},
    # Before others, and in their place.
    {"priority": -1},
    {"id_slot": 1},
    {"slot_id": 0},
    {"data_parallel_rank": 0},
    # More than is held for.
    {"mm_processor_kwargs": {"max_pixels": 10**9}},
    {"media_io_kwargs": {"video": {"num_frames": -1}}},
    {"num_beams": 64},
    {"generation_config": '{"max_new_tokens": 100000}'},
    {"max_new_tokens": 100},
    {"max_length": 100},
    {"return_hidden_states": True},
    {"top_logprobs": 100_000},
    {"n_probs": 100_000},
    {"prompt_logprobs": -1},
    {"logprobs": 21},
    {"top_logprobs": "100000"},
    {"n_probs": "9" * 5000},
    {"num_inference_steps": 1_000_000},
    {"size": "100000x100000"},
    {"size": "1x" + "9" * 5000},
    {"size": " 00000000199999 x 1"},
    {"size": "1x100_000_"},
    {"width": 65_536},
    # Another model than the one that has a price.
    {"models": ["dear/one"]},
    {"lora": [{"id": 0, "scale": 1}]},
    {"adapter_id": "somebody/else"},
    {"adapters": "/srv/other"},
    {"draft_model": "somebody/else"},
    # So it is read by engines in Go.
    {"Lora": [{"id": 0, "scale": 1}]},
    {"Max_Completion_Tokens": 100_000},
    {"\u017ftream": True},
    # What everybody waits for, with each token or before the first one.
    {"stop": ["x"] * 10_000},
    {"bad_words": ["x"] * 10_000},
    {"samplers": ["top_k"] * 10_000},
    {"samplers": "k" * 10_000},
    {"logit_bias": {str(token): -100 for token in range(10_000)}},
    {"guided_regex": "(a|b)" * 100_000},
    {"grammar": "x" * 200_000},
    {"response_format": {"type": "json_schema", "json_schema": {"schema": {"description": "x" * 200_000}}}},
    {"structured_outputs": {"grammar": "x" * 200_000}},
    {"tools": [{"type": "function", "function": {"name": "f", "description": "x" * 2_000_000}}]},
    # Paid by nobody, for what is not told is not believed.
    {"include_reasoning": False},
    {"include_reasoning": 0},
    {"include_reasoning": "false"},
]


@pytest.mark.parametrize("said", SAID, ids=lambda said: next(iter(said)))
def test_no_call_says_what_is_the_owners_to_say(said: JsonObject) -> None:
    (name,) = said
    assert name in fields(EnginePath.CHAT, **said)


@pytest.mark.parametrize("path", CALL_KINDS)
def test_so_it_is_whatever_the_path(path: str) -> None:
    assert "kv_transfer_params" in fields(path, kv_transfer_params={"remote_host": "10.0.0.1"})


@pytest.mark.parametrize("translate", [read_messages, read_responses])
def test_so_it_is_where_it_would_be_lost_in_translation(translate: Callable[[bytes, int], object]) -> None:
    body: JsonObject = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "input": "Hi", "max_tokens": 5}
    translate(compact(body).encode(), 1000)
    with pytest.raises(ApiError) as refused:
        translate(compact(body | {"priority": -1}).encode(), 1000)
    assert [each.field for each in refused.value.fields] == ["priority"]


def test_nor_by_what_a_template_is_given() -> None:
    """A template that stands among its own values takes the place of the engine's."""
    asked = {"enable_thinking": False, "chat_template": "{{ 1 }}", "tokenize": True}
    found = fields(EnginePath.CHAT, chat_template_kwargs=asked)
    assert found == ["chat_template_kwargs.chat_template", "chat_template_kwargs.tokenize"]
    assert fields(EnginePath.CHAT, chat_template_kwargs="x") == ["chat_template_kwargs"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (EnginePath.CHAT, {"priority": 0, "chat_template": None, "models": [], "include_reasoning": True}),
        (EnginePath.CHAT, {"id_slot": None, "top_logprobs": "20", "n_probs": "few", "samplers": ["top_k", "min_p"]}),
        (EnginePath.CHAT, {"logprobs": True, "top_logprobs": 20, "stop": ["\n"] * 4, "logit_bias": {"1": -100}}),
        (EnginePath.CHAT, {"chat_template_kwargs": {"enable_thinking": False, "reasoning_effort": "low"}}),
        (EnginePath.CHAT, {"ignore_eos": True, "min_tokens": 3, "cache_salt": "mine", "seed": 1, "top_k": 40}),
        (EnginePath.COMPLETIONS, {"logprobs": 5, "grammar": "root ::= [0-9]+"}),
        (EnginePath.IMAGES, {"size": "1024x1024", "num_inference_steps": 30}),
        (EnginePath.IMAGES, {"size": "auto"}),
        (EnginePath.IMAGES, {"size": "max"}),
        (EnginePath.IMAGES, {"size": "2K"}),
        (EnginePath.EMBEDDINGS, {"max_length": 512}),
        (EnginePath.RESPONSES, {"text": {"format": {"type": "text"}}}),
    ],
)
def test_what_is_its_own_passes(path: str, said: JsonObject) -> None:
    assert compact(said)[1:-1] in read(path, **said).body


def test_a_body_without_a_change_is_the_one_that_was_sent() -> None:
    sent = b'{ "model" : "m",\n "messages" : [ {"content":"Hi", "role":"user"} ], "x": 1e5 }'
    assert read_call(EnginePath.CHAT, sent, 1000).body.encode() == sent


def test_no_key_is_there_in_two_spellings() -> None:
    """Engines in Go would take the last for the model, and its price would be the first one's."""
    with pytest.raises(ApiError, match="JSON"):
        read(EnginePath.CHAT, Model="dear/one")
