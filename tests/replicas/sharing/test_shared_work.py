"""A job that one replica serves is in the memory of no other, which knows how much of a machine is taken."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from dc1.control.cluster.telling import Telling
from dc1.control.control_plane import ControlPlane
from dc1.storage.cluster import change_feed
from dc1.storage.cluster.change_feed import Heard, Notifications, SharedTokens
from dc1.storage.cluster.news import News
from dc1.storage.engine import followed
from dc1.storage.engine.database import Connection
from dc1.testing.people import Renter, answered
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.sse import events
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2 as pb
from tests.replicas.pair import Pair


def taken(plane: ControlPlane, provider_id: int) -> tuple[int, int, int]:
    """How many jobs are known one by one, how many others run, and how much of the machine is taken."""
    provider = plane.fleet.get(provider_id)
    assert provider is not None
    return len(plane.leases), plane.replicas.jobs_elsewhere(provider_id)[1], provider.gpus_held


def test_of_a_job_that_runs_elsewhere_it_is_known_what_it_takes_and_a_cancel_reaches_it(
    pair: Pair, renter: Renter, served_at_a: tuple[PollDaemon, StreamDaemon]
) -> None:
    provider, daemon = served_at_a
    job = renter.submit()
    lease = daemon.accept(daemon.expect("offer")).lease
    plane = pair.b.server.market
    eventually(lambda: taken(plane, provider.id) == (0, 1, 1), "B counting what is taken")
    health = answered(pair.b.admin.get("/admin/fleet/health"))
    assert [each["jobs_running"] for each in health["providers"]] == [1]

    pair.b.renter(renter).cancel(job["id"])

    stop = daemon.expect("stop")
    assert (stop.lease, stop.reason) == (lease, pb.STOP_REASON_CANCELLED)
    eventually(lambda: taken(plane, provider.id) == (0, 0, 0), "B counting that nothing is taken")


def test_what_waits_at_one_server_goes_to_a_machine_that_gets_free_at_another(
    pair: Pair, renter: Renter, served_at_a: tuple[PollDaemon, StreamDaemon]
) -> None:
    """No server is told of each job that waits at another: who has room looks for it."""
    provider, daemon = served_at_a
    elsewhere, plane = pair.b.renter(renter), pair.b.server.market
    renter.submit()
    lease = daemon.accept(daemon.expect("offer")).lease
    eventually(lambda: taken(plane, provider.id) == (0, 1, 1), "B counting what is taken")
    waits = elsewhere.submit()
    assert waits["status"] == "queued"
    daemon.finish(lease, {"type": "text", "response": "ok"})
    assert daemon.expect("offer").assignment.job_id == waits["job_id"]
    eventually(lambda: waits["id"] not in plane.dispatcher.queue, "B knowing that it waits no more")


def test_who_asks_whether_a_machine_is_alive_has_nothing_to_do_with_its_jobs(
    pair: Pair, renter: Renter, served_at_a: tuple[PollDaemon, StreamDaemon]
) -> None:
    provider, daemon = served_at_a
    renter.submit()
    daemon.accept(daemon.expect("offer"))
    plane = pair.b.server.market
    eventually(lambda: taken(plane, provider.id) == (0, 1, 1), "B counting what is taken")
    assert pair.b.provider(provider).liveness() == "online"
    answered(pair.b.rest.get(f"/providers/{provider.id}/metrics"))
    assert taken(plane, provider.id) == (0, 1, 1)


def test_what_a_run_said_is_told_before_its_end(
    pair: Pair, renter: Renter, served_at_a: tuple[PollDaemon, StreamDaemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, daemon = served_at_a
    job = renter.submit()
    lease = daemon.accept(daemon.expect("offer")).lease
    told: list[str] = []
    is_sending, is_over, send = threading.Event(), threading.Event(), Notifications.send

    async def late(self: Notifications, shared: Sequence[Heard] = (), *, to: str | None = None) -> None:
        # What a server says from time to time may be on its way just then, and waits for nothing.
        if any(isinstance(item, SharedTokens) for item in shared):
            is_sending.set()
            await asyncio.to_thread(is_over.wait, 20)
        told.extend("text" for item in shared if isinstance(item, SharedTokens))
        told.extend("news" for item in shared if isinstance(item, News) and job["id"] in item.jobs)
        await send(self, shared, to=to)

    path = f"/jobs/{job['id']}/logs/stream"
    with events(pair.b.rest, path, key=renter.key, params={"tokens": "true"}) as stream:
        eventually(lambda: pair.a.has_readers_elsewhere(job["id"]), "A knowing that B reads it")
        daemon.send_tokens(lease, "The ")
        assert stream.next().data["text"] == "The "
        monkeypatch.setattr(Notifications, "send", late)
        daemon.send_tokens(lease, "sea ")
        assert is_sending.wait(20)
        # What comes while a notification is on its way leaves together.
        daemon.send_tokens(lease, "is blue.")
        daemon.finish(lease, {"type": "text", "response": "The sea is blue."})
        eventually(lambda: renter.job(job["id"])["status"] == "completed", "the end")
        is_over.set()
        assert [stream.next().data["text"] for _ in range(2)] == ["sea ", "is blue."]
        assert stream.next().name == "end"
    assert told[:3] == ["text", "text", "news"]


def test_what_an_operator_looks_at_has_no_other_server_read_anything(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written to the audit trail, which nobody keeps in memory."""
    database, told = pair.a.server.database, dict[str, bool]()
    write = database.write

    # By what is written: what a server does by the clock comes between, and may be everybody's.
    async def noted(work: Callable[[Connection], Any]) -> Any:
        def watched(conn: Connection) -> Any:
            result = work(conn)
            told[getattr(work, "__qualname__", "").partition(".")[0]] = followed.was_changed(conn)
            return result

        return await write(watched)

    monkeypatch.setattr(database, "write", noted)
    answered(pair.a.admin.get("/admin/dashboard"))
    assert pair.a.rest.get("/admin/dashboard").status_code == 401
    assert told["Auditor"] is False
    # One like it may have been refused before, and is counted then.
    assert not told.get("RefusedActs")


