"""Sound on a real daemon: what engines say passes byte for byte, and what they do wrong is the affair of one call."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from dc1.testing.people import Renter
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from tests.contract.inference.paths import SPEECH, TRANSCRIPTIONS
from tests.faults.engine import MODEL
from tests.faults.inference.engine_faults import JSON, SECRET, SSE, event, refused
from tests.faults.market import Provider, RealMarket

SOUND = random.Random(7).randbytes(3_000_000)
RECORDING = random.Random(8).randbytes(5_000) + b"\r\n--\r\n"
AUDIO = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: %d\r\n\r\n"
ERROR = b'{"error": {"message": "%s Traceback"}}' % SECRET.encode()
DELTA = {"type": "speech.audio.delta", "audio": "//s="}
DONE = {"type": "speech.audio.done", "usage": {"input_tokens": 9, "output_tokens": 9}}
WORD = {"type": "transcript.text.delta", "delta": "The sea"}
SPOKEN = {"type": "transcript.text.done", "text": "The sea"}

# By what is asked for: what the engine sends, and the status that its caller sees.
SPEECHES: dict[str, tuple[tuple[bytes, ...], int]] = {
    "dies before it speaks": ((), 503),
    "says nothing": ((AUDIO % 0,), 503),
    "sends a page": ((b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<p>", ERROR), 503),
    "sends an error as an answer": ((JSON, ERROR), 503),
    "refuses": (refused(400), 400),
    "is busy": (refused(429), 429),
}
TEXTS: dict[str, tuple[Json, tuple[bytes, ...], int]] = {
    "says no text": ({}, (JSON, b'{"words": []}'), 503),
    "says a list": ({}, (JSON, b"[]"), 503),
    "says no JSON": ({}, (JSON, b"The sea"), 503),
    "dies": ({}, (), 503),
    "refuses": ({}, refused(400), 400),
    "streams unasked": ({}, (SSE, event(WORD), event(SPOKEN)), 503),
    "knows JSON alone": ({"response_format": "srt"}, (JSON, b'{"text": "The sea"}'), 400),
    "does not stream": ({"stream": "true"}, (JSON, b'{"text": "The sea"}'), 503),
}


@pytest.fixture
def provider(market: RealMarket) -> Provider:
    provider = market.launch_provider(None, "--engine-concurrency", "8")
    speeches = {name: sent for name, (sent, _) in SPEECHES.items()}
    whole = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{"text" : "The sea", "zz": 1.0}'
    provider.engine.on = {
        SPEECH: {
            "The sea": (AUDIO % len(SOUND), SOUND[:1], SOUND[1:]),
            "dies as it speaks": (AUDIO % len(SOUND), SOUND[:70_000]),
            "waits": (AUDIO % len(SOUND), SOUND[:70_000], b"", SOUND[70_000:]),
            "in events": (SSE, event(DELTA), event(DONE)),
            "breaks off": (SSE, event(DELTA)),
            **speeches,
        },
        TRANSCRIPTIONS: {
            "well.mp3": (whole,),
            "srt.mp3": (b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n1\n00:00 --> 00:01\nThe sea\n",),
            "live.mp3": (SSE, event(WORD), event(SPOKEN)),
            "half.mp3": (SSE, event(WORD)),
            **{f"{name}.mp3": sent for name, (_, sent, _) in TEXTS.items()},
        },
    }
    market.await_stream(provider)
    eventually(lambda: b'"speech"' in market.rest.get(f"/v1/models/{MODEL}").content, "its paths", 30)
    return provider


def speech(text: str, **more: Any) -> Json:
    return {"model": MODEL, "input": text, **more}


def written(renter: Renter, name: str, **fields: str) -> httpx.Response:
    file = (f"{name}.mp3", RECORDING, "audio/mpeg")
    return renter.post(TRANSCRIPTIONS, data={"model": MODEL.lower(), **fields}, files={"file": file})


def test_what_engines_say_passes(market: RealMarket, provider: Provider, renter: Renter) -> None:
    said = renter.post(SPEECH, speech("The sea", voice="any"))
    assert (said.headers["content-type"], said.content) == ("audio/mpeg", SOUND)
    assert json.loads(provider.engine.asked_whole[-1]) == speech("The sea", voice="any")
    events = renter.post(SPEECH, speech("in events", stream_format="sse")).text
    paid = {"input_tokens": 9, "output_tokens": 0, "total_tokens": 9}
    assert json.loads(events.split("data: ")[1]) == DELTA
    assert json.loads(events.split("data: ")[2])["usage"] == paid
    text = written(renter, "well", language="ar")
    assert text.content.startswith(b'{"text" : "The sea", "zz": 1.0,"id":')
    assert text.json()["usage"] == {"type": "tokens", "input_tokens": 6, "output_tokens": 2, "total_tokens": 8}
    sent = provider.engine.asked_whole[-1]
    assert RECORDING in sent
    assert b'name="language"\r\n\r\nar\r\n' in sent
    assert f'name="model"\r\n\r\n{MODEL}\r\n'.encode() in sent
    file = sent.partition(RECORDING)[0].rpartition(b"\r\n--")[2]
    assert b"Content-Type: audio/mpeg\r\n" in file
    assert b'filename="well.mp3"\r\n' in file
    srt = written(renter, "srt", response_format="srt")
    assert (srt.headers["content-type"], srt.text) == ("text/plain; charset=utf-8", "1\n00:00 --> 00:01\nThe sea\n")
    assert '"transcript.text.done"' in written(renter, "live", stream="true").text
    assert "data: [DONE]" in written(renter, "live", stream="true").text


def test_what_engines_do_wrong(market: RealMarket, provider: Provider, renter: Renter) -> None:
    with ThreadPoolExecutor(8) as pool:
        spoken = {name: pool.submit(renter.post, SPEECH, speech(name)) for name in SPEECHES}
        texts = {name: pool.submit(written, renter, name, **fields) for name, (fields, _, _) in TEXTS.items()}
        statuses = {name: call.result().status_code for name, call in spoken.items()}
        assert statuses == {name: status for name, (_, status) in SPEECHES.items()}
        statuses = {name: call.result().status_code for name, call in texts.items()}
        assert statuses == {name: status for name, (_, _, status) in TEXTS.items()}
    answers = [call.result().text for call in (*spoken.values(), *texts.values())]
    # An end that is none shows as such: the connection breaks, or an event says it.
    with market.rest.stream(SPEECH, method="POST", key=renter.key, json=speech("dies as it speaks")) as response:
        assert response.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            response.read()
    answers.append(renter.post(SPEECH, speech("breaks off", stream_format="sse")).text)
    answers.append(written(renter, "half", stream="true").text)
    assert all('"provider_unavailable"' in answer for answer in answers[-2:])
    assert not any(word in answer for answer in answers for word in (SECRET, "10.9.8.7", "Traceback"))
    assert renter.balance() == 1000
    assert provider.daemon.is_alive
    assert "runner_failed" not in provider.daemon.said


def test_who_hangs_up_stops_the_engine(market: RealMarket, provider: Provider, renter: Renter) -> None:
    with market.rest.stream(SPEECH, method="POST", key=renter.key, json=speech("waits")) as response:
        assert next(response.iter_raw())
        asked = provider.engine.next_request()
    assert asked.abandoned.wait(30)
    eventually(lambda: renter.job(1)["status"] == "cancelled", "the call's end", 30)
    assert renter.job(1)["prompt_tokens"] == len("waits")
