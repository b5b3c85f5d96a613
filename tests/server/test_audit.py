"""Every call with the admin token leaves an entry; nobody else's does."""

from typing import Any

import grpc

from dc1.domain import errors
from dc1.domain.access import keys
from dc1.storage.admin import audit
from dcp.v1.admin_provider_service_pb2 import ApproveProviderRequest
from dcp.v1.admin_service_pb2 import GetDashboardRequest, GetDashboardResponse
from dcp.v1.job_progress_pb2 import GetJobRequest
from dcp.v1.renter_wallet_pb2 import GetBalanceRequest
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
    assert (answer.code, answer.body) == (grpc.StatusCode.INTERNAL, {"error": "Failed to fetch dashboard"})


async def test_an_admin_is_audited_on_other_services_too_and_others_never(server: Running) -> None:
    job = GetJobRequest(job_id="1")
    await server.call("JobService/GetJob", job, x_admin_token=ADMIN_TOKEN)
    await server.call("JobService/GetJob", job, x_renter_key=server.accounts.renter)
    await server.call("RenterService/GetBalance", GetBalanceRequest(), x_renter_key=server.accounts.renter)
    await server.call(DASHBOARD, GetDashboardRequest(), x_admin_token="wrong")
    assert [entry.path for entry in await entries(server)] == ["/dcp.v1.JobService/GetJob"]
