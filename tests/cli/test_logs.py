import json
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from dc1.cli.renter import jobs
from dc1.client import Client, StreamedEvent, UnreachableError
from dc1.client.calls import HttpCall
from dc1.client.synchronous import following
from tests.cli.answers import JOB
from tests.cli.conftest import Run, Start
from tests.cli.processes import START_SECONDS
from tests.cli.scripted_server import Reply, ScriptedServer

PATH = "GET /jobs/1/logs/stream"
FIRST = 'retry: 2000\n\n: keep-alive\n\nid: 1\ndata: {"type":"log","level":"info","line":"one","line_no":1}\n\n'
SECOND = 'id: 2\ndata: {"type":"log","level":"info","line":"two","line_no":2}\n\n'
END = 'id: 2\nevent: end\ndata: {"status":"completed"}\n\n'


def sse(*pieces: str) -> Reply:
    return Reply(list(pieces), media_type="text/event-stream")


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_PAUSE_SECONDS", 0.0)


def test_lines_come_in_order_until_the_end(server: ScriptedServer, run: Run) -> None:
    server.on(PATH, sse(FIRST, SECOND, END))

    result = run("renter", "logs", "1", "--since", "0")

    assert result.stdout == "[info] one\n[info] two\n"
    assert result.stderr == "The job is completed.\n"


def test_json_is_one_event_a_line(server: ScriptedServer, run: Run) -> None:
    server.on(PATH, sse(FIRST, END))

    events = [json.loads(line) for line in run("renter", "logs", "1", "--json").stdout.splitlines()]

    assert [event["event"] for event in events] == ["log", "end"]
    assert events[0]["line"] == "one"


def test_a_broken_stream_goes_on_behind_the_last_line(server: ScriptedServer, run: Run) -> None:
    server.on(PATH, sse(FIRST), sse(SECOND, END))

    result = run("renter", "logs", "1")

    assert result.stdout == "[info] one\n[info] two\n"
    assert [request.headers.get("last-event-id") for request in server.requests] == [None, "1"]


def test_a_restart_of_the_service_is_waited_for(server: ScriptedServer, run: Run) -> None:
    server.on(PATH, sse(FIRST), Reply({"error": "Service unavailable"}, 503), sse(SECOND, END))

    assert run("renter", "logs", "1").stdout == "[info] one\n[info] two\n"


def test_a_restart_of_the_whole_marketplace_is_waited_for(
    server: ScriptedServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on(PATH, sse(FIRST), sse(SECOND, END))
    events, calls = Client.events, iter(range(9))

    def gone_once(client: Client, call: HttpCall) -> Any:
        if next(calls) == 1:
            raise UnreachableError("Nothing answers.")
        return events(client, call)

    monkeypatch.setattr(Client, "events", gone_once)

    assert run("renter", "logs", "1").stdout == "[info] one\n[info] two\n"


def test_a_stream_that_never_ends_the_job_is_given_up(server: ScriptedServer, run: Run) -> None:
    server.on(PATH, sse(FIRST), sse())

    result = run("renter", "logs", "1")

    assert result.exit_code == 1
    assert "broke 10 times in a row" in result.stderr


def test_a_refused_stream_is_one_sentence(server: ScriptedServer, run: Run) -> None:
    server.on(PATH, Reply({"error": "Job not found"}, 404))

    result = run("renter", "logs", "1")

    assert (result.exit_code, result.stderr) == (1, "Job not found (HTTP 404).\n")


def test_text_and_lines_do_not_share_a_line(server: ScriptedServer, run: Run) -> None:
    server.on(PATH, sse('event: token\ndata: {"text":"half"}\n\n', FIRST, END))

    assert run("renter", "logs", "1").stdout == "half\n[info] one\n"


def test_ctrl_c_ends_in_one_sentence(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = start("renter", "logs", "1", DC1_URL=url, DC1_RENTER_KEY="dc1-renter-x")
        silent.settimeout(START_SECONDS)
        with silent.accept()[0]:
            assert command.end(signal.SIGINT) == 130

    assert command.stdout == ""
    assert command.stderr.strip().startswith("The job goes on")
    assert len(command.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("command", [["logs", "7", "--json"], ["submit", "a prompt", "--follow"]])
def test_ctrl_c_ends_the_looking_on_and_not_the_job(
    server: ScriptedServer, run: Run, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    def interrupted(*_: object, **__: object) -> Iterator[StreamedEvent]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(jobs, "follow_job_events", interrupted)
    server.on("POST /jobs/submit", Reply({"queued": False, "message": None, "job": JOB, "job_id": "7"}, 201))

    result = run("renter", *command)

    assert result.exit_code == 130
    assert "The job goes on; `dc1 renter logs 7` follows it" in result.stderr
    assert not [request for request in server.requests if request.path.endswith("/cancel")]
