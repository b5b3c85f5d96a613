"""A daemon that says much and reads nothing."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format

from dc1.domain.jobs.states import JOB_TYPES
from dc1.testing.edge import Edge
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import REPORT
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2 as pb
from dcp.v1 import report_pb2
from dcp.v1.provider_service_pb2_grpc import ProviderServiceStub
from tests.faults.market import RealMarket
from tests.faults.test_log_flood import memory_mib

PROMPT = "x" * 100_000
LARGEST_GROWTH_MIB = 32
"""Kept for who reads nothing, the answers would be 50 MB a second."""


@pytest.fixture
def market(edge: Edge, tmp_path: Path) -> Iterator[RealMarket]:
    """A server that waits for as long as the beats take."""
    market = RealMarket(edge, tmp_path, beat_interval_seconds=2, offer_timeout_seconds=120)
    try:
        market.start_server()
        yield market
    finally:
        market.close()


class DeafDaemon:
    """A stream of one's own, of which no answer is ever read."""

    def __init__(self, target: str, key: str) -> None:
        report = json_format.ParseDict(REPORT, report_pb2.HeartbeatRequest())
        self._state = pb.DaemonState(report=report, job_types=JOB_TYPES)
        self._doubted = pb.LeaseRef()
        self._may_speak = threading.Event()
        self._channel = grpc.insecure_channel(target)
        self._call = ProviderServiceStub(self._channel).Connect(self._messages(), metadata=(("x-provider-key", key),))

    def speak(self, job_id: str) -> None:
        """Say as much as the server takes, and call the offer of a job unknown, so that it comes in full each time."""
        self._doubted = pb.LeaseRef(job_id=job_id, attempt_number=1)
        self._may_speak.set()

    def _messages(self) -> Iterator[pb.ConnectRequest]:
        yield pb.ConnectRequest(hello=pb.Hello(instance_id="deaf", state=self._state))
        self._may_speak.wait()
        self._state.unknown_offers.append(self._doubted)
        for sequence in itertools.count(1):
            yield pb.ConnectRequest(beat=pb.Beat(sequence=sequence, state=self._state))
            # This has an answer of its own, which no later one replaces.
            yield pb.ConnectRequest(accept=pb.Accept(lease=pb.LeaseRef(job_id="job-x", attempt_number=1)))

    def close(self) -> None:
        self._may_speak.set()
        self._call.cancel()
        self._channel.close()


@pytest.fixture
def deaf(market: RealMarket, edge: Edge) -> Iterator[DeafDaemon]:
    daemon = DeafDaemon(edge.target, market.add_account().key)
    eventually(lambda: '"stream_opened"' in market.server.said, "the stream", 20)
    yield daemon
    daemon.close()


def test_a_daemon_that_reads_nothing_costs_little_and_is_cut_off(
    market: RealMarket, renter: Renter, deaf: DeafDaemon
) -> None:
    job = renter.submit(params={"prompt": PROMPT})
    before = memory_mib(market.server.pid, "VmRSS")
    deaf.speak(job["job_id"])
    eventually(lambda: '"stream_closed"' in market.server.said, "the stream being given up", 60)
    assert memory_mib(market.server.pid, "VmHWM") - before < LARGEST_GROWTH_MIB
