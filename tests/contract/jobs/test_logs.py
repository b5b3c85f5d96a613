"""A job's log, page by page and live (contract 6.1; 7, vector 58)."""

from collections.abc import Callable

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json, Rest
from dc1.testing.sse import events
from tests.contract.expect import answered, refused, show

STREAM = "/jobs/1/logs/stream"


@pytest.fixture
def job_with_3_lines(renter: Renter, provider: PollDaemon) -> Json:
    job = renter.submit()
    provider.next()
    provider.logs(1, ["one", "two", "three"])
    provider.result(1)
    return job


@pytest.mark.usefixtures("job_with_3_lines")
def test_a_stream_resumes_after_the_last_event_seen(rest: Rest, renter: Renter) -> None:
    """Contract 7, vector 58."""
    with events(rest, STREAM, key=renter.key, headers={"last-event-id": "2"}) as stream:
        line, end = stream
        assert stream.retry == ["2000"]
    assert (line.id, line.name, line.data["line_no"]) == ("3", "", 3)
    assert end.name == "end"
    over = rest.get(STREAM, key=renter.key, headers={"last-event-id": end.id})
    assert (over.status_code, over.content) == (204, b"")


def test_a_line_has_its_documented_shape(market: LocalMarket, renter: Renter, job_with_3_lines: Json) -> None:
    with events(market.rest, STREAM, key=renter.key) as stream:
        assert stream.response.headers["cache-control"] == "no-cache, no-transform"
        assert stream.response.headers["x-accel-buffering"] == "no"
        seen = list(stream)
    assert seen[0].data == {
        "schema_version": "2026-03-20.v1",
        "type": "log",
        "event_type": "job.log",
        "line_no": 1,
        "level": "info",
        "line": "one",
        "attempt_number": 1,
        "logged_at": market.now(),
        "ts": market.now(),
    }
    assert [event.data.get("line") for event in seen] == ["one", "two", "three", None]
    assert seen[-1].data == {"type": "end", "status": "completed", "ts": market.now()}
    with events(market.rest, f"/jobs/{job_with_3_lines['job_id']}/logs/stream", key=renter.key) as by_public_id:
        assert [event.id for event in by_public_id] == [event.id for event in seen]


@pytest.mark.usefixtures("job_with_3_lines")
def test_the_header_wins_over_since(rest: Rest, renter: Renter) -> None:
    with events(rest, STREAM, key=renter.key, params={"since": 1}) as stream:
        assert [event.id for event in stream] == ["2", "3", "4"]
    with events(rest, STREAM, key=renter.key, params={"since": 1}, headers={"last-event-id": "3"}) as stream:
        assert [event.name for event in stream] == ["end"]


