"""What the client sends again, and what it says of what came to nothing."""

import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from dc1.client import (
    Client,
    ClientError,
    ConflictError,
    ConnectionBrokenError,
    InsufficientBalanceError,
    NotFoundError,
    RateLimitedError,
    UnavailableError,
    UnreachableError,
)
from dc1.client import retries as waits
from dc1.client.calls import reading
from dc1.client.synchronous import following, jobs
from tests.cli.scripted_server import Reply, ScriptedServer, scripted_server

SUBMITTED = Reply({"job": {"job_id": "job-1", "status": "queued"}}, 201)
EVENTS = "text/event-stream"
TROUBLE = Reply({"error": "Service unavailable"}, 503)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as script:
        yield script


@pytest.fixture
def client(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr(waits, "_FIRST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(following, "_PAUSE_SECONDS", 0.0)
    with Client(server.url, "dc1-renter-x") as client:
        yield client


def test_what_is_read_is_asked_for_again(server: ScriptedServer, client: Client) -> None:
    server.on("GET /renters/balance", TROUBLE, TROUBLE, Reply({"balance_halala": 7}))

    assert client.renter.balance()["balance_halala"] == 7
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_s_page_is_a_server_that_is_away(server: ScriptedServer, client: Client, status: int) -> None:
    """What stands before a marketplace says so in HTML while there is none behind it."""
    page = Reply("<html><h1>Bad gateway</h1></html>", status, "text/html")
    server.on("GET /renters/balance", page, page, Reply({"balance_halala": 7}))
    server.on("POST /renters/me/keys", page)
    server.on("GET /jobs/job-1", Reply({"job": {"job_id": "job-1", "status": "running"}}))
    server.on("GET /jobs/job-1/logs/stream", page, Reply(["event: end\ndata: {}\n\n"], media_type=EVENTS))

    assert client.renter.balance()["balance_halala"] == 7
    assert [event.kind for event in client.jobs.get("job-1").stream()] == ["end"]
    with pytest.raises(UnavailableError, match=f"in its place .HTTP {status}"):
        client.renter.create_key(["inference"])


def test_a_call_is_tried_for_as_long_as_its_caller_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(waits, "time", clock)

    def pauses(*errors: ClientError, is_known: bool, seconds: float = 30) -> list[float]:
        clock.now, found = 0.0, list[float]()
        attempts = waits.Attempts(reading("/x", {}, seconds), None, again_seconds=30, is_known=is_known)
        while (pause := attempts.pause_after(errors[min(len(found), len(errors) - 1)])) is not None:
            found.append(pause)
            clock.now += pause
        return found

    down, nobody = UnavailableError(503, {"error": "Service unavailable"}), UnreachableError("Nothing answers")
    # A machine that is busy takes 20 s to start a server.
    for waited in (
        pauses(down, is_known=False),
        pauses(nobody, is_known=True),
        pauses(ConnectionBrokenError("The connection broke"), nobody, is_known=False),
        pauses(down, is_known=True, seconds=300),
    ):
        assert 27 < sum(waited) < 30
        assert max(waited) <= 3
    assert sum(pauses(down, is_known=True, seconds=2)) < 2
    # Nobody comes back before the server said, nor at the moment that it said to everybody.
    told = pauses(UnavailableError(503, {}, {"retry-after": "1"}), is_known=True)
    assert min(told) > 1
    assert len(set(told)) == len(told)
    # Who mistyped an address hears of it sooner, and who called too often and is not told until when.
    assert len(pauses(nobody, is_known=False)) == len(pauses(RateLimitedError(429, {}), is_known=True)) == 3


def test_a_job_is_waited_for_while_its_server_is_started_anew(
    server: ScriptedServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def job(status: str) -> Reply:
        return Reply({"job": {"job_id": "job-1", "status": status}})

    server.on("GET /jobs/job-1", job("running"), job("running"), *[TROUBLE] * 6, job("completed"))
    assert client.jobs.get("job-1").wait(timeout_seconds=60)["status"] == "completed"
    server.on("GET /jobs/job-1", job("running"), TROUBLE)
    monkeypatch.setattr(jobs, "_PATIENCE_SECONDS", 0.0)
    with Client(server.url, "dc1-renter-x", retries=0) as hasty, pytest.raises(UnavailableError):
        hasty.jobs.get("job-1").wait()


def test_a_submission_is_sent_again_as_the_same(server: ScriptedServer, client: Client) -> None:
    busy = Reply(
        {"error": "A request with this Idempotency-Key is in progress", "code": "IDEMPOTENCY_IN_PROGRESS"}, 409
    )
    server.on("POST /jobs/submit", TROUBLE, busy, SUBMITTED)

    assert client.jobs.submit("Hi").id == "job-1"
    (key,) = {request.headers["idempotency-key"] for request in server.requests}
    assert len(key) == 32
    client.jobs.submit("Hi")
    assert server.requests[-1].headers["idempotency-key"] != key


def test_what_comes_while_a_list_is_read_repeats_no_row_of_it(server: ScriptedServer, client: Client) -> None:
    parts = [[5, 4], [4, 3], [2, 1]]
    listed = [
        Reply({"jobs": [{"id": number, "job_id": f"job-{number}"} for number in part], "total": 6}) for part in parts
    ]
    server.on("GET /jobs", *listed)

    assert [row["id"] for row in client.jobs.list(page_size=2)] == [5, 4, 3, 2, 1]


def test_what_is_done_with_every_call_is_sent_once(server: ScriptedServer, client: Client) -> None:
    server.on("POST /renters/me/keys", TROUBLE, SUBMITTED)

    with pytest.raises(UnavailableError):
        client.renter.create_key(["inference"])
    assert len(server.requests) == 1


def test_a_long_wait_is_the_caller_s_to_decide(server: ScriptedServer, client: Client) -> None:
    server.on("GET /renters/balance", Reply({"error": "Rate limit exceeded"}, 429, headers={"retry-after": "60"}))

    with pytest.raises(RateLimitedError) as caught:
        client.renter.balance()
    assert caught.value.retry_after_seconds == 60
    assert len(server.requests) == 1


def test_a_chat_that_comes_bit_by_bit_is_asked_again_before_it_begins(server: ScriptedServer, client: Client) -> None:
    busy = Reply({"error": {"message": "Busy"}}, 429, headers={"retry-after": "0"})
    said = Reply(['data: {"choices": [{"delta": {"content": "Blue"}}]}\n\n', "data: [DONE]\n\n"], 200, EVENTS)
    server.on("POST /v1/chat/completions", busy, busy, said)

    assert list(client.chat("m", "Hi", stream=True)) == ["Blue"]
    server.on("POST /v1/chat/completions", TROUBLE)
    # It may have begun behind who says so, and would be paid twice.
    with pytest.raises(UnavailableError):
        list(client.chat("m", "Hi", stream=True))
    assert len(server.requests) == 4


def test_an_error_carries_its_code_its_request_and_its_facts(server: ScriptedServer, client: Client) -> None:
    body = {"error": "Insufficient balance", "code": "INSUFFICIENT_BALANCE", "balance_halala": 3}
    server.on("POST /jobs/submit", Reply(body, 402, headers={"x-request-id": "abc"}))

    with pytest.raises(InsufficientBalanceError) as caught:
        client.jobs.submit("Hi")
    error = caught.value
    assert (error.code, error.request_id, error.body["balance_halala"]) == ("INSUFFICIENT_BALANCE", "abc", 3)
    assert str(error) == "Insufficient balance (HTTP 402; balance_halala 3)."


def test_errors_under_v1_are_read_in_their_envelope(server: ScriptedServer, client: Client) -> None:
    body = {"error": {"message": "No such model", "type": "invalid_request_error", "code": "model_not_found"}}
    server.on("POST /v1/chat/completions", Reply(body, 404))

    with pytest.raises(NotFoundError, match="No such model") as caught:
        client.chat("none", "Hi")
    assert caught.value.code == "model_not_found"


def test_a_conflict_is_not_repeated(server: ScriptedServer, client: Client) -> None:
    server.on("POST /jobs/submit", Reply({"error": "Other body", "code": "IDEMPOTENCY_MISMATCH"}, 409))

    with pytest.raises(ConflictError):
        client.jobs.submit("Hi", idempotency_key="mine")
    assert [request.headers["idempotency-key"] for request in server.requests] == ["mine"]


def test_nobody_there_is_said_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "_FIRST_PAUSE_SECONDS", 0.0)
    # Bound and not listened on: nobody else can take the port, and nobody answers there.
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        with Client(f"http://127.0.0.1:{reserved.getsockname()[1]}") as client, pytest.raises(UnreachableError):
            client.market.pricing()
