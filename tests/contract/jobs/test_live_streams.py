"""The states and the lifecycle of a job, live; and logs that are long (contract 6.1)."""

import pytest

from dc1.services.api import event_stream
from dc1.testing import server
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.sse import events
from tests.contract.expect import answered, refused, show
from tests.contract.fitting import fits
from tests.contract.shapes.jobs import JOB_STATE

STATES = "/jobs/1/stream"
LIFECYCLE = "/jobs/1/lifecycle/stream"


def test_the_states_of_a_job_as_they_come(market: LocalMarket, renter: Renter) -> None:
    job = renter.submit()
    with events(market.rest, STATES, key=renter.key) as stream:
        assert stream.response.headers["cache-control"] == "no-cache, no-transform"
        first = stream.next()
        assert stream.retry == ["2000"]
        assert (first.id, first.name) == ("1", "job_queued")
        assert first.data == {
            "event": "job_queued",
            "job_id": job["job_id"],
            "status": "queued",
            "provider_id": None,
            "progress_phase": None,
            "attempt_number": 0,
            "elapsed_sec": None,
            "tokens_used": 0,
            "cost_halala": 45,
            "ts": market.now(),
        }
        provider = market.add_provider()
        assert stream.next().name == "provider_assigned"
        provider.next()
        assert show(stream.next().data, "event", "provider_id", "attempt_number", "elapsed_sec") == {
            "event": "job_starting",
            "provider_id": provider.id,
            "attempt_number": 1,
            "elapsed_sec": 1,
        }
        market.advance(5)
        provider.progress(1, "loading_model")
        assert show(stream.next().data, "event", "progress_phase") == {
            "event": "job_starting",
            "progress_phase": "loading_model",
        }
        provider.progress(1, "generating")
        running = stream.next()
        assert (running.name, running.data["elapsed_sec"]) == ("job_running", 5)
        market.advance(90)
        provider.result(1, prompt_tokens=3, completion_tokens=5)
        done, end = stream
    fits(done.data, JOB_STATE)
    assert show(done.data, "event", "status", "elapsed_sec", "tokens_used", "cost_halala") == {
        "event": "job_completed",
        "status": "completed",
        "elapsed_sec": 95,
        "tokens_used": 8,
        "cost_halala": 23,
    }
    assert (end.name, show(end.data, "status", "ts")) == ("end", {"status": "completed", "ts": market.now()})


