"""Refusals are counted by method and reason, and have log lines, of which a flood writes no more than can be read."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from structlog.testing import capture_logs

from dc1.domain import errors
from dc1.metrics.calls import CallMetrics
from dc1.server.watching import call_log
from dc1.server.watching.call_log import CallLog
from dc1.services.api.call import ANYBODY, Call
from dc1.services.api.open_streams import OpenStreams
from dc1.services.api.refusals import RefusalCount, RefusalCounts, RefusalReason, reason_of
from dcp.v1.admin_service_pb2 import GetDashboardRequest
from dcp.v1.job_progress_pb2 import GetJobRequest
from dcp.v1.renter_wallet_pb2 import GetBalanceRequest
from tests.server.harness import Harness, Running


def counted(server: Running) -> dict[tuple[str, str], int]:
    return {(each.method, each.reason): each.count for each in server.refusals}


async def test_refusals_are_counted_by_method_and_reason(server: Running, harness: Harness) -> None:
    async def refuse(request: Any) -> Any:
        raise errors.job_not_found()

    harness.behaviours["GetJob"] = refuse
    renter = server.accounts.renter
    for _ in range(3):
        await server.call("JobService/GetJob", GetJobRequest(job_id="1"), x_renter_key=renter)
    await server.call("JobService/GetJob", GetJobRequest(job_id="1"))
    await server.call("RenterService/GetBalance", GetBalanceRequest(), x_renter_key=renter)
    await server.call("AdminService/GetDashboard", GetDashboardRequest(), x_admin_token="wrong", x_admission="1")
    for name in ("Nope", "Neither"):
        unknown: Any = server.channel.unary_unary(f"/dcp.v1.JobService/{name}")
        with pytest.raises(Exception, match="UNIMPLEMENTED"):
            await unknown(b"")
    assert counted(server) == {
        ("JobService/GetJob", "not_found"): 3,
        ("JobService/GetJob", "unauthenticated"): 1,
        ("AdminService/GetDashboard", "unauthenticated"): 1,
        ("unknown", "not_found"): 2,
    }


def test_every_status_from_400_on_has_a_reason() -> None:
    assert {reason_of(status) for status in range(400, 600)} == set(RefusalReason)
    assert (reason_of(418), reason_of(507)) == (RefusalReason.INVALID, RefusalReason.FAILED)


def refused(log: CallLog, address: str, status: int = 401) -> None:
    log.refused(Call("/dcp.v1.JobService/GetJob", ANYBODY, "id", address, True, {}), status, 0.001)


async def test_a_daemon_s_stream_has_no_line_beside_its_own() -> None:
    counts = RefusalCounts()
    log = CallLog(counts, OpenStreams(), CallMetrics())
    call = Call("/dcp.v1.ProviderService/Connect", ANYBODY, "id", "203.0.113.7", False, {})
    with capture_logs() as lines:
        log.served(call, 200, 60)
        log.refused(call, 499, 60)
        assert lines == []
        log.refused(call, 401, 0.001)
    log.close()
    assert [line["status"] for line in lines] == [401]
    assert {each.reason: each.count for each in counts} == {"client_gone": 1, "unauthenticated": 1}


async def test_a_flood_has_few_lines_and_one_that_tells_the_rest() -> None:
    counts = RefusalCounts()
    log = CallLog(counts, OpenStreams(), CallMetrics())
    with capture_logs() as lines:
        for _ in range(5_000):
            refused(log, "203.0.113.7")
        refused(log, "198.51.100.9", 404)
        log.close()
    told = Counter(line["event"] for line in lines)
    assert told == {"call": call_log.MOST_LINES_OF_A_CALLER + 1, "refusals_left_out": 1}
    # The neighbour of a flood is seen.
    assert [line["address"] for line in lines if line.get("reason") == "not_found"] == ["198.51.100.9"]
    left_out = lines[-1]
    assert left_out["counts"] == {"unauthenticated": 5_000 - call_log.MOST_LINES_OF_A_CALLER}
    assert left_out["most_called"] == {"/dcp.v1.JobService/GetJob": 5_000 - call_log.MOST_LINES_OF_A_CALLER}
    assert RefusalCount("JobService/GetJob", RefusalReason.UNAUTHENTICATED, 5_000) in list(counts)


async def test_a_flood_of_many_addresses_is_bounded_in_total() -> None:
    log = CallLog(RefusalCounts(), OpenStreams(), CallMetrics())
    with capture_logs() as lines:
        for number in range(3_000):
            refused(log, f"2001:db8:{number:x}::1")
        log.close()
        # The next window is a new one.
        refused(log, "2001:db8::1")
        log.close()
    assert Counter(line["event"] for line in lines) == {"call": call_log.MOST_LINES + 1, "refusals_left_out": 1}


async def test_what_was_left_out_is_told_without_another_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_log, "WINDOW_SECONDS", 0.05)
    log = CallLog(RefusalCounts(), OpenStreams(), CallMetrics())
    with capture_logs() as lines:
        for _ in range(call_log.MOST_LINES_OF_A_CALLER + 1):
            refused(log, "203.0.113.7")
        await asyncio.sleep(0.2)
    assert lines[-1]["event"] == "refusals_left_out"


async def test_a_server_that_stops_tells_what_it_left_out(server: Running) -> None:
    with capture_logs() as lines:
        for _ in range(call_log.MOST_LINES_OF_A_CALLER + 1):
            await server.call("JobService/GetJob", GetJobRequest(job_id="1"))
        await server.channel.close()
        await server.app.drain(1)
    assert [line["counts"] for line in lines if line["event"] == "refusals_left_out"] == [{"unauthenticated": 1}]
