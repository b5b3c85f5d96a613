"""OpenAI's Responses API, translated to chat, as OpenAI's own client reads it (contract 6.2)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import MODEL
from dc1.testing.stream_daemon import StreamDaemon
from tests.contract.expect import show
from tests.contract.inference.chat import begin, envelope, serve
from tests.contract.inference.test_client import client_of

RESPONSES = "/v1/responses"


@pytest.fixture
def client(market: LocalMarket, renter: Renter) -> Iterator[openai.OpenAI]:
    """R's."""
    with client_of(market, renter.key) as client:
        yield client


def test_an_answer_is_a_job_with_its_bill(
    client: openai.OpenAI, daemon: StreamDaemon, renter: Renter, pool: ThreadPoolExecutor
) -> None:
    pool.submit(serve, daemon, "Hello ", "بحر")
    response = client.responses.create(model=MODEL, input="Hi", instructions="Be brief.", max_output_tokens=32)
    assert response.output_text == "Hello بحر"
    assert response.status == "incomplete"
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (2, 11)
    expected = {"source": "v1", "status": "completed", "actual_cost_halala": 1}
    assert show(renter.job(response.id), *expected) == expected


def test_a_stream(client: openai.OpenAI, daemon: StreamDaemon, pool: ThreadPoolExecutor) -> None:
    pool.submit(serve, daemon, "Hello ", "بحر")
    with client.responses.create(model=MODEL, input="Hi", stream=True) as stream:
        told = list(stream)
    assert [event.type for event in told[:2]] == ["response.created", "response.in_progress"]
    last = told[-1]
    assert last.type == "response.incomplete"
    assert last.response.output_text == "Hello بحر"


def test_what_fails_after_its_beginning_ends_with_a_failed_response(
    client: openai.OpenAI, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    begun = pool.submit(begin, daemon, "Hel")
    with client.responses.create(model=MODEL, input="Hi", stream=True) as stream:
        while next(stream).type != "response.output_text.delta":
            pass
        daemon.fail(begun.result(), "it broke")
        (last,) = stream
    assert last.type == "response.failed"
    assert last.response.output_text == "Hel"


def test_nothing_is_kept(market: LocalMarket, renter: Renter) -> None:
    previous = renter.post(RESPONSES, {"model": MODEL, "input": "Hi", "previous_response_id": "resp_1"})
    assert "previous_response_id is not kept here" in envelope(previous, 400, "invalid_request_error")["message"]
    for verb in ("GET", "DELETE"):
        envelope(market.rest.rest(verb, f"{RESPONSES}/resp_1", key=renter.key), 404, "not_found")
