"""An engine answers as many calls at once as it takes, whatever GPUs there are (6.2)."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.stream_daemon import StreamDaemon
from tests.contract.expect import answered
from tests.contract.inference.chat import CHAT, HELLO, Caller, begin, envelope, finish

NO_QUEUE = pytest.mark.settings(completion_queue_seconds=0)


def with_slots(daemon: StreamDaemon, count: int) -> StreamDaemon:
    daemon.state.inference_slots = count
    daemon.beat()
    return daemon


@NO_QUEUE
def test_as_many_calls_as_the_engine_takes(renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    with_slots(daemon, 3)
    calls = []
    leases = []
    for _ in range(3):
        calls.append(caller.ask())
        leases.append(begin(daemon))
    envelope(renter.post(CHAT, HELLO), 503, "no_capacity_available")
    for lease in leases:
        finish(daemon, lease)
    for call in calls:
        answered(call.result())
    again = caller.ask()
    finish(daemon, begin(daemon))
    answered(again.result())


@NO_QUEUE
def test_calls_and_jobs_keep_nobody_from_the_other(renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    with_slots(daemon, 1)
    job = renter.submit()
    running = daemon.accept(daemon.expect("offer"))
    call = caller.ask()
    lease = begin(daemon)
    assert renter.job(job["id"])["status"] == "running"
    waiting = renter.submit()
    assert renter.job(waiting["id"])["status"] == "queued"
    finish(daemon, lease)
    answered(call.result())
    assert running.lease.attempt_number == 1
    assert not daemon.beat().offers


@NO_QUEUE
def test_a_daemon_that_says_nothing_of_calls_takes_one_a_gpu(
    renter: Renter, daemon: StreamDaemon, caller: Caller
) -> None:
    call = caller.ask()
    lease = begin(daemon)
    envelope(renter.post(CHAT, HELLO), 503, "no_capacity_available")
    finish(daemon, lease)
    answered(call.result())


@NO_QUEUE
def test_the_share_in_use_decides(
    market: LocalMarket, provider: PollDaemon, daemon: StreamDaemon, caller: Caller
) -> None:
    small, large = with_slots(daemon, 2), with_slots(market.connect(market.add_provider()), 8)
    first = caller.ask()
    leases = [(small, begin(small))]
    # A half of the small one is in use: the next four are for the large one.
    others = []
    for _ in range(3):
        others.append(caller.ask())
        leases.append((large, begin(large)))
    for owner, lease in leases:
        finish(owner, lease)
    for call in (first, *others):
        answered(call.result())


@pytest.mark.parametrize("path", ["/jobs", "/renters/me/jobs", "/jobs/active", "/jobs/1"])
def test_a_call_that_runs_is_shown_as_running(renter: Renter, daemon: StreamDaemon, caller: Caller, path: str) -> None:
    call = caller.ask()
    lease = begin(daemon)
    shown = renter.get(path).json()
    assert (shown["jobs"][0] if "jobs" in shown else shown["job"])["status"] == "running"
    finish(daemon, lease)
    answered(call.result())


def test_a_drained_engine_is_not_empty_before_its_last_call(
    market: LocalMarket, provider: PollDaemon, daemon: StreamDaemon, caller: Caller
) -> None:
    with_slots(daemon, 2)
    call = caller.ask()
    lease = begin(daemon)
    drained = answered(market.admin.post(f"/admin/providers/{provider.id}/drain"))
    assert (drained["status"], drained["jobs_held"]) == ("paused", 1)
    finish(daemon, lease)
    answered(call.result())
    shown = answered(market.admin.get(f"/admin/providers/{provider.id}"))["provider"]
    assert (shown["is_drained"], shown["jobs_held"]) == (True, 0)
