"""What a caller sends and what an engine answers pass through the market as they are, on real daemons."""

import json
from typing import Any

import httpx
import pytest

from dc1.testing.people import Renter
from dc1.testing.rest import Json
from tests.contract.expect import answered
from tests.contract.inference.chat import CHAT, envelope
from tests.faults.engine import MODEL
from tests.faults.inference.engine_faults import DONE, STOP, USAGE, says
from tests.faults.market import Provider, RealMarket

# What a parser would change: the order of keys, large integers, the spelling of numbers, escapes, spaces.
SENT = (
    b'{"messages": [{"content": null, "role": "assistant", "tool_calls": [{"id": "a", "type": "function",'
    b'"function": {"name": "f", "arguments": "{}"}}]}, {"role": "user", "content": [{"type": "text", "text": "\\u0062"},'
    b'{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}],'
    b' "zz": 12345678901234567890, "aa": 1.0, "e": 1e5, "model": "ACME/chat-7b", "response_format": {"type":'
    b'"json_schema", "json_schema": {"z": 1, "a": 2}}%s}'
)
CHUNKS = (
    b'{"id":"e-1","zz":9007199254740993,"object":"chat.completion.chunk","created":5,"model":"engine-name",'
    b'"choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"Hm"},"finish_reason":null}]}',
    b'{"id":"e-1","choices":[{"index":1,"delta":{"role":"assistant","content":"[7"},"logprobs":{"content":[{"token":"[7","logprob":-1e-3}]}}]}',
    b'{"id":"e-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\""}}]}}]}',
    b'{"id":"e-1","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}',
    b'{"id":"e-1","choices":[{"index":1,"delta":{"refusal":"No"},"finish_reason":"stop"}],"system_fingerprint":"fp"}',
    b'{"id":"e-1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,'
    b'"completion_tokens_details":{"reasoning_tokens":1},"odd":[1.0]}}',
)
WHOLE = (
    b'{"id": "e-2", "zz": 9007199254740993, "model": "engine-name", "choices": [{"index": 1, "message": {"content": "[7]",'
    b'"role": "assistant"}, "finish_reason": "stop"}, {"index": 0, "message": {"role": "assistant", "content": "[",'
    b'"annotations": []}, "logprobs": {"content": [{"logprob": -1e-3, "token": "["}]}, "finish_reason": "length"}],'
    b'\r\n "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, "service_tier": "x"}'
)


@pytest.fixture
def provider(market: RealMarket) -> Provider:
    return market.add_provider()


def ask(market: RealMarket, renter: Renter, body: bytes) -> httpx.Response:
    return market.rest.rest("POST", CHAT, key=renter.key, content=body)


def for_caller(said: bytes, answer_id: str, model: str = "ACME/chat-7b") -> bytes:
    """What the market makes of an engine's words: its own id and the model as the caller spelled it."""
    was = json.loads(said)
    for name, value in (("id", answer_id), ("model", model)):
        old = json.dumps(was[name]).encode() if name in was else b""
        if old:
            said = said.replace(
                b'"%s":%s' % (name.encode(), old), b'"%s":%s' % (name.encode(), json.dumps(value).encode())
            )
            said = said.replace(
                b'"%s": %s' % (name.encode(), old), b'"%s": %s' % (name.encode(), json.dumps(value).encode())
            )
        else:
            said = said[:-1] + b',"%s":%s}' % (name.encode(), json.dumps(value).encode())
    return said


