"""What a client makes of answers that no marketplace gives, and of calls that cannot be sent."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dc1.client import (
    Client,
    ClientError,
    ConfigurationError,
    ConnectionBrokenError,
    InvalidRequestError,
    NoMarketplaceError,
    RateLimitedError,
    UnavailableError,
)
from dc1.client.synchronous import following
from tests.cli.scripted_server import Reply, ScriptedServer, scripted_server

EVENTS = "text/event-stream"
PIECE = 'data: {"id": "job-1", "choices": [{"delta": {"content": "Blue"}}]}\n\n'


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as script:
        yield script


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[Client]:
    with Client(server.url, "dc1-renter-x", retries=0) as client:
        yield client


@pytest.mark.parametrize("body", ["<html>", {"error": "Moved"}])
def test_a_key_is_not_told_where_a_redirect_leads(server: ScriptedServer, client: Client, body: Any) -> None:
    with scripted_server() as other:
        reply = Reply(body, 307, headers={"location": f"{other.url}/renters/balance"})
        server.on("GET /renters/balance", reply)
        server.on("GET /jobs/job-1/logs/stream", reply)

        with pytest.raises(NoMarketplaceError, match="leads elsewhere"):
            client.renter.balance()
        server.on("GET /jobs/job-1", Reply({"job": {"job_id": "job-1", "status": "queued"}}))
        with pytest.raises(NoMarketplaceError, match="leads elsewhere"):
            list(client.jobs.get("job-1").stream())
        assert not other.requests


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, NoMarketplaceError),
        (403, NoMarketplaceError),
        (404, NoMarketplaceError),
        (413, InvalidRequestError),
        (429, RateLimitedError),
        (500, UnavailableError),
        (520, UnavailableError),
    ],
)
def test_a_page_is_no_marketplace_unless_a_proxy_says_so(
    server: ScriptedServer, client: Client, status: int, error: type[ClientError]
) -> None:
    server.on("GET /renters/balance", Reply("<html>", status, "text/html", {"retry-after": "60"}))

    with pytest.raises(error) as caught:
        client.renter.balance()
    assert type(caught.value) is error
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda client, other: client.get(f"{other}/renters/balance"),
        lambda client, other: client.get("renters/balance"),
        lambda client, other: client.post("/jobs/submit", {"duration_minutes": float("nan")}),
        lambda client, other: client.post("/jobs/submit", {"prompt": "\ud800"}),
        lambda client, other: client.jobs.submit("Hi", idempotency_key="ключ"),
    ],
)
def test_a_call_that_cannot_be_sent_is_not(
    server: ScriptedServer, client: Client, call: Callable[[Client, str], Any]
) -> None:
    with scripted_server() as other, pytest.raises(ConfigurationError):
        call(client, other.url)
    assert not [*server.requests, *other.requests]


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "foo://me:secret@127.0.0.1:1", "http://[::1"])
def test_a_proxy_that_cannot_be_used_is_said_without_its_password(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("https_proxy", "")

    with pytest.raises(ConfigurationError, match="proxy") as caught:
        Client("https://market.example.sa", "dc1-renter-x")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", [f"http://{'a' * 64}.sa", "http://[::1", "ftp://market.example.sa"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is not an address"):
        Client(url, "dc1-renter-x")


def test_a_key_of_two_lines_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="line break"):
        Client("http://127.0.0.1:9", "dc1-renter-1\ndc1-renter-2")


@pytest.mark.parametrize(
    ("pieces", "error"),
    [([PIECE], ConnectionBrokenError), ([PIECE, "data: [1]\n\n"], NoMarketplaceError), (["data: {\n\n"], ClientError)],
)
def test_a_part_of_a_chat_is_not_taken_for_the_whole(
    server: ScriptedServer, client: Client, pieces: list[str], error: type[ClientError]
) -> None:
    server.on("POST /v1/chat/completions", Reply(pieces, media_type=EVENTS))

    with pytest.raises(error):
        list(client.chat("m", "Hi", stream=True))


def test_a_chat_is_asked_and_paid_once(server: ScriptedServer, client: Client) -> None:
    server.on("POST /v1/chat/completions", Reply([PIECE, "data: [DONE]\n\n"], media_type=EVENTS))
    stream = client.chat("m", "Hi", stream=True)

    assert list(stream) == ["Blue"]
    with pytest.raises(ClientError, match="once"):
        list(stream)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("steady", "is_followed"), [(-1.0, True), (3600.0, False)])
def test_a_job_that_says_nothing_is_followed_for_as_long_as_connections_hold(
    server: ScriptedServer, client: Client, monkeypatch: pytest.MonkeyPatch, steady: float, is_followed: bool
) -> None:
    monkeypatch.setattr(following, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(following, "_STEADY_SECONDS", steady)
    server.on("GET /jobs/job-1", Reply({"job": {"job_id": "job-1", "status": "running"}}))
    quiet, end = Reply([": keep-alive\n\n"], media_type=EVENTS), Reply(["event: end\ndata: {}\n\n"], media_type=EVENTS)
    server.on("GET /jobs/job-1/logs/stream", *[quiet] * 12, end)
    job = client.jobs.get("job-1")

    if is_followed:
        assert [event.kind for event in job.stream()] == ["end"]
    else:
        with pytest.raises(ConnectionBrokenError, match="10 times in a row"):
            list(job.stream())


def test_a_job_without_an_image_has_none(server: ScriptedServer, client: Client) -> None:
    server.on("GET /jobs/job-1", Reply({"job": {"job_id": "job-1", "status": "running"}}))
    server.on("GET /jobs/job-1/output", Reply({"status": "running"}, 202))

    with pytest.raises(ClientError, match="it is running"):
        client.jobs.get("job-1").image()


def test_logins_that_cannot_be_read_are_no_matter_to_who_needs_none(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("GET /renters/balance", Reply({}))
    file = tmp_path / "dc1" / "profiles.json"
    file.parent.mkdir()
    file.write_text("{}")
    file.chmod(0o644)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("DC1_URL", server.url)
    monkeypatch.setenv("DC1_RENTER_KEY", "dc1-renter-x")

    with Client() as client:
        client.renter.balance()
    # A system's user may have a file as its home.
    monkeypatch.setenv("XDG_CONFIG_HOME", str(file))
    with Client(role="provider") as client:
        assert client.get("/renters/balance").body == {}
