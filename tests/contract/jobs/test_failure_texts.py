"""A daemon's own words about a failure reach its owner and admins, and no renter by any way."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.stream_daemon import StreamDaemon, lease_of
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered
from tests.contract.inference.chat import HELLO
from tests.support.receiver import CERTIFICATE, Receiver

WORDS = "http://10.9.8.7:8000/v1/ cannot be reached: ConnectError /home/omar/.cache"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    receiver = Receiver()
    yield receiver
    receiver.close()


def everything(renter: Renter, job_id: int) -> str:
    """All that a renter can read of a job, one after the other."""
    paths = ("", "/output", "/status", "/lifecycle", "/executions", "/logs", "/output/png")
    said = [renter.get(f"/jobs/{job_id}{path}").text for path in paths]
    lists = ("/jobs", "/renters/jobs", "/renters/me/jobs/export", "/renters/me", "/jobs/history")
    said += [renter.get(path).text for path in lists]
    said += [renter.get(f"/jobs/{job_id}{path}/stream").text for path in ("/lifecycle", "/logs")]
    said.append(renter.get(f"/jobs/{job_id}/stream").text)
    return "\n".join(said)


def is_private(said: str) -> bool:
    return not any(part in said for part in ("10.9.8.7", "/home", "ConnectError"))


@pytest.mark.settings(webhook_allow_private=True)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/jobs/1/result", {"error": WORDS}),
        ("/jobs/1/fail", {"error": WORDS}),
        ("/providers/job-result", {"job_id": 1, "success": False, "error": WORDS, "last_error": WORDS}),
        ("/providers/job-result", {"job_id": 1, "success": False, "last_error": WORDS}),
    ],
)
def test_words_of_a_polling_daemon(
    market: LocalMarket, renter: Renter, provider: PollDaemon, receiver: Receiver, path: str, body: Any
) -> None:
    answered(market.rest.patch("/renters/settings", {"webhook_url": receiver.url}, key=renter.key))
    renter.submit()
    provider.next()
    answered(provider.post(path, body))
    job = renter.job(1)
    assert (job["status"], job["error"], job["error_category"]) == ("failed", "The run failed", "execution")
    assert is_private(everything(renter, 1))
    bodies = [request.body.decode() for request in receiver.wait(2)]
    assert all(map(is_private, bodies))
    assert {json.loads(body)["job"]["error"] for body in bodies} == {None, "The run failed"}

    def detail(key: Any) -> Any:
        (run,) = answered(market.rest.get("/jobs/1/executions", key=key))["executions"]
        return run["error_detail"]

    assert (detail(renter.key), detail(provider.key), detail(market.admin.token)) == (None, WORDS, WORDS)


def test_words_of_every_attempt_stay_with_who_made_it(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    renter.submit()
    provider.next()
    answered(provider.try_result(1, error=WORDS, transient=True))
    assert renter.job(1)["retry_reason"] == "The run failed"
    answered(provider.post("/providers/pause", {"key": provider.key}))
    second = market.add_provider()
    market.next_job(second)
    answered(second.try_result(1, error="exited with status 3: /home/sara"))
    assert renter.job(1)["error"] == "The program ended with exit code 3"
    assert is_private(everything(renter, 1))
    runs = answered(second.get("/jobs/1/executions"))["executions"]
    assert [run["error_detail"] for run in runs] == [None, "exited with status 3: /home/sara"]
    runs = answered(market.admin.get("/jobs/1/executions"))["executions"]
    assert [run["error_detail"] for run in runs] == [WORDS, "exited with status 3: /home/sara"]


def test_words_on_the_stream(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    daemon = market.connect(provider)
    renter.submit()
    lease = lease_of(daemon.expect("offer"))
    daemon.send(decline=pb.Decline(lease=lease, reason=WORDS))
    eventually(lambda: "The provider declined the offer" in messages(renter), "the word of the refusal")
    assert is_private(everything_but_streams(renter, 1))


def messages(renter: Renter) -> list[str | None]:
    return [event["message"] for event in answered(renter.get("/jobs/1/lifecycle"))["events"]]


def everything_but_streams(renter: Renter, job_id: int) -> str:
    return "\n".join(renter.get(f"/jobs/{job_id}{path}").text for path in ("", "/output", "/lifecycle", "/executions"))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("declined", [False, True])
def test_words_about_a_call(
    market: LocalMarket, renter: Renter, provider: PollDaemon, *, stream: bool, declined: bool
) -> None:
    daemon: StreamDaemon = market.connect(provider)
    with ThreadPoolExecutor(1) as callers:
        call = callers.submit(renter.post, "/v1/chat/completions", {**HELLO, "stream": stream})
        offer = daemon.expect("offer")
        if declined:
            daemon.send(decline=pb.Decline(lease=lease_of(offer), reason=WORDS))
        else:
            daemon.fail(daemon.accept(offer).lease, WORDS)
        refusal = call.result()
    assert refusal.status_code == 503
    why = "The provider declined the offer" if declined else "The run failed"
    assert refusal.json()["error"]["message"] == f"The provider could not answer: {why}"
    assert is_private(everything(renter, 1))
