"""The `provider` of a body is read and taken out, and the rest of it stays as it was."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.access.provider_choice import ANY_PROVIDER, ProviderChoice
from dc1.domain.base.json_members import without
from dc1.domain.base.json_types import JsonObject
from dc1.domain.inference.dialects.messages_request import read_messages
from dc1.domain.inference.dialects.responses_request import read_responses
from dc1.domain.inference.kinds import read_call
from dc1.domain.jobs.placement import Speed

IDS = st.frozensets(st.integers(1, 9))
CHOICES = st.builds(ProviderChoice, st.none() | IDS, IDS)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"provider":1}', "{}"),
        ('{ "provider" : {"a":[1]} }', "{}"),
        ('{"provider":1,"b" : 2.50}', '{"b" : 2.50}'),
        ('{"a":1, "provider":{} ,"b":2}', '{"a":1 ,"b":2}'),
        ('{"a":1e2,"pr\\u006fvider":"x"}', '{"a":1e2}'),
        ('{"a":{"provider":1}}', '{"a":{"provider":1}}'),
    ],
)
def test_one_key_is_taken_out(text: str, left: str) -> None:
    assert without(text, "provider") == left


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers() | st.text(max_size=3), min_size=1), st.sampled_from("abcd")
)
def test_the_others_stay_in_their_order(body: dict[str, int | str], key: str) -> None:
    left = {name: value for name, value in body.items() if name != key}
    assert list(json.loads(without(json.dumps(body), key)).items()) == list(left.items())


@given(CHOICES, CHOICES, st.integers(1, 9))
def test_whom_two_allow_is_whom_each_allows(one: ProviderChoice, other: ProviderChoice, provider_id: int) -> None:
    assert one.within(other).allows(provider_id) == (one.allows(provider_id) and other.allows(provider_id))


@given(CHOICES)
def test_a_choice_is_stored_as_it_is(choice: ProviderChoice) -> None:
    assert ProviderChoice.stored(choice.to_store()) == choice


def test_a_row_that_cannot_be_read_allows_nobody() -> None:
    assert not ProviderChoice.stored({"only": "1"}).allows(1)
    assert ProviderChoice.stored(None) is not None
    assert ANY_PROVIDER.allows(1)


@pytest.mark.parametrize(
    ("said", "speed", "is_ours"),
    [
        ({"prefer": "latency"}, Speed.LATENCY, True),
        ({"prefer": "throughput", "provider": {"ignore": [7]}}, Speed.THROUGHPUT, True),
        ({"prefer": "latency", "provider": {"sort": "throughput"}}, Speed.THROUGHPUT, True),
        ({"prefer": "price"}, None, True),
        ({"prefer": "reputation"}, None, True),
        ({"prefer": "blue"}, None, False),
        ({"prefer": ["latency"]}, None, False),
    ],
)
def test_what_a_call_prefers_is_said_as_of_jobs(said: JsonObject, speed: Speed | None, *, is_ours: bool) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "input": "Hi", "max_tokens": 9, **said}
    sent = json.dumps(body).encode()
    as_sent = read_call("/v1/chat/completions", json.dumps({**body, "prefer": None}).encode(), 10_000)
    read = read_call("/v1/chat/completions", sent, 10_000)
    assert (read.prompt_bytes == as_sent.prompt_bytes) is is_ours
    for call in (
        read_call("/v1/chat/completions", sent, 10_000),
        read_messages(sent, 10_000).chat,
        read_responses(sent, 10_000).chat,
    ):
        assert call.routing.speed == speed
        assert ("prefer" in json.loads(call.body)) is not is_ours
