"""How much each daemon may have the server do."""

import pytest

from dc1.domain.errors import ApiError
from dc1.services.daemons.message_budget import MessageBudget
from dcp.v1 import daemon_stream_pb2 as pb

DAEMON = 7
LEASE = pb.LeaseRef(job_id="job-x", attempt_number=1)
TOKENS = pb.ConnectRequest(tokens=pb.TokenBatch(lease=LEASE, text="x"))
LOGS = pb.ConnectRequest(logs=pb.LogBatch(lease=LEASE, lines=[pb.LogRecord(message="x" * 2_000)] * 500))


class Seconds:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.passed = 100.0

    def __call__(self) -> float:
        return self.passed


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def budget(seconds: Seconds) -> MessageBudget:
    return MessageBudget(seconds)


def test_a_daemon_may_say_much_at_once_and_so_much_a_second_after_that(budget: MessageBudget, seconds: Seconds) -> None:
    for _ in range(3_900):
        budget.spend(DAEMON, TOKENS)
    assert budget.wait_seconds(DAEMON) == 0
    for _ in range(1_100):
        budget.spend(DAEMON, TOKENS)
    assert budget.wait_seconds(DAEMON) == pytest.approx(1, abs=0.05)
    seconds.passed += 1.1
    assert budget.wait_seconds(DAEMON) == 0


def test_what_is_said_together_costs_less_than_one_by_one(budget: MessageBudget, seconds: Seconds) -> None:
    for _ in range(400):
        budget.spend(DAEMON, pb.ConnectRequest(bundle=pb.RequestBundle(messages=[TOKENS] * 20)))
    assert budget.wait_seconds(DAEMON) == 0


def test_full_batches_of_logs_count_by_their_size(budget: MessageBudget) -> None:
    for _ in range(15):
        budget.spend(DAEMON, LOGS)
    assert budget.wait_seconds(DAEMON) == pytest.approx(0, abs=0.01)


def test_what_is_refused_costs_as_much_as_it_makes_the_server_do(budget: MessageBudget) -> None:
    progress = pb.ConnectRequest(progress=pb.Progress(lease=LEASE, phase="running"))
    for _ in range(100):
        budget.spend(DAEMON, progress)
        budget.spend_refused(DAEMON)
    assert budget.wait_seconds(DAEMON) == pytest.approx(1.5, abs=0.05)
    assert budget.wait_seconds(DAEMON + 1) == 0


def test_who_owes_nothing_is_forgotten(budget: MessageBudget, seconds: Seconds) -> None:
    for provider_id in range(1_000):
        budget.spend(provider_id, TOKENS)
        seconds.passed += 0.5
    assert len(budget) < 100


def test_a_stream_that_would_wait_for_longer_than_its_daemon_is_refused(
    budget: MessageBudget, seconds: Seconds
) -> None:
    large = pb.ConnectRequest(outcome=pb.Outcome(lease=LEASE, failure=pb.Failure(error="x" * 10_000_000)))
    for _ in range(4):
        budget.spend(DAEMON, large)
    with pytest.raises(ApiError) as refused:
        budget.require_little_wait(DAEMON)
    assert (refused.value.status, refused.value.retry_after_seconds) == (429, 5)
    seconds.passed += 1
    budget.require_little_wait(DAEMON)
