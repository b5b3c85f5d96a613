"""Sound under /v1: texts that are read aloud, recordings that are written down (contract 6.2)."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import MODEL
from dc1.testing.rest import Json
from dc1.testing.stream_daemon import StreamDaemon
from dcp.v1 import daemon_stream_pb2, report_pb2
from tests.contract.expect import answered, show
from tests.contract.inference.chat import CHAT, begin_saying, envelope, say_events
from tests.contract.inference.paths import SPEECH, TRANSCRIPTIONS, TRANSLATIONS, WORDS, having, piece, transcribe

READ: Json = {"model": MODEL, "input": "The sea: بحر", "voice": "any"}
PART = b"Content-Disposition: form-data"
WELL = b'--x\r\n%s; name="file"; filename="a"\r\n\r\nx\r\n--x\r\n%s; name="model"\r\n\r\n%s\r\n' % (
    PART,
    PART,
    MODEL.encode(),
)
AUDIO_PATHS = (SPEECH, TRANSCRIPTIONS, TRANSLATIONS)


def speaking(daemon: StreamDaemon) -> StreamDaemon:
    return having(daemon, CHAT, *AUDIO_PATHS)


def test_sound_comes_as_it_is_made(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    speaking(daemon)
    sent = json.dumps({**READ, "zz": 12345678901234567890}, indent=1).encode()

    def begin() -> tuple[report_pb2.Assignment, daemon_stream_pb2.LeaseRef]:
        offer = daemon.expect("offer")
        lease = daemon.accept(offer).lease
        say_events(daemon, lease, piece("audio/mpeg", b"\xff\xfb\x00"))
        return offer.assignment, lease

    begun = pool.submit(begin)
    with market.rest.stream(SPEECH, method="POST", key=renter.key, content=sent) as response:
        assignment, lease = begun.result()
        assert (assignment.inference_path, assignment.inference_body) == (SPEECH, sent)
        pieces = response.iter_raw()
        assert next(pieces) == b"\xff\xfb\x00"
        assert response.headers["content-type"] == "audio/mpeg"
        say_events(daemon, lease, piece("audio/mpeg", b"\n\r\n\x00"), offset=1, is_last=True)
        daemon.finish(lease, {"type": "speech"}, prompt_tokens=3, completion_tokens=9)
        assert b"".join(pieces) == b"\n\r\n\x00"
    job = renter.job(1)
    # By the characters of what is read, whatever the provider says.
    expected = {"status": "completed", "prompt_tokens": 12, "completion_tokens": 0, "actual_cost_halala": 1}
    assert show(job, *expected) == expected


def test_sound_that_breaks_off_is_no_whole_answer(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    speaking(daemon)
    begun = pool.submit(begin_saying, daemon, piece("audio/mpeg", b"\xff\xfb"))
    with market.rest.stream(SPEECH, method="POST", key=renter.key, json=READ) as response:
        pieces = response.iter_raw()
        assert next(pieces) == b"\xff\xfb"
        daemon.fail(begun.result(), "it died", category="engine")
        with pytest.raises(httpx.RemoteProtocolError):
            list(pieces)
    assert renter.job(1)["status"] == "failed"
    assert renter.balance() == 1000


def test_no_answer_is_served_as_a_page(renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor) -> None:
    speaking(daemon)
    call = pool.submit(renter.post, SPEECH, READ)
    lease = begin_saying(daemon, piece("text/html", b"<script>"))
    say_events(daemon, lease, offset=1, is_last=True)
    daemon.finish(lease, {"type": "speech"})
    assert call.result().headers["content-type"] == "application/octet-stream"


def test_sound_that_is_no_base64_is_left_out(renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor) -> None:
    speaking(daemon)
    call = pool.submit(renter.post, SPEECH, READ)
    lease = begin_saying(daemon, {**piece("audio/mpeg", b""), "data": "بحر"}, {**piece("audio/mpeg", b""), "data": "?"})
    say_events(daemon, lease, piece("audio/mpeg", b"\xff"), offset=2, is_last=True)
    daemon.finish(lease, {"type": "speech"})
    assert (call.result().status_code, call.result().content) == (200, b"\xff")


def test_who_is_far_behind_a_sound_is_cut_off(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    speaking(daemon)
    begun = pool.submit(begin_saying, daemon, piece("audio/mpeg", b"\xff\xfb"))
    with market.rest.stream(SPEECH, method="POST", key=renter.key, json=READ) as response:
        pieces = response.iter_raw()
        assert next(pieces) == b"\xff\xfb"
        lease = begun.result()
        # More than the server, the edge and both kernels keep for who does not read.
        for at in range(1, 97):
            say_events(daemon, lease, piece("audio/mpeg", bytes(192 * 1024)), offset=at, is_last=at == 96)
        daemon.finish(lease, {"type": "speech"})
        with pytest.raises(httpx.RemoteProtocolError):
            list(pieces)


def test_who_hangs_up_pays_for_what_is_read(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    speaking(daemon)
    begun = pool.submit(begin_saying, daemon, piece("audio/mpeg", b"\xff\xfb"))
    with market.rest.stream(SPEECH, method="POST", key=renter.key, json={**READ, "input": "x" * 60_000}) as response:
        assert next(response.iter_raw()) == b"\xff\xfb"
    daemon.expect("stop")
    assert begun.result().job_id == renter.job(1)["job_id"]
    assert show(renter.job(1), "status", "prompt_tokens") == {"status": "cancelled", "prompt_tokens": 60_000}


@pytest.mark.parametrize("path", [TRANSCRIPTIONS, TRANSLATIONS])
def test_a_recording_is_carried_and_its_words_are_paid(
    renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor, path: str
) -> None:
    speaking(daemon)
    recording = bytes(range(256)) * 10 + b"\r\n--x\r\n"
    call = pool.submit(transcribe, renter, recording, path, language="ar")
    offer = daemon.expect("offer")
    body = json.loads(offer.assignment.inference_body)
    assert base64.b64decode(body["file"].pop("data")) == recording
    file = {"filename": "بحر.mp3", "content_type": "audio/mpeg"}
    assert body == {"language": "ar", "model": MODEL, "file": file}
    lease = daemon.accept(offer).lease
    said: Json = {"text": "The sea", "usage": {"type": "duration", "seconds": 2}}
    say_events(daemon, lease, said, is_last=True)
    daemon.finish(lease, {"type": "text", "response": "The sea"}, prompt_tokens=9999, completion_tokens=2)
    job = renter.job(1)
    usage = {"type": "tokens", "seconds": 2, "input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    assert answered(call.result()) == {"text": "The sea", "usage": usage, "id": job["job_id"], "model": MODEL}
    assert show(job, "prompt_tokens", "completion_tokens") == {"prompt_tokens": 3, "completion_tokens": 2}


def test_words_in_other_forms(renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor) -> None:
    speaking(daemon)
    call = pool.submit(transcribe, renter, b"x", response_format="vtt")
    lease = begin_saying(daemon)
    say_events(daemon, lease, piece("text/vtt; charset=utf-8", "WEBVTT\n\nبحر".encode()), is_last=True)
    daemon.finish(lease, {"type": "text", "response": "بحر"}, completion_tokens=1)
    assert call.result().headers["content-type"] == "text/vtt; charset=utf-8"
    assert call.result().text == "WEBVTT\n\nبحر"
    call = pool.submit(transcribe, renter, b"x", stream="true")
    lease = begin_saying(daemon, {"type": "transcript.text.delta", "delta": "The "})
    done: Json = {"type": "transcript.text.done", "text": "The sea", "usage": {"input_tokens": 50, "output_tokens": 2}}
    say_events(daemon, lease, {"type": "transcript.text.delta", "delta": "sea"}, done, offset=1, is_last=True)
    daemon.finish(lease, {"type": "text", "response": "The sea"}, completion_tokens=2)
    *frames, end = [line[6:] for line in call.result().text.splitlines() if line.startswith("data: ")]
    said = [json.loads(frame) for frame in frames]
    assert end == "[DONE]"
    assert [event.get("delta") for event in said] == ["The ", "sea", None]
    # As the engine made it, but for the tokens that are paid.
    assert said[-1]["usage"] == {"type": "tokens", "input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    assert set(said[0]) == {"type", "delta"}


def test_the_official_client_reads_them(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    speaking(daemon)
    client = openai.OpenAI(base_url=f"{market.rest.url}/v1", api_key=renter.key, max_retries=0)
    call: Any = pool.submit(client.audio.speech.create, model=MODEL, input="sea", voice="any")
    lease = begin_saying(daemon, piece("audio/mpeg", b"\xff\xfb"))
    say_events(daemon, lease, offset=1, is_last=True)
    daemon.finish(lease, {"type": "speech"})
    assert call.result().content == b"\xff\xfb"
    call = pool.submit(client.audio.transcriptions.create, model=MODEL, file=("a.mp3", b"x"))
    lease = begin_saying(daemon)
    say_events(daemon, lease, {"text": "The sea"}, is_last=True)
    daemon.finish(lease, WORDS, completion_tokens=2)
    assert (call.result().text, call.result().usage.output_tokens) == ("The sea", 2)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"file": None}, "Missing required fields: file"),
        ({"model": None}, "Missing required fields: model"),
        ({"file": "text"}, "file must be one file"),
        ({"response_format": "mp3"}, "response_format must be one of"),
        ({"stream": "maybe"}, "stream must be true or false"),
        ({"stream": "true", "response_format": "srt"}, "stream is offered with a response_format of JSON only"),
    ],
)
def test_an_unusable_form(renter: Renter, form: Json, said: str) -> None:
    fields = {"model": MODEL, "file": ("a", b"x"), **form}
    parts: Any = [(name, each if isinstance(each, tuple) else (None, each)) for name, each in fields.items() if each]
    response = renter.post(TRANSCRIPTIONS, files=parts)
    assert said in envelope(response, 400, "invalid_request_error")["message"]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"model": "a/model", "file": "x"}'),
        ("multipart/form-data", b"--x--\r\n"),
        ("multipart/form-data; boundary=x", b"no form"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nhalf'),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--x--\r\n',
        ),
        # Well but for its end: what the last part would have said is lost.
        ("multipart/form-data; boundary=x", WELL + b'--x\r\nContent-Disposition: form-data; name="stream"\r\n\r\ntrue'),
        # An engine would be told the name in a header.
        (
            "multipart/form-data; boundary=x",
            WELL + b'--x\r\nContent-Disposition: form-data; name="a\nb"\r\n\r\n1\r\n--x--\r\n',
        ),
        ("multipart/form-data; boundary=x", WELL + b"--x\r\nA: b\r\n\r\n1\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", WELL + b'--x\r\n%s; name="a"\r\n\r\n1\r\n' % PART * 101 + b"--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"A: b\r\n" * 50 + b"\r\n\r\n--x--\r\n"),
    ],
)
def test_what_is_no_form(renter: Renter, content_type: str, body: bytes) -> None:
    response = renter.post(TRANSCRIPTIONS, content=body, headers={"content-type": content_type})
    envelope(response, 400, "invalid_request_error")


def test_a_recording_to_the_limit(renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor) -> None:
    speaking(daemon)
    envelope(transcribe(renter, bytes(8 * 1024 * 1024)), 413, "invalid_request_error")
    recording = bytes(8 * 1024 * 1024 - 1000)
    call = pool.submit(transcribe, renter, recording)
    offer = daemon.expect("offer")
    assert base64.b64decode(json.loads(offer.assignment.inference_body)["file"]["data"]) == recording
    lease = daemon.accept(offer).lease
    say_events(daemon, lease, {"text": "silence"}, is_last=True)
    daemon.finish(lease, WORDS, completion_tokens=1)
    assert answered(call.result())["usage"]["input_tokens"] == 8388


def test_a_daemon_that_carries_no_sound_is_given_none(renter: Renter, daemon: StreamDaemon) -> None:
    having(daemon, CHAT, *AUDIO_PATHS, carried=())
    said = envelope(renter.post(SPEECH, READ), 400, "invalid_request_error")["message"]
    assert said == f"No provider of model '{MODEL}' serves {SPEECH}; it answers on {CHAT}"
    envelope(renter.post(SPEECH, {**READ, "model": "none/none"}), 404, "model_not_found")
