"""Messages and Responses on a real daemon, in an engine's own words: they pass, and what breaks off says so."""

import json
from typing import Any

import pytest

from dc1.testing.people import Renter
from dc1.testing.waiting import eventually
from tests.contract.inference.paths import MESSAGES, RESPONSES
from tests.faults.engine import MODEL
from tests.faults.inference.engine_faults import JSON, SECRET, SSE, refused
from tests.faults.market import Provider, RealMarket

WHOLE = b'{"id": "m-1", "type" : "message", "zz": 9007199254740993, "model": "its", "content": [{"type": "text", '
WHOLE += b'"text": "Hello"}],\n "usage": {"input_tokens": 1, "cache_read_input_tokens": 1, "output_tokens": 2}}'
USAGE = {"input_tokens": 2, "input_tokens_details": {"cached_tokens": 1}, "output_tokens": 1, "total_tokens": 3}


def named(**event: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json.dumps(event).encode())


CREATED = named(type="response.created", response={"id": "r-1", "model": "its"})
DELTA = named(type="response.output_text.delta", delta="Hello")
DONE = named(type="response.completed", response={"id": "r-1", "model": "its", "usage": USAGE})
FAILED = named(type="response.failed", response={"id": "r-1", "error": {"message": f"{SECRET} Traceback"}})
ERROR = named(type="error", error={"type": "overloaded_error", "message": f"{SECRET} Traceback"})
RESPONSE: dict[str, tuple[bytes, ...]] = {
    "well": (SSE, CREATED, DELTA, DONE),
    "breaks off": (SSE, CREATED, DELTA),
    "fails later": (SSE, CREATED, DELTA, FAILED),
    "fails at once": (SSE, FAILED),
    "an error": (SSE, ERROR),
    "no stream": (JSON, b'{"object": "response", "output": []}'),
    "not this": refused(422),
}
MESSAGE: dict[str, tuple[bytes, ...]] = {
    "well": (JSON, WHOLE),
    "no message": (JSON, b'{"type": "message", "content": "Hello"}'),
    "a stream": (SSE, DELTA),
}
STATUSES = {
    "fails at once": 503,
    "an error": 503,
    "no stream": 503,
    "not this": 422,
    "no message": 503,
    "a stream": 503,
}


@pytest.fixture
def provider(market: RealMarket) -> Provider:
    provider = market.launch_provider(None, "--engine-concurrency", "8")
    provider.engine.on = {MESSAGES: MESSAGE, RESPONSES: RESPONSE}
    market.await_stream(provider)
    eventually(lambda: b'"responses"' in market.rest.get(f"/v1/models/{MODEL}").content, "its paths", 30)
    return provider


def test_what_engines_say_of_them(market: RealMarket, provider: Provider, renter: Renter) -> None:
    messages = [{"role": "user", "content": "well"}]
    said = renter.post(MESSAGES, {"model": MODEL.lower(), "max_tokens": 9, "messages": messages})
    answer_id = said.json()["id"].encode()
    told = WHOLE.replace(b'"m-1"', b'"%s"' % answer_id).replace(b'"its"', b'"%s"' % MODEL.lower().encode())
    assert said.content == told.replace(b"\n", b" ")
    assert json.loads(provider.engine.asked_whole[-1])["model"] == MODEL
    assert renter.job(answer_id.decode())["prompt_tokens"] == 2
    streamed = {"model": MODEL, "stream": True}
    text = renter.post(RESPONSES, {**streamed, "input": "well"}).text
    assert text.count("event: ") == 3
    assert json.loads(text.split("data: ")[3])["response"]["usage"] == USAGE
    for prompt in ("breaks off", "fails later"):
        text = renter.post(RESPONSES, {**streamed, "input": prompt}).text
        assert (text.count("event: "), "event: error" in text, SECRET in text) == (3, True, False)
    balance = renter.balance()
    for prompt in [name for name in RESPONSE if name in STATUSES]:
        refused = renter.post(RESPONSES, {**streamed, "input": prompt})
        assert (prompt, refused.status_code, SECRET in refused.text) == (prompt, STATUSES[prompt], False)
    for prompt in [name for name in MESSAGE if name in STATUSES]:
        messages = [{"role": "user", "content": prompt}]
        refused = renter.post(MESSAGES, {"model": MODEL, "max_tokens": 9, "messages": messages})
        assert (prompt, refused.status_code) == (prompt, STATUSES[prompt])
    assert renter.balance() == balance
    assert provider.daemon.is_alive
    assert "runner_failed" not in provider.daemon.said
