"""What a script remembers, says and repeats."""

import pytest

from dc1.testing.daemon_script import DaemonScript, lease
from dcp.v1 import daemon_stream_pb2 as pb
from dcp.v1 import report_pb2

ATTEMPT = ("job-1", 1)


def offer() -> pb.Offer:
    return pb.Offer(assignment=report_pb2.Assignment(job_id=ATTEMPT[0], attempt_number=ATTEMPT[1]))


def held(message: pb.ConnectRequest) -> list[tuple[str, int]]:
    return [(lease.lease.job_id, lease.phase) for lease in message.beat.state.leases]


@pytest.fixture
def script() -> DaemonScript:
    return DaemonScript(pb.DaemonState(job_types=["benchmark"]))


def test_a_lease_is_reported_from_its_acceptance_to_its_receipt(script: DaemonScript) -> None:
    script.hear(pb.ConnectResponse(offer=offer()))
    assert script.offered == [ATTEMPT]
    script.accept(ATTEMPT)
    assert held(script.beat()) == [("job-1", pb.LEASE_PHASE_ACCEPTED)]
    script.hear(pb.ConnectResponse(start=pb.Start(lease=lease(ATTEMPT))))
    assert held(script.beat()) == [("job-1", pb.LEASE_PHASE_RUNNING)]
    script.complete(ATTEMPT)
    assert held(script.beat()) == [("job-1", pb.LEASE_PHASE_ENDED)]
    receipt = pb.OutcomeReceipt(lease=lease(ATTEMPT), verdict=pb.OUTCOME_VERDICT_SETTLED)
    script.hear(pb.ConnectResponse(outcome_receipt=receipt))
    assert held(script.beat()) == []
    assert script.settled == [ATTEMPT]


def test_an_outcome_is_repeated_until_it_is_confirmed_or_not_wanted(script: DaemonScript) -> None:
    script.accept(ATTEMPT)
    told = script.complete(ATTEMPT)
    assert script.repetitions() == [told]
    script.hear(pb.ConnectResponse(stop=pb.Stop(lease=lease(ATTEMPT))))
    assert script.repetitions() == []
    assert script.settled == []


def test_a_start_that_is_repeated_revives_no_run(script: DaemonScript) -> None:
    script.accept(ATTEMPT)
    script.complete(ATTEMPT)
    desired = pb.Desired(starts=[pb.Start(lease=lease(ATTEMPT))])
    script.hear(pb.ConnectResponse(desired=desired))
    assert held(script.beat()) == [("job-1", pb.LEASE_PHASE_ENDED)]


def test_what_is_desired_replaces_the_offers_that_were_made(script: DaemonScript) -> None:
    script.hear(pb.ConnectResponse(offer=offer()))
    script.hear(pb.ConnectResponse(welcome=pb.Welcome(desired=pb.Desired())))
    assert script.offered == []


def test_a_script_may_report_something_else_than_what_it_holds() -> None:
    script = DaemonScript(pb.DaemonState(job_types=["benchmark"]), reports_held=False)
    script.accept(ATTEMPT)
    assert held(script.beat()) == []
    assert script.hello().hello.state.job_types == ["benchmark"]


def test_a_crash_forgets_everything(script: DaemonScript) -> None:
    script.accept(ATTEMPT)
    script.complete(ATTEMPT)
    script.forget()
    assert held(script.beat()) == []
    assert script.repetitions() == []
