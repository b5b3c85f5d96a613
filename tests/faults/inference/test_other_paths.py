"""Calls beside chats on a real daemon: their bytes pass, and what is no answer is the provider's failure."""

import json

import pytest

from dc1.testing.people import Renter
from dc1.testing.waiting import eventually
from tests.contract.inference.paths import EMBEDDINGS, IMAGES, RERANK
from tests.faults.engine import MODEL, Engine
from tests.faults.market import Provider, RealMarket

VECTORS = b'{"object": "list", "zz": 9007199254740993, "data": [{"index": 1, "embedding": [-1e-3]},\r\n {"index": 0,'
VECTORS += b'"embedding": [0.50]}], "model": "its-name", "usage": {"prompt_tokens": 2, "total_tokens": 2}}'
RANKED = b'{"results": [{"index": 1, "relevance_score": 0.9}], "usage": {"total_tokens": 4}}'
PICTURE = b'{"created": 7, "data": [{"b64_json": "%s"}]}' % (b"iVBO" * 300)
ONE = b'{"data": [{"embedding": [1]}]}'
ODD: dict[str, tuple[bytes, int]] = {
    "one of two": (ONE, 503),
    "none at all": (b'{"data": null}', 503),
    "a list": (b"[]", 503),
    "no JSON": (b"<html>", 503),
    "a stream": (b'data: {"choices": []}\n\n', 503),
    "an error": (b'{"error": {"message": "http://10.9.8.7 Traceback"}}', 503),
    "what is refused": (b"", 400),
    "more than is carried": (b'{"data": "' + b"x" * 9_000_000, 413),
}


def serve(engine: Engine) -> None:
    """Have embeddings and rerank beside chats: first what a daemon tries, then what tests ask for."""
    engine.raw["a"] = (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",)
    odd = {name: said for name, (said, _) in ODD.items()}
    engine.whole = {
        EMBEDDINGS: {'"input":"a"': ONE, "sea": VECTORS, **odd},
        RERANK: {'"query":"a"': RANKED, "water": RANKED},
        IMAGES: {"sea": PICTURE, "elsewhere": b'{"data": [{"url": "http://10.9.8.7/1.png"}]}'},
    }


@pytest.fixture
def provider(market: RealMarket) -> Provider:
    provider = market.launch_provider(None, "--engine-concurrency", "8")
    serve(provider.engine)
    market.await_stream(provider)
    eventually(lambda: b'"embeddings"' in market.rest.get(f"/v1/models/{MODEL}").content, "its paths", 30)
    return provider


def test_what_engines_answer_beside_chats(market: RealMarket, provider: Provider, renter: Renter) -> None:
    body = b'{"input": ["sea", "land"], "zz": 1.0,\n "model": "ACME/chat-7b", "encoding_format": "float"}'
    response = market.rest.rest("POST", EMBEDDINGS, key=renter.key, content=body)
    assert response.status_code == 200, response.text
    answer_id = response.json()["id"]
    said = VECTORS.replace(b"\r\n", b" ").replace(b'"its-name"', b'"ACME/chat-7b"')
    assert response.content == said[:-1] + b',"id":"%s"}' % answer_id.encode()
    assert provider.engine.asked_whole[-1] == body.replace(b"ACME/chat-7b", MODEL.encode())
    assert renter.job(answer_id)["prompt_tokens"] == 2
    asked = {"model": MODEL, "query": "water", "documents": ["a", "b"], "top_n": 1}
    ranked = renter.post(RERANK, asked).json()
    assert ranked["results"] == [{"index": 1, "relevance_score": 0.9}]
    assert ranked["usage"] == {"total_tokens": 4, "prompt_tokens": 4}
    picture = renter.post(IMAGES, {"model": MODEL, "prompt": "the sea"}).json()
    assert picture["usage"] == {"prompt_tokens": 2, "completion_tokens": 1000, "total_tokens": 1002}
    assert json.loads(provider.engine.asked_whole[-1])["response_format"] == "b64_json"
    assert renter.job(picture["id"])["completion_tokens"] == 1000
    assert renter.post(IMAGES, {"model": MODEL, "prompt": "elsewhere"}).status_code == 503
    paid = renter.balance()
    for name, (_, status) in ODD.items():
        refused = renter.post(EMBEDDINGS, {"model": MODEL, "input": [name, "b"]})
        assert (name, refused.status_code) == (name, status)
        assert "10.9.8.7" not in refused.text
    assert renter.balance() == paid < 1000
    job = json.loads(renter.get(f"/jobs/{answer_id}").content)
    assert "10.9.8.7" not in json.dumps(job)
    assert provider.daemon.is_alive
    assert "runner_failed" not in provider.daemon.said
