"""Every call with the admin token leaves an entry; nobody else's does."""

from typing import Any

import grpc

from dc1.domain import errors
from dc1.domain.access import keys
from dc1.server.watching.refused_acts import MOST_ENTRIES
from dc1.storage.admin import audit
from dc1.testing.clock import ManualClock
from dcp.v1.admin_provider_service_pb2 import ApproveProviderRequest
from dcp.v1.admin_service_pb2 import GetDashboardRequest, GetDashboardResponse
from dcp.v1.job_progress_pb2 import GetJobRequest
from dcp.v1.renter_wallet_pb2 import GetBalanceRequest
from tests.server.conftest import Serve
from tests.server.harness import ADMIN_TOKEN, START_MS, Harness, Running

DASHBOARD = "AdminService/GetDashboard"


async def entries(server: Running) -> list[audit.AuditRow]:
    page = await server.database.read(lambda conn: audit.page(conn, limit=100))
    return page.rows


async def test_an_entry_says_who_asked_what_from_where_with_what_result(server: Running) -> None:
    await server.call(
        DASHBOARD,
        GetDashboardRequest(),
        x_admin_token=ADMIN_TOKEN,
        x_client_address="203.0.113.7",
        x_rest_path="/admin/dashboard",
        x_rest_method="GET",
        x_envoy_original_path="/forged",
        x_envoy_original_method="DELETE",
    )
    (entry,) = await entries(server)
    assert (entry.at_ms, entry.actor) == (START_MS, keys.fingerprint(ADMIN_TOKEN))
    assert (entry.method, entry.path, entry.status) == ("GET", "/admin/dashboard", 200)
    assert entry.detail == "203.0.113.7"


async def test_a_native_call_is_entered_by_its_method_and_a_decision_by_its_provider(server: Running) -> None:
    await server.call_natively(
        "AdminProviderService/ApproveProvider", ApproveProviderRequest(provider_id="17"), x_admin_token=ADMIN_TOKEN
    )
    (entry,) = await entries(server)
    assert (entry.method, entry.path, entry.provider_id) == ("gRPC", "/dcp.v1.AdminProviderService/ApproveProvider", 17)


async def test_refused_and_failed_calls_are_entered_with_their_status(server: Running, harness: Harness) -> None:
    async def refuse(request: Any) -> Any:
        raise errors.provider_not_found()

    async def fail(request: Any) -> Any:
        raise ZeroDivisionError

    harness.behaviours.update(ApproveProvider=refuse, GetDashboard=fail)
    await server.call("AdminProviderService/ApproveProvider", ApproveProviderRequest(), x_admin_token=ADMIN_TOKEN)
    await server.call(DASHBOARD, GetDashboardRequest(), x_admin_token=ADMIN_TOKEN)
    assert [entry.status for entry in await entries(server)] == [500, 404]


async def test_the_entry_is_there_before_the_answer(server: Running, harness: Harness) -> None:
    async def dashboard(request: Any) -> GetDashboardResponse:
        await server.database.close()
        return GetDashboardResponse()

    harness.behaviours["GetDashboard"] = dashboard
    answer = await server.call(DASHBOARD, GetDashboardRequest(), x_admin_token=ADMIN_TOKEN)
    assert (answer.code, answer.body) == (
        grpc.StatusCode.INTERNAL,
        {"error": "Failed to fetch dashboard", "code": "INTERNAL"},
    )


async def test_an_admin_is_audited_on_other_services_too_and_others_are_not(server: Running) -> None:
    job = GetJobRequest(job_id="1")
    await server.call("JobService/GetJob", job, x_admin_token=ADMIN_TOKEN)
    await server.call("JobService/GetJob", job, x_renter_key=server.accounts.renter)
    await server.call("RenterService/GetBalance", GetBalanceRequest(), x_renter_key=server.accounts.renter)
    await server.call("RenterService/GetBalance", GetBalanceRequest(), x_renter_key="wrong")
    await server.call("RenterService/GetBalance", GetBalanceRequest())
    assert [entry.path for entry in await entries(server)] == ["/dcp.v1.JobService/GetJob"]


