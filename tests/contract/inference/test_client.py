"""/v1 as the official OpenAI client for Python reads it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from dc1.services.inference import completion_stream
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import MODEL
from dc1.testing.stream_daemon import StreamDaemon
from tests.contract.inference.chat import serve


def client_of(market: LocalMarket, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{market.edge.url}/v1", api_key=key, max_retries=0, timeout=20)


@pytest.fixture
def client(market: LocalMarket, renter: Renter) -> Iterator[openai.OpenAI]:
    """R's."""
    with client_of(market, renter.key) as client:
        yield client


def test_an_answer(client: openai.OpenAI, daemon: StreamDaemon, pool: ThreadPoolExecutor) -> None:
    pool.submit(serve, daemon, "Hello ", "بحر")
    (model,) = client.models.list()
    # The client escapes the slash of the name.
    assert client.models.retrieve(model.id) == model
    answer = client.chat.completions.create(model=model.id, messages=[{"role": "user", "content": "Hi"}], seed=7)
    assert answer.choices[0].message.content == "Hello بحر"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 13


def test_a_stream(client: openai.OpenAI, daemon: StreamDaemon, pool: ThreadPoolExecutor) -> None:
    pool.submit(serve, daemon, "Hello ", "بحر")
    with client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Hi"}], stream=True
    ) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello بحر"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 11


def test_a_stream_whose_first_token_is_late(
    client: openai.OpenAI, daemon: StreamDaemon, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind `retry:` a comment is an event without data to this client, which it cannot read."""
    monkeypatch.setattr(completion_stream, "KEEP_ALIVE_SECONDS", 0.05)
    # Here when something was sent, which can only be that there is nothing yet.
    with client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Hi"}], stream=True
    ) as stream:
        pool.submit(serve, daemon, "Hello ", "بحر")
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello بحر"


@pytest.mark.settings(rate_limits_enabled=True, completion_requests_per_minute=2)
def test_what_is_left_is_read_where_the_client_looks(client: openai.OpenAI) -> None:
    for left in ("1", "0"):
        with pytest.raises(openai.NotFoundError) as unknown:
            client.chat.completions.create(model="none/none", messages=[{"role": "user", "content": "Hi"}])
        assert unknown.value.response.headers["x-ratelimit-remaining-requests"] == left
    with pytest.raises(openai.RateLimitError) as limited:
        client.chat.completions.create(model="none/none", messages=[{"role": "user", "content": "Hi"}])
    assert limited.value.response.headers["retry-after"] == "30"


def test_refusals(market: LocalMarket, client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="none/none", messages=[{"role": "user", "content": "Hi"}])
    assert (unknown.value.code, unknown.value.type) == ("model_not_found", "model_not_found")
    with pytest.raises(openai.BadRequestError, match="messages must be an array of 1 to 1000 messages"):
        client.chat.completions.create(model=MODEL, messages=[])
    with client_of(market, "sk-other") as stranger, pytest.raises(openai.AuthenticationError, match="Invalid API key"):
        stranger.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi"}])
