"""A job that prints a hundred thousand lines, in front of readers of every speed."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dc1.testing.edge import Edge
from dc1.testing.people import Renter, answered
from dc1.testing.poll_daemon import REPORT, PollDaemon
from dc1.testing.stream_daemon import StreamDaemon
from dcp.v1 import daemon_stream_pb2 as pb
from tests.faults.market import RealMarket, submit

# It is patient with a daemon that has much to say.
pytestmark = pytest.mark.settings(beat_interval_seconds=10)

LINES = 100_000
BATCH = 500
PAGE = 1_000
STARTED = LINES // 5
"""So many lines have been printed when memory is looked at first: caches and connections have their size."""
LARGEST_GROWTH_MIB = 24
"""The text alone is 25 MiB, as rows or frames it would be twice that; the database's own caches are 16 MiB."""

_ID = re.compile(rb"^id: (\d+)$", re.MULTILINE)
_NUMBER = re.compile(r"line (\d+) ")


class Printer:
    """A daemon with one job, which prints on the daemon's stream and over HTTP by turns."""

    def __init__(self, account: PollDaemon, target: str) -> None:
        self._account = account
        self._stream = StreamDaemon(target, account.key, REPORT)
        self._stream.hello()
        self._lease = pb.LeaseRef()

    def begin(self) -> None:
        self._lease = self._stream.accept(self._stream.expect("offer")).lease
        self._stream.state.leases.append(pb.HeldLease(lease=self._lease, phase=pb.LEASE_PHASE_RUNNING))

    def print(self, first: int, last: int) -> None:
        """Print the lines with these numbers; returns once all are stored."""
        for start in range(first, last, 2 * BATCH):
            self._stream.beat()
            self._stream.send_logs(self._lease, start, *(line(start + number) for number in range(BATCH)))
            written = self._patch([line(start + number) for number in range(BATCH, 2 * BATCH)])
            assert written == BATCH

    def _patch(self, lines: list[str]) -> int:
        body = {
            "lines": [{"level": "info", "message": text} for text in lines],
            "attempt_number": self._lease.attempt_number,
        }
        answer = answered(self._account.patch(f"/providers/jobs/{self._lease.job_id}/logs", body))
        written: int = answer["lines_written"]
        return written

    def end(self) -> None:
        self._stream.finish(self._lease, {"type": "text", "response": "done"})

    def close(self) -> None:
        self._stream.close()


@pytest.fixture
def printer(market: RealMarket, edge: Edge) -> Iterator[Printer]:
    printer = Printer(market.add_account(), edge.target)
    yield printer
    printer.close()


def test_a_hundred_thousand_lines_reach_every_reader_and_cost_no_memory(
    market: RealMarket, renter: Renter, printer: Printer
) -> None:
    job = submit(renter)
    printer.begin()
    path = f"/jobs/{job['id']}/logs/stream"
    with market.rest.stream(path, key=renter.key) as slow, ThreadPoolExecutor(1) as reading:
        unread = slow.iter_raw()
        told = next(unread)  # and no more until everything is over
        fast = reading.submit(read_all, market, renter, path)
        printer.print(1, STARTED)
        before = memory_mib(market.server.pid, "VmRSS")
        printer.print(STARTED + 1, LINES)
        printer.end()
        # Each line once and in order, then the end, which has the next number.
        assert ids(fast.result(30)) == [*range(1, LINES + 2)]
        assert read_pages(renter, job["id"]) == [*range(1, LINES + 1)]
        assert ids(told + b"".join(unread)) == [*range(1, LINES + 2)]
    assert memory_mib(market.server.pid, "VmHWM") - before < LARGEST_GROWTH_MIB


def line(number: int) -> str:
    return f"line {number} ".ljust(250, "=")


def read_all(market: RealMarket, renter: Renter, path: str) -> bytes:
    """A stream from its start to its end, as fast as it comes."""
    with market.rest.stream(path, key=renter.key) as response:
        return b"".join(response.iter_raw())


def ids(frames: bytes) -> list[int]:
    return [int(number) for number in _ID.findall(frames)]


def read_pages(renter: Renter, job_id: int) -> list[int]:
    """The numbers that the lines say they have, page by page."""
    numbers: list[int] = []
    while True:
        page = answered(renter.get(f"/jobs/{job_id}/logs", params={"since": len(numbers), "limit": PAGE}))
        for row in page["logs"]:
            said = _NUMBER.match(row["message"])
            assert said is not None
            numbers.append(int(said[1]))
            assert row["line_no"] == numbers[-1]
        if not page["has_more"]:
            assert page["total_lines"] == len(numbers)
            return numbers


def memory_mib(pid: int, figure: str) -> float:
    """`VmRSS`, what a process holds now, or `VmHWM`, the most that it ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{figure}:")[2].split()[0]) / 1024