def test_the_present_state_comes_at_once(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    market.advance(30)
    with events(market.rest, STATES, key=provider.key) as stream:
        present = stream.next()
        assert (present.id, present.name, present.data["elapsed_sec"]) == ("2", "job_starting", 30)


def test_states_after_an_event(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    market.advance(10)
    answered(renter.cancel(1))

    def seen(headers: dict[str, str] | None = None, **params: int) -> list[tuple[str, str]]:
        with events(market.rest, STATES, key=renter.key, headers=headers, params=params) as stream:
            return [(event.id, event.name) for event in stream]

    assert seen() == [("3", "job_cancelled"), ("4", "end")]
    assert seen(since_sequence=0) == [
        ("1", "provider_assigned"),
        ("2", "job_starting"),
        ("3", "job_cancelled"),
        ("4", "end"),
    ]
    assert seen({"last-event-id": "2"}, since_sequence=0) == [("3", "job_cancelled"), ("4", "end")]
    assert seen({"last-event-id": "3"}) == [("4", "end")]
    # Whoever comes back after the last one is told that there is no more to come back for.
    for path in (STATES, LIFECYCLE):
        over = market.rest.get(path, key=renter.key, headers={"last-event-id": "4"})
        assert (over.status_code, over.content) == (204, b"")
        assert "content-type" not in over.headers


def test_the_states_of_a_lost_run_tell_its_time(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit(duration_minutes=20)
    provider.next()
    market.advance(40)
    answered(provider.try_result(1, error="pull timeout", transient=True))
    answered(renter.cancel(1))
    with events(market.rest, STATES, key=renter.key, params={"since_sequence": 1}) as stream:
        seen = [(event.name, event.data.get("elapsed_sec")) for event in stream]
    assert seen[:2] == [("job_starting", 1), ("job_queued", None)]
    assert seen[-2:] == [("job_cancelled", None), ("end", None)]


def test_a_retry_is_no_state_of_the_failed_job(renter: Renter, provider: PollDaemon, market: LocalMarket) -> None:
    renter.submit()
    provider.next()
    answered(provider.try_result(1, error="CUDA out of memory"))
    answered(renter.post("/jobs/1/retry"), 201)
    with events(market.rest, STATES, key=renter.key) as stream:
        assert [(event.id, event.name) for event in stream] == [("3", "job_failed"), ("5", "end")]


def test_the_lifecycle_as_it_comes(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    with events(market.rest, LIFECYCLE, key=renter.key) as stream:
        first = stream.next()
        assert (first.id, first.name) == ("1", "job.submitted")
        provider.next()
        assert (stream.next().name, provider.progress(1, "pulling").status_code) == ("job.status.changed", 200)
        phase = stream.next()
        assert (phase.name, phase.data["payload"]["progress_phase"]) == ("job.phase.changed", "pulling")
        provider.logs(1, ["not an event of the lifecycle"])
        provider.result(1)
        done, end = stream
    assert (done.id, done.name, end.name, end.data["status"]) == ("4", "job.completed", "end", "completed")
    listed = answered(renter.get("/jobs/1/lifecycle"))["events"]
    assert done.data == listed[-1]
    assert first.data == listed[0]
    with events(market.rest, LIFECYCLE, key=renter.key, params={"since_sequence": 1}) as resumed:
        assert [event.id for event in resumed] == ["2", "3", "4", "5"]
    with events(market.rest, LIFECYCLE, key=renter.key, headers={"last-event-id": "4"}) as resumed:
        assert [event.name for event in resumed] == ["end"]


@pytest.mark.parametrize("path", [STATES, LIFECYCLE])
def test_errors_before_the_first_frame_are_ordinary(market: LocalMarket, renter: Renter, path: str) -> None:
    renter.submit()
    refused(market.rest.get(path), 401, "API key required")
    refused(market.add_renter().get(path), 403, "Forbidden")
    refused(market.add_provider().get("/jobs/nope/stream"), 404, "Job not found")
    for bad in ({"since_sequence": "x"}, {"since_sequence": -1}):
        refused(renter.get(path, params=bad), 400)


@pytest.mark.parametrize("path", [STATES, LIFECYCLE, "/jobs/1/logs/stream"])
def test_silence_is_broken_by_comments(
    market: LocalMarket, renter: Renter, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_SECONDS", 0.05)
    renter.submit()
    with market.rest.stream(path, key=renter.key) as response:
        comments = (line for line in response.iter_lines() if line.startswith(":"))
        assert [next(comments), next(comments)] == [": keep-alive", ": keep-alive"]


@pytest.mark.parametrize("path", [STATES, LIFECYCLE, "/jobs/1/logs/stream"])
def test_a_server_that_stops_sends_its_readers_to_the_next_one(
    market: LocalMarket, renter: Renter, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than the test waits for the server's end.
    monkeypatch.setattr(server, "_DRAIN_SECONDS", 120.0)
    renter.submit()
    with events(market.rest, path, key=renter.key) as stream:
        seen = [] if path.endswith("logs/stream") else [stream.next()]
        market.stop_server()
        assert list(stream) == []
        assert stream.retry == ["2000"]
    market.start_server()
    answered(renter.cancel(1))
    last_id = seen[0].id if seen else "0"
    with events(market.rest, path, key=renter.key, headers={"last-event-id": last_id}) as resumed:
        assert [event.id for event in resumed] == (["2", "3"] if seen else ["1"])


def test_a_long_log_is_paged_and_streamed_in_order(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    total = 3_000
    renter.submit()
    provider.next()
    for start in range(0, total, 500):
        provider.logs(1, [f"line {number} " + "x" * 100 for number in range(start + 1, start + 501)])
    page = answered(renter.get("/jobs/1/logs", params={"since": 1_700, "limit": 1_000}))
    assert [line["line_no"] for line in page["logs"]] == list(range(1_701, 2_701))
    assert (page["total_lines"], page["has_more"]) == (total, True)
    provider.result(1)
    with events(market.rest, "/jobs/1/logs/stream", key=renter.key) as stream:
        seen = [event.id for event in stream]
    assert seen == [str(number) for number in range(1, total + 2)]


def test_a_slow_reader_misses_nothing_and_holds_nobody_up(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    batches, size = 8, 400
    renter.submit()
    provider.next()
    path = "/jobs/1/logs/stream"
    with events(market.rest, path, key=renter.key) as slow, events(market.rest, path, key=provider.key) as quick:
        for batch in range(batches):
            provider.logs(1, ["x" * 1_900] * size)
            assert [quick.next().id for _ in range(size)][-1] == str((batch + 1) * size)
        provider.result(1)
        assert [event.name for event in quick] == ["end"]
        assert [event.id for event in slow] == [*map(str, range(1, batches * size + 2))]


def test_whoever_watches_all_is_sent_to_the_next_server(market: LocalMarket) -> None:
    with events(market.rest, "/admin/providers/stream", key=server.ADMIN_TOKEN) as stream:
        assert [stream.next().name, stream.next().name] == ["snapshot", "ready"]
        market.stop_server()
        assert list(stream) == []