def test_a_stream_passes_as_it_is(market: RealMarket, provider: Provider, renter: Renter) -> None:
    frames = b"".join(b"data: %s\n\n" % chunk for chunk in CHUNKS) + b"data: [DONE]\n\n"
    # In pieces that end anywhere.
    provider.engine.scripted = "text/event-stream", tuple(frames[at : at + 37] for at in range(0, len(frames), 37))
    body = SENT % b', "n": 2, "stream": true, "stream_options": {"include_usage": true, "x": 1}'
    response = ask(market, renter, body)
    assert response.status_code == 200, response.text
    said = [line.removeprefix("data: ") for line in response.text.split("\n") if line.startswith("data: ")]
    answer_id = json.loads(said[0])["id"]
    assert answer_id.startswith("job-")
    assert said == [*(for_caller(chunk, answer_id).decode() for chunk in CHUNKS), "[DONE]"]
    (received,) = provider.engine.bodies
    assert received == body.replace(b"ACME/chat-7b", MODEL.encode()).replace(
        b'{"include_usage": true, "x": 1}', b'{"include_usage":true,"x":1}'
    )
    assert billed(renter, answer_id) == (3, 4)


def test_an_answer_in_one_piece_passes_as_it_is(market: RealMarket, provider: Provider, renter: Renter) -> None:
    provider.engine.scripted = "application/json", (WHOLE[:100], WHOLE[100:])
    body = SENT % b', "n": 2'
    response = ask(market, renter, body)
    answer_id = answered(response)["id"]
    assert response.content == for_caller(WHOLE, answer_id).replace(b"\r\n", b" ")
    assert provider.engine.bodies == [body.replace(b"ACME/chat-7b", MODEL.encode())]
    assert billed(renter, answer_id) == (3, 2)


def test_json_comes_without_the_fence_around_it(market: RealMarket, provider: Provider, renter: Renter) -> None:
    """6.2: of a stream as of an answer in one piece, whatever pieces the fence comes in."""
    text = '{"code": "```py"}'
    frames = b"".join([*map(says, ("``", "`json\n", *text, "\n`", "`` So:")), STOP, USAGE, DONE])
    provider.engine.scripted = "text/event-stream", tuple(frames[at : at + 41] for at in range(0, len(frames), 41))
    body: Json = {"model": MODEL, "messages": [{"role": "user", "content": "?"}]}
    body["response_format"] = {"type": "json_object"}
    streamed = renter.post(CHAT, body | {"stream": True})
    assert streamed.text.endswith("data: [DONE]\n\n")
    chunks = [json.loads(line[6:]) for line in streamed.text.split("\n") if line.startswith("data: {")]
    told = [choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]]
    said = {"role": "assistant", "content": f"```json\n{text}\n```"}
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    whole = {"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
    provider.engine.scripted = "application/json", (json.dumps(whole).encode(),)
    answer = answered(renter.post(CHAT, body))
    assert "".join(told).strip() == answer["choices"][0]["message"]["content"].strip() == text
    for answer_id in (chunks[0]["id"], answer["id"]):
        job = renter.job(answer_id)
        assert (job["status"], job["completion_tokens"]) == ("completed", 2)
        assert renter.get(f"/jobs/{answer_id}/output").json()["response"].strip() == text


def test_usage_is_told_in_the_last_chunk_to_who_did_not_ask_for_a_chunk_of_it(
    market: RealMarket, provider: Provider, renter: Renter
) -> None:
    provider.engine.scripted = "text/event-stream", tuple(b"data: %s\n\n" % chunk for chunk in CHUNKS)
    response = ask(market, renter, SENT % b', "n": 2, "stream": true')
    chunks = [json.loads(line[6:]) for line in response.text.split("\n") if line.startswith("data: {")]
    assert all(chunk["choices"] for chunk in chunks)
    assert [chunk.get("usage", {}).get("total_tokens") for chunk in chunks] == [None] * (len(CHUNKS) - 2) + [7]


def test_fewer_answers_than_were_asked_for_are_none(market: RealMarket, provider: Provider, renter: Renter) -> None:
    provider.engine.scripted = "application/json", (WHOLE,)
    response = ask(market, renter, SENT % b', "n": 3')
    envelope(response, 400, "invalid_request_error")
    assert renter.balance() == 1000


def billed(renter: Renter, job_id: str) -> tuple[int, int]:
    job: Any = renter.job(job_id)
    return job["prompt_tokens"], job["completion_tokens"]