def test_live_lines_come_as_they_are_written(rest: Rest, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    with events(rest, STREAM, key=renter.key) as stream:
        provider.next()
        provider.logs(1, ["pulling"])
        assert stream.next().data["line"] == "pulling"
        provider.post("/jobs/1/logs", {"line": "نص <b>bold</b> 🌊\nsecond"})
        second = stream.next()
        assert (second.id, second.data["line"]) == ("2", "نص <b>bold</b> 🌊\nsecond")
        provider.result(1)
        assert [event.name for event in stream] == ["end"]


def test_a_cancelled_job_ends_its_stream(rest: Rest, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    with events(rest, STREAM, key=renter.key) as stream:
        answered(renter.cancel(1))
        (end,) = stream
    assert end.data["status"] == "cancelled"


def test_two_readers_see_the_same(rest: Rest, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    with (
        events(rest, STREAM, key=renter.key) as first,
        events(rest, STREAM, key=provider.key, headers={"last-event-id": "1"}) as second,
    ):
        provider.logs(1, ["one", "two"])
        provider.result(1)
        assert [event.id for event in first] == ["1", "2", "3"]
        assert [event.id for event in second] == ["2", "3"]


def test_generated_text_is_shown_to_those_who_ask_for_it(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    daemon = market.connect(provider)
    renter.submit()
    offer = daemon.expect("offer")
    lease = daemon.accept(offer).lease
    with (
        events(market.rest, STREAM, key=renter.key, params={"tokens": "true"}) as curious,
        events(market.rest, STREAM, key=renter.key) as other,
    ):
        daemon.send_tokens(lease, "بحر")
        token = curious.next()
        assert (token.name, token.data["type"], token.data["text"]) == ("token", "token", "بحر")
        daemon.send_logs(lease, 1, "done")
        assert curious.next().data["line"] == "done"
        daemon.finish(lease, {"type": "text", "response": "بحر"})
        assert [event.name for event in curious] == ["end"]
        assert [event.name for event in other] == ["", "end"]


def test_errors_before_the_first_frame_are_ordinary(rest: Rest, renter: Renter, market: LocalMarket) -> None:
    renter.submit()
    refused(rest.get(STREAM), 401, "API key required")
    refused(market.add_renter().get(STREAM), 403, "Forbidden")
    refused(renter.get("/jobs/job-nope/logs/stream"), 404, "Job not found")
    refused(renter.get(STREAM, params={"since": "x"}), 400)
    refused(renter.get(STREAM, params={"since": -1}), 400)


@pytest.mark.parametrize("path", [STREAM, "/jobs/1/stream"])
def test_a_websocket_is_refused_plainly(rest: Rest, renter: Renter, path: str) -> None:
    renter.submit()
    response = rest.get(
        path,
        key=renter.key,
        headers={
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        },
    )
    assert 400 <= response.status_code < 500


def test_pages_of_the_log(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    job = renter.submit()
    provider.next()
    wrote = provider.logs(1, [f"line {n}" for n in range(1, 6)])
    assert wrote == {"success": True, "lines_written": 5, "attempt_number": 1, "job_status": "running"}

    page = answered(renter.get("/jobs/1/logs", params={"since": 1, "limit": 2}))
    assert show(page, "job_id", "status", "total_lines", "has_more") == {
        "job_id": job["job_id"],
        "status": "running",
        "total_lines": 5,
        "has_more": True,
    }
    assert page["logs"][0] == {
        "line_no": 2,
        "level": "info",
        "message": "line 2",
        "attempt_number": 1,
        "logged_at": market.now(),
        "logged_at_ms": market.clock.now_ms(),
    }
    rest = answered(renter.get("/jobs/1/logs", params={"since": 3, "limit": 5000}))
    assert [line["line_no"] for line in rest["logs"]] == [4, 5]
    assert rest["has_more"] is False
    for bad in ({"limit": "many"}, {"limit": 0}, {"since": -1}, {"since": "x"}):
        refused(renter.get("/jobs/1/logs", params=bad), 400)


@pytest.mark.parametrize("route", ["/jobs/1/logs", "/providers/jobs/1/logs"])
def test_both_routes_take_lines(rest: Rest, renter: Renter, provider: PollDaemon, route: str) -> None:
    renter.submit()
    provider.next()
    method = "PATCH" if route.startswith("/providers") else "POST"

    def write(**body: object) -> Json:
        return answered(rest.rest(method, route, json={"api_key": provider.key, **body}))

    assert write(lines=[{"level": "error", "message": "a"}, {"message": "b"}])["lines_written"] == 2
    assert write(line="c")["lines_written"] == 1
    logs = answered(renter.get("/jobs/1/logs"))["logs"]
    assert [(line["level"], line["message"]) for line in logs] == [("error", "a"), ("info", "b"), ("info", "c")]
    for bad in (
        {"lines": [{"message": "x"}] * 501},
        {"lines": [{"level": "shout", "message": "x"}]},
        {"lines": [{"message": "x" * 2001}]},
        {"lines": "x"},
    ):
        refused(rest.rest(method, route, json=bad, key=provider.key), 400)
    assert answered(renter.get("/jobs/1/logs"))["total_lines"] == 3


def test_lines_may_follow_the_end(finished_job: Callable[[], int], provider: PollDaemon) -> None:
    row_id = finished_job()
    assert provider.logs(row_id, ["late"]) == {
        "success": True,
        "lines_written": 1,
        "attempt_number": 1,
        "job_status": "completed",
    }


def test_a_log_ends_a_minute_after_its_job(
    market: LocalMarket, finished_job: Callable[[], int], provider: PollDaemon, renter: Renter
) -> None:
    row_id = finished_job()
    market.advance(60)
    assert provider.logs(row_id, ["in time"])["lines_written"] == 1
    market.advance(1)
    body = {"lines": [{"message": "late"}]}
    for verb, path in (("POST", f"/jobs/{row_id}/logs"), ("PATCH", f"/providers/jobs/{row_id}/logs")):
        refused(market.rest.rest(verb, path, json=body, key=provider.key), 409, code="JOB_SETTLED")
    assert answered(renter.get(f"/jobs/{row_id}/logs"))["logs"][-1]["message"] == "in time"