def test_jobs_that_come_and_go_elsewhere_are_never_read(
    pair: Pair,
    renter: Renter,
    served_at_a: tuple[PollDaemon, StreamDaemon],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, daemon = served_at_a
    read: list[int] = []
    read_rows = change_feed.followed

    def noted(conn: Connection, row_ids: list[int]) -> object:
        read.extend(row_ids)
        return read_rows(conn, row_ids)

    monkeypatch.setattr(change_feed, "followed", noted)
    ended = pair.b.server.market.job_watch.ended
    watcher = pair.add_renter()
    with events(pair.b.rest, "/jobs/stream", key=watcher.key) as watched:
        watched.next()
        for _ in range(3):
            renter.submit()
            daemon.finish(daemon.accept(daemon.expect("offer")).lease, {"type": "text", "response": "ok"})
        eventually(lambda: pair.b.server.market.job_watch.ended == ended + 3, "B counting that they ended")
    assert read == [], "not for those who watch jobs of their own, either"


def test_who_watches_elsewhere_sees_what_no_notification_told(
    pair: Pair,
    renter: Renter,
    served_at_a: tuple[PollDaemon, StreamDaemon],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, daemon = served_at_a

    async def lost(self: Notifications, shared: Sequence[Heard] = (), *, to: str | None = None) -> None:
        pass

    monkeypatch.setattr(Notifications, "send", lost)
    with events(pair.b.rest, "/jobs/stream", key=renter.key) as watched:
        watched.next()
        renter.submit()
        daemon.finish(daemon.accept(daemon.expect("offer")).lease, {"type": "text", "response": "ok"})
        seen = (job["status"] for event in watched for job in event.data.get("jobs", ()))
        assert "completed" in seen


def test_an_owner_who_asks_elsewhere_is_shown_the_job_that_runs(
    pair: Pair, renter: Renter, served_at_a: tuple[PollDaemon, StreamDaemon]
) -> None:
    provider, daemon = served_at_a
    renter.submit()
    daemon.accept(daemon.expect("offer"))
    escrow = answered(pair.b.provider(provider).get("/providers/earnings"))["escrow"]
    assert (escrow["held_jobs"], escrow["locked_jobs"]) == (0, 1)


def test_a_machine_that_is_suspended_elsewhere_loses_its_run(
    pair: Pair, renter: Renter, served_at_a: tuple[PollDaemon, StreamDaemon]
) -> None:
    provider, daemon = served_at_a
    job = renter.submit()
    lease = daemon.accept(daemon.expect("offer")).lease
    answered(pair.b.admin.post(f"/admin/providers/{provider.id}/suspend"))
    assert daemon.expect("stop").lease == lease
    assert renter.job(job["id"])["status"] == "queued"


def test_lines_that_are_read_at_two_servers_are_told_once(
    pair: Pair, renter: Renter, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    take = Telling.take

    def noted(self: Telling) -> list[tuple[str | None, News]]:
        found = take(self)
        told.extend(row_id for _, news in found for row_id in news.lines)
        return found

    monkeypatch.setattr(Telling, "take", noted)
    # One that polls is served by both, so that either has readers of a job that runs elsewhere.
    provider = pair.add_provider(pair.a)
    provider.heartbeat()
    job = renter.submit()
    assert provider.next()["job_id"] == job["job_id"]
    path = f"/jobs/{job['id']}/logs/stream"
    with events(pair.a.rest, path, key=renter.key) as at_a, events(pair.b.rest, path, key=renter.key) as at_b:
        for number in range(20):
            provider.logs(job["id"], [f"line {number}"])
            assert [each.next().data["line"] for each in (at_a, at_b)] == [f"line {number}"] * 2
        provider.result(job["id"])
        assert [each.next().name for each in (at_a, at_b)] == ["end", "end"]
    assert len(told) <= 20, "what is heard of is not told again"


def test_a_run_that_generated_is_paid_wherever_it_is_cancelled(
    pair: Pair, renter: Renter, served_at_a: tuple[PollDaemon, StreamDaemon]
) -> None:
    _, daemon = served_at_a
    job = renter.submit()
    lease = daemon.accept(daemon.expect("offer")).lease
    path = f"/jobs/{job['id']}/logs/stream"
    with events(pair.b.rest, path, key=renter.key, params={"tokens": "true"}) as stream:
        eventually(lambda: pair.a.has_readers_elsewhere(job["id"]), "A knowing that B reads it")
        daemon.send(progress=pb.Progress(lease=lease, phase="loading_model"))
        daemon.send_tokens(lease, "The sea ")
        assert stream.next().data["text"] == "The sea "
        pair.b.renter(renter).cancel(job["id"])
    assert renter.job(job["id"])["actual_cost_halala"] > 0