async def guess(server: Running, address: str = "203.0.113.7", **headers: str) -> None:
    await server.call(
        DASHBOARD,
        GetDashboardRequest(),
        x_client_address=address,
        x_rest_path="/admin/dashboard",
        x_rest_method="GET",
        **headers,
    )


async def test_who_is_not_let_in_as_an_admin_is_entered_once_a_minute_with_a_count(
    serve: Serve, clock: ManualClock
) -> None:
    server = await serve()
    for _ in range(40):
        await guess(server, x_admin_token="wrong")
    (entry,) = await entries(server)
    # The first is there at once; how many followed is stored every few seconds, or when the server stops.
    assert (entry.actor, entry.method, entry.path, entry.status) == (
        keys.fingerprint("wrong"),
        "GET",
        "/admin/dashboard",
        401,
    )
    assert (entry.detail, entry.reason, entry.calls) == ("203.0.113.7", "unauthenticated", 1)
    clock.advance(61)
    await guess(server)
    await server.app.auditor.store_counts()
    assert [(entry.actor, entry.calls) for entry in await entries(server)] == [
        ("none", 1),
        (keys.fingerprint("wrong"), 40),
    ]


async def test_guesses_of_one_address_share_an_entry_and_those_of_many_addresses_few(server: Running) -> None:
    for number in range(30):
        await guess(server, x_admin_token=f"guess {number}")
        await guess(server, f"198.51.100.{number}", x_admin_token="wrong")
    await server.app.auditor.store_counts()
    found = {entry.detail: entry for entry in await entries(server)}
    assert (found["203.0.113.7"].actor, found["203.0.113.7"].calls) == ("several", 30)
    assert len(found) == MOST_ENTRIES + 1
    assert sum(entry.calls for entry in found.values()) == 60
    assert (found["several"].actor, found["several"].calls) == ("several", 60 - 30 - (MOST_ENTRIES - 1))


async def test_other_doors_that_admins_find_shut_are_entered_too(serve: Serve) -> None:
    server = await serve(admin_ip_allowlist="192.0.2.0/24", rate_limits_enabled=True)
    await guess(server, x_admin_token=ADMIN_TOKEN)
    # A key of a renter's on a route of the operators.
    await guess(server, "192.0.2.1", authorization=f"Bearer {server.accounts.renter}")
    # What the edge asks about before it waits for a body is not called afterwards.
    await guess(server, "192.0.2.2", x_admin_token="wrong", x_admission="1")
    for _ in range(35):
        await guess(server, "192.0.2.3", x_admin_token=ADMIN_TOKEN)
    await server.app.auditor.store_counts()
    found = [(entry.detail, entry.reason, entry.status, entry.calls) for entry in await entries(server) if entry.reason]
    assert found == [
        ("192.0.2.3", "rate_limited", 429, 5),
        ("192.0.2.2", "unauthenticated", 401, 1),
        ("192.0.2.1", "unauthenticated", 401, 1),
        ("203.0.113.7", "forbidden", 403, 1),
    ]


async def test_a_path_is_entered_as_far_as_it_can_be_read(server: Running) -> None:
    await server.call(DASHBOARD, GetDashboardRequest(), x_rest_path="/admin/" + "a" * 9000, x_admin_token="wrong")
    (entry,) = await entries(server)
    assert len(entry.path) == 512
    key = server.accounts.provider
    await server.call(DASHBOARD, GetDashboardRequest(), x_rest_path=f"/admin/{key}/x", x_admin_token=ADMIN_TOKEN)
    assert (await entries(server))[0].path == "/admin/dc1-provider-***/x"


async def test_a_trail_that_cannot_be_written_changes_no_refusal(server: Running) -> None:
    await server.database.close()
    answer = await server.call(DASHBOARD, GetDashboardRequest(), x_admin_token="wrong")
    assert answer.status == 401
