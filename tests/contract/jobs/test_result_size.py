"""What is taken as a result can be read, in every form; what cannot is refused before it is paid for."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dc1.domain.jobs.results import MAX_RESULT_BYTES, MAX_RESULT_VALUES
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json, Rest
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered, refused, show
from tests.contract.inference.chat import HELLO

# What is around a result in the largest body that the edge takes.
ROOM = MAX_RESULT_BYTES - 1000


def sized(head: str, piece: str, tail: str, size: int = ROOM) -> str:
    """JSON of about `size` bytes, never more."""
    count = (size - len(head.encode()) - len(tail.encode())) // len(piece.encode())
    return head + piece * count + tail


def send(rest: Rest, provider: PollDaemon, result: str, path: str = "/jobs/1/result") -> Any:
    return rest.rest("POST", path, content=f'{{"result":{result}}}'.encode(), key=provider.key)


@pytest.mark.parametrize(
    "result",
    [
        sized('"', "x", '"'),
        sized('{"response":"', "نص", '"}'),
        sized('{"text":"', "\\u0001", '"}'),
        # As many values as a result may have.
        '{"rows":[' + '{"a":[[[]]],"b":"\\"\\\\"},' * (MAX_RESULT_VALUES // 5 - 1) + "0]}",
        sized('"DC1_RESULT_JSON:{\\"text\\":\\"', "z", '\\"}"'),
    ],
    ids=["string", "arabic", "control", "nested", "marked"],
)
def test_the_largest_results_are_read_in_every_form(
    market: LocalMarket, rest: Rest, renter: Renter, provider: PollDaemon, result: str
) -> None:
    renter.submit()
    provider.next()
    answered(send(rest, provider, result))
    sent = json.loads(result)
    shown = answered(renter.get("/jobs/1/output"))
    if isinstance(sent, str) and sent.startswith("DC1_RESULT_JSON:"):
        sent = json.loads(sent.removeprefix("DC1_RESULT_JSON:"))
    assert shown["result"] == sent
    assert market.admin.get("/jobs/1/output").status_code == 200
    assert provider.get("/jobs/1/output").status_code == 200
    for path in ("/jobs/1", "/jobs/1/status", "/jobs", "/jobs/history", "/jobs/1/invoice", "/jobs/1/lifecycle"):
        answered(renter.get(path))
    for path in ("/jobs/1/stream", "/jobs/1/logs/stream", "/renters/me/export"):
        assert renter.get(path).status_code == 200


def test_a_large_image_is_read_as_bytes_and_as_json(rest: Rest, renter: Renter, provider: PollDaemon) -> None:
    image = b"\x89PNG\r\n\x1a\n" + b"\0" * (ROOM // 4 * 3 - 1000)
    renter.submit()
    provider.next()
    encoded = base64.b64encode(image).decode()
    answered(send(rest, provider, json.dumps({"type": "image", "format": "png", "image_base64": encoded})))
    assert renter.get("/jobs/1/output").content == image
    assert renter.get("/jobs/1/output/png").content == image
    shown = answered(renter.get("/jobs/1/output", headers={"accept": "application/json"}))
    assert shown["image_base64"] == encoded


@pytest.mark.parametrize("path", ["/jobs/1/result", "/providers/job-result"])
def test_numbers_that_grow_on_the_way_are_refused_before_they_are_paid(
    rest: Rest, renter: Renter, provider: PollDaemon, path: str
) -> None:
    renter.submit()
    provider.next()
    body = {"job_id": 1, "success": True} if path == "/providers/job-result" else {}
    content = json.dumps(body)[:-1] + (", " if body else "") + '"result":{"n":[' + "1e15," * 700_000 + "0]}}"
    refused(rest.rest("POST", path, content=content.encode(), key=provider.key), 413, "Request body too large")
    assert show(renter.job(1), "status", "actual_cost_halala") == {"status": "running", "actual_cost_halala": None}
    answered(provider.try_result(1, result="smaller"))


def test_json_that_is_nested_too_deeply_for_its_readers_is_a_text(
    rest: Rest, renter: Renter, provider: PollDaemon
) -> None:
    renter.submit()
    provider.next()
    text = 'DC1_RESULT_JSON:{"a":' + "[" * 900 + "]" * 900 + "}"
    answered(provider.try_result(1, result=text))
    assert answered(renter.get("/jobs/1/output"))["response"] == text


def test_a_result_on_the_stream_that_no_answer_can_hold_fails_its_job(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    daemon: StreamDaemon = market.connect(provider)
    fits, grows = "\x01" * (ROOM // 6), "\x01" * (ROOM // 6 + 1000)
    for job_id, text in ((1, fits), (2, grows)):
        renter.submit()
        receipt = daemon.finish(daemon.accept(daemon.expect("offer")).lease, {"response": text})
        assert receipt.verdict == pb.OUTCOME_VERDICT_SETTLED
        assert renter.get(f"/jobs/{job_id}/output").status_code == (200 if job_id == 1 else 410)
    assert answered(renter.get("/jobs/1/output"))["response"] == fits
    failed: Json = renter.job(2)
    assert show(failed, "status", "error", "actual_cost_halala") == {
        "status": "failed",
        "error": f"The result is larger than {MAX_RESULT_BYTES} bytes",
        "actual_cost_halala": 0,
    }


MANY = MAX_RESULT_VALUES + 1


def test_a_result_of_many_values_is_refused_before_it_is_paid(rest: Rest, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    refused(send(rest, provider, '{"n":[' + "0," * MANY + "0]}"), 413, "Request body too large")
    assert show(renter.job(1), "status", "actual_cost_halala") == {"status": "running", "actual_cost_halala": None}
    text = '{"n":[' + "0," * MANY + "0]}"
    answered(provider.try_result(1, result=text))
    assert answered(renter.get("/jobs/1/output"))["response"] == text


def test_a_result_of_many_values_on_the_stream_fails_its_job(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    daemon: StreamDaemon = market.connect(provider)
    for count in (MAX_RESULT_VALUES - 10, MANY):
        renter.submit()
        lease = daemon.accept(daemon.expect("offer")).lease
        assert daemon.finish(lease, {"n": [0] * count}).verdict == pb.OUTCOME_VERDICT_SETTLED
    assert answered(renter.get("/jobs/1/output"))["result"] == {"n": [0] * (MAX_RESULT_VALUES - 10)}
    assert show(renter.job(2), "status", "error") == {
        "status": "failed",
        "error": f"The result has more than {MAX_RESULT_VALUES} values",
    }


@pytest.mark.parametrize("stream", [False, True])
def test_the_largest_answer_to_a_call(
    market: LocalMarket, renter: Renter, provider: PollDaemon, *, stream: bool
) -> None:
    daemon: StreamDaemon = market.connect(provider)
    with ThreadPoolExecutor(1) as callers:
        call = callers.submit(renter.post, "/v1/chat/completions", {**HELLO, "stream": stream})
        daemon.finish(daemon.accept(daemon.expect("offer")).lease, {"response": "\x01" * (ROOM // 6)})
        answer = call.result()
    assert answer.status_code == 200
    assert answer.text.count("\\u0001") == ROOM // 6


@pytest.mark.settings(rate_limits_enabled=True)
def test_who_reads_large_outputs_again_and_again_is_told_to_wait(
    market: LocalMarket, rest: Rest, renter: Renter, provider: PollDaemon
) -> None:
    """Twenty readers of one output took the server from 200 to 551 MiB, and nine of them ran out of time."""
    for job_id, result in ((1, sized('"', "x", '"')), (2, '"small"')):
        renter.submit()
        provider.next()
        answered(send(rest, provider, result, f"/jobs/{job_id}/result"))
    with ThreadPoolExecutor(6) as readers:
        answers = list(readers.map(lambda _: renter.get("/jobs/1/output"), range(6)))
    limited = [answer for answer in answers if answer.status_code != 200]
    assert len(limited) == 4
    for answer in limited:
        assert 1 <= refused(answer, 429, "Rate limit exceeded")["retryAfterSeconds"] <= 10
        assert answer.headers["retry-after"]
    # What is small is, and the other party of the job has a budget of its own.
    answered(renter.get("/jobs/2/output"))
    answered(provider.get("/jobs/1/output"))
    eventually(lambda: renter.get("/jobs/1/output").status_code == 200, "room for another", 30)
