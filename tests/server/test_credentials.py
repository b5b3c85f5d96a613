"""Who is let in, in which carrier, and with which words the others are refused."""

import pytest
from google.protobuf.message import Message

from dc1.domain.access import keys
from dc1.domain.access.keys import KeyRole
from dc1.domain.access.operators import OperatorRole
from dc1.domain.access.roles import AccountStatus, Role
from dc1.server.rate_limits import FAILED_AUTHENTICATIONS
from dc1.storage.accounts import keys as key_rows
from dc1.storage.accounts import renters
from dc1.storage.admin.operators import NewOperator
from dcp.v1.admin_service_pb2 import ApproveImageRequest, GetDashboardRequest
from dcp.v1.daemon_run_pb2 import ReportJobResultRequest
from dcp.v1.job_progress_pb2 import GetJobRequest
from dcp.v1.job_submission_pb2 import SubmitJobRequest
from dcp.v1.market_service_pb2 import ListAvailableProvidersRequest
from dcp.v1.provider_service_pb2 import GetProviderRequest, PauseProviderRequest
from dcp.v1.renter_wallet_pb2 import GetBalanceRequest
from dcp.v1.report_pb2 import HeartbeatRequest
from tests.server.conftest import Serve
from tests.server.harness import ADMIN_TOKEN, START_MS, Running

BALANCE = "RenterService/GetBalance"
SUBMIT = "JobService/SubmitJob"
HEARTBEAT = "ProviderService/Heartbeat"
PROVIDER = "ProviderService/GetProvider"
DASHBOARD = "AdminService/GetDashboard"
JOB = "JobService/GetJob"
PUBLIC = "MarketService/ListAvailableProviders"

J3 = SubmitJobRequest(job_type="llm_inference", duration_minutes=3)
UNKNOWN_RENTER = keys.new_key(KeyRole.RENTER).key
UNKNOWN_PROVIDER = keys.new_key(KeyRole.PROVIDER).key

MISSING = [
    (HEARTBEAT, HeartbeatRequest(), 400, "api_key required"),
    (SUBMIT, J3, 401, "Renter API key required (x-renter-key header or renter_key query)"),
    (DASHBOARD, GetDashboardRequest(), 401, "Admin access denied"),
    (BALANCE, GetBalanceRequest(), 401, "API key required"),
    (PROVIDER, GetProviderRequest(), 401, "API key required"),
    (JOB, GetJobRequest(job_id="1"), 401, "API key required"),
]

BAD = [
    (HEARTBEAT, HeartbeatRequest(api_key="nope"), {}, 401, "Invalid API key"),
    (HEARTBEAT, HeartbeatRequest(api_key=UNKNOWN_RENTER), {}, 401, "Invalid API key"),
    (HEARTBEAT, HeartbeatRequest(), {"x_provider_key": UNKNOWN_PROVIDER}, 401, "Invalid API key"),
    (SUBMIT, J3, {"x_renter_key": "bad"}, 403, "Invalid or inactive renter API key"),
    (SUBMIT, J3, {"x_renter_key": UNKNOWN_RENTER}, 403, "Invalid or inactive renter API key"),
    (DASHBOARD, GetDashboardRequest(), {"x_admin_token": "wrong"}, 401, "Admin access denied"),
    (DASHBOARD, GetDashboardRequest(), {"authorization": f"Bearer {UNKNOWN_RENTER}"}, 401, "Admin access denied"),
    (BALANCE, GetBalanceRequest(), {"x_renter_key": "bad"}, 401, "Invalid API key"),
    (BALANCE, GetBalanceRequest(), {"authorization": "Bearer something"}, 401, "Invalid API key"),
    (BALANCE, GetBalanceRequest(), {"x_query_key": "something"}, 401, "Invalid API key"),
    (JOB, GetJobRequest(job_id="1"), {"x_admin_token": "wrong"}, 401, "Invalid API key"),
]


@pytest.mark.parametrize(("method", "request_", "status", "text"), MISSING, ids=[row[0] for row in MISSING])
async def test_a_missing_credential_is_answered_in_the_words_of_the_route(
    server: Running, method: str, request_: Message, status: int, text: str
) -> None:
    answer = await server.call(method, request_)
    assert (answer.status, answer.body["error"]) == (status, text)


@pytest.mark.parametrize(("method", "request_", "headers", "status", "text"), BAD)
async def test_a_bad_credential_is_answered_in_the_words_of_the_route(
    server: Running, method: str, request_: Message, headers: dict[str, str], status: int, text: str
) -> None:
    answer = await server.call(method, request_, **headers)
    assert (answer.status, answer.body["error"]) == (status, text)
    assert not server.calls


@pytest.mark.parametrize("carrier", ["x_renter_key", "authorization", "x_query_key", "x_query_renter_key"])
async def test_a_renter_key_may_come_in_every_carrier(server: Running, carrier: str) -> None:
    key = server.accounts.renter
    value = f"bearer {key}" if carrier == "authorization" else key
    answer = await server.call(BALANCE, GetBalanceRequest(), **{carrier: value})
    assert answer.status == 200
    principal = server.last.principal
    assert (principal.role, principal.account_id, principal.scopes) == (Role.RENTER, server.accounts.renter_id, None)


@pytest.mark.parametrize(("method", "field", "message"), [(HEARTBEAT, "api_key", HeartbeatRequest)])
async def test_a_daemon_may_send_its_key_in_the_body(
    server: Running, method: str, field: str, message: type[Message]
) -> None:
    answer = await server.call(method, message(**{field: server.accounts.provider}))
    assert (answer.status, server.last.principal.account_id) == (200, server.accounts.provider_id)


async def test_the_name_of_the_field_with_the_key_is_the_method_s(server: Running) -> None:
    answer = await server.call("ProviderService/PauseProvider", PauseProviderRequest(key=server.accounts.provider))
    assert answer.status == 200


async def test_the_first_carrier_that_is_not_blank_decides(server: Running) -> None:
    good = server.accounts.renter
    refused = await server.call(BALANCE, GetBalanceRequest(), x_renter_key="bad", x_query_key=good)
    assert (refused.status, refused.body["error"]) == (401, "Invalid API key")
    accepted = await server.call(
        BALANCE, GetBalanceRequest(), x_renter_key="  ", authorization="Bearer ", x_query_key=good
    )
    assert accepted.status == 200


async def test_bearer_comes_before_the_query_and_the_query_before_the_body(server: Running) -> None:
    good = server.accounts.provider
    by_bearer = await server.call(PROVIDER, GetProviderRequest(), authorization="Bearer bad", x_query_key=good)
    by_query = await server.call(HEARTBEAT, HeartbeatRequest(api_key=good), x_query_provider_key="bad")
    assert (by_bearer.status, by_query.status) == (401, 401)


@pytest.mark.parametrize(
    ("headers", "role"),
    [
        ({"x_admin_token": "A", "x_renter_key": "R", "x_provider_key": "P"}, Role.ADMIN),
        ({"x_provider_key": "P", "x_renter_key": "R"}, Role.RENTER),
        ({"authorization": "Bearer P"}, Role.PROVIDER),
        ({"authorization": "Bearer A"}, Role.ADMIN),
        ({"x_query_key": "P"}, Role.PROVIDER),
    ],
)
async def test_a_route_of_several_roles_looks_for_admin_renter_provider(
    server: Running, headers: dict[str, str], role: Role
) -> None:
    real = {"A": ADMIN_TOKEN, "R": server.accounts.renter, "P": server.accounts.provider}
    sent = {name: " ".join(real.get(word, word) for word in value.split()) for name, value in headers.items()}
    answer = await server.call(JOB, GetJobRequest(job_id="1"), **sent)
    assert (answer.status, server.last.principal.role) == (200, role)


async def test_a_key_of_the_other_role_is_named_as_such(server: Running) -> None:
    renter, provider = server.accounts.renter, server.accounts.provider
    on_submit = await server.call(SUBMIT, J3, x_renter_key=provider)
    on_provider = await server.call(PROVIDER, GetProviderRequest(), authorization=f"Bearer {renter}")
    on_result = await server.call(
        "DaemonService/ReportJobResult", ReportJobResultRequest(job_id="1"), x_provider_key=renter
    )
    on_heartbeat = await server.call(HEARTBEAT, HeartbeatRequest(api_key=renter))
    assert on_submit.body == {
        "error": "Wrong key type: provider key cannot be used on renter endpoint",
        "code": "WRONG_KEY_TYPE",
    }
    for answer in (on_provider, on_result):
        assert answer.body["error"] == "Wrong key type: renter key cannot be used on provider endpoint"
    assert on_heartbeat.body == {"error": "Invalid API key", "code": "UNAUTHENTICATED"}
    assert {answer.status for answer in (on_submit, on_provider, on_result, on_heartbeat)} == {401}


async def test_the_admin_token_is_not_read_from_the_query(server: Running) -> None:
    answer = await server.call(DASHBOARD, GetDashboardRequest(), x_query_key=ADMIN_TOKEN)
    assert (answer.status, answer.body["error"]) == (401, "Admin access denied")


@pytest.mark.parametrize("headers", [{"x_admin_token": ADMIN_TOKEN}, {"authorization": f"Bearer {ADMIN_TOKEN}"}])
async def test_an_admin_is_known_by_a_fingerprint_only(server: Running, headers: dict[str, str]) -> None:
    answer = await server.call(DASHBOARD, GetDashboardRequest(), **headers)
    assert answer.status == 200
    call = server.last
    assert call.principal.fingerprint == keys.fingerprint(ADMIN_TOKEN)
    assert ADMIN_TOKEN not in repr(call)


async def test_without_an_admin_token_nothing_else_is_checked(serve: Serve) -> None:
    server = await serve(admin_token=None, admin_ip_allowlist="10.0.0.0/8")
    for headers in ({}, {"x_admin_token": "any"}):
        answer = await server.call(DASHBOARD, GetDashboardRequest(), **headers)
        assert (answer.status, answer.body["error"]) == (503, "Admin token not configured")
    elsewhere = await server.call(JOB, GetJobRequest(job_id="1"), x_admin_token="any")
    assert (elsewhere.status, elsewhere.body["error"]) == (401, "Invalid API key")


async def test_admins_come_from_listed_networks_only(serve: Serve) -> None:
    server = await serve(admin_ip_allowlist="10.1.0.0/16,2001:db8::/32")
    for address, status in (("10.1.2.3", 200), ("2001:db8::7", 200), ("10.2.0.1", 403), ("junk", 403)):
        answer = await server.call(
            DASHBOARD, GetDashboardRequest(), x_admin_token=ADMIN_TOKEN, x_client_address=address
        )
        assert answer.status == status, address
        assert status == 200 or answer.body == {
            "error": "Access denied: IP not in allowlist",
            "code": "PERMISSION_DENIED",
        }
    on_job = await server.call(JOB, GetJobRequest(job_id="1"), x_admin_token=ADMIN_TOKEN, x_client_address="10.2.0.1")
    assert on_job.status == 403


async def operator(server: Running, role: OperatorRole = OperatorRole.ADMIN) -> str:
    new = NewOperator("sara", role, None, created_by="a test", expires_at_ms=None)
    _, token = await server.credentials.operators.add(new, None)
    return token


async def test_operators_are_let_in_without_an_admin_token(serve: Serve) -> None:
    server = await serve(admin_token=None)
    token = await operator(server)
    for headers in ({"x_admin_token": token}, {"authorization": f"Bearer {token}"}):
        assert (await server.call(DASHBOARD, GetDashboardRequest(), **headers)).status == 200
        assert server.last.principal.actor == "sara #1"
        assert token not in repr(server.last)
    unknown = keys.new_key(KeyRole.OPERATOR).key
    for made_up in (unknown, f"{token}x", "dc1-operator-"):
        answer = await server.call(DASHBOARD, GetDashboardRequest(), x_admin_token=made_up)
        assert (answer.status, answer.body["error"]) == (401, "Admin access denied")


async def test_operators_come_from_listed_networks_only(serve: Serve) -> None:
    server = await serve(admin_ip_allowlist="10.1.0.0/16")
    token = await operator(server)
    for address, status in (("10.1.2.3", 200), ("10.2.0.1", 403)):
        answer = await server.call(DASHBOARD, GetDashboardRequest(), x_admin_token=token, x_client_address=address)
        assert answer.status == status, address


async def test_an_address_that_guessed_too_often_is_asked_for_no_token_at_all(serve: Serve) -> None:
    server = await serve(rate_limits_enabled=True)
    token = await operator(server)
    guesses = [keys.new_key(KeyRole.OPERATOR).key for _ in range(FAILED_AUTHENTICATIONS.limit)]
    for guess in guesses:
        assert (await server.call(DASHBOARD, GetDashboardRequest(), x_admin_token=guess)).status == 401
    assert (await server.call(DASHBOARD, GetDashboardRequest(), x_admin_token=token)).status == 429
    elsewhere = {"x_admin_token": token, "x_client_address": "203.0.113.7"}
    assert (await server.call(DASHBOARD, GetDashboardRequest(), **elsewhere)).status == 200


async def test_who_asks_what_is_public_as_an_operator_is_not_shut_out(serve: Serve) -> None:
    server = await serve(rate_limits_enabled=True)
    for token in (await operator(server), ADMIN_TOKEN):
        for _ in range(FAILED_AUTHENTICATIONS.limit):
            await server.call(PUBLIC, ListAvailableProvidersRequest(), authorization=f"Bearer {token}")
        assert (await server.call(DASHBOARD, GetDashboardRequest(), x_admin_token=token)).status == 200


async def test_guesses_count_where_everything_is_public_too(serve: Serve) -> None:
    server = await serve(rate_limits_enabled=True)
    token = await operator(server)
    for _ in range(FAILED_AUTHENTICATIONS.limit):
        guess = keys.new_key(KeyRole.OPERATOR).key
        await server.call(PUBLIC, ListAvailableProvidersRequest(), authorization=f"Bearer {guess}")
    assert (await server.call(DASHBOARD, GetDashboardRequest(), x_admin_token=token)).status == 429


async def test_an_operator_opens_nothing_of_renters_and_providers(server: Running) -> None:
    token = await operator(server)
    assert (await server.call(BALANCE, GetBalanceRequest(), authorization=f"Bearer {token}")).status == 401
    assert (await server.call(JOB, GetJobRequest(job_id="1"), x_renter_key=token)).status == 401
    assert (await server.call(HEARTBEAT, HeartbeatRequest(api_key=token))).status == 401


@pytest.mark.parametrize("x_admission", ["0", "1"])
async def test_the_edge_hears_beforehand_what_an_operator_lacks(server: Running, x_admission: str) -> None:
    token = await operator(server, OperatorRole.FINANCE)
    headers = {"x_admin_token": token} | ({"x_admission": "1"} if x_admission == "1" else {})
    answer = await server.call("AdminService/ApproveImage", ApproveImageRequest(image_ref="a/b:1"), **headers)
    assert (answer.status, answer.body["code"]) == (403, "ROLE_MISSING")


async def test_a_revoked_key_stops_at_once(server: Running) -> None:
    key = server.accounts.renter
    assert (await server.call(BALANCE, GetBalanceRequest(), x_renter_key=key)).status == 200
    await server.database.write(
        lambda conn: key_rows.revoke_all(conn, KeyRole.RENTER, server.accounts.renter_id, START_MS)
    )
    server.credentials.invalidate_account(Role.RENTER, server.accounts.renter_id)
    answer = await server.call(BALANCE, GetBalanceRequest(), x_renter_key=key)
    assert (answer.status, answer.body["error"]) == (401, "Invalid API key")
    assert (await server.call(SUBMIT, J3, x_renter_key=key)).status == 403


async def test_a_suspended_renter_is_told_so_except_on_submit(server: Running) -> None:
    renter_id, key = server.accounts.renter_id, server.accounts.renter
    await server.database.write(lambda conn: renters.set_status(conn, renter_id, AccountStatus.SUSPENDED))
    balance = await server.call(BALANCE, GetBalanceRequest(), x_renter_key=key)
    submit = await server.call(SUBMIT, J3, x_renter_key=key)
    assert (balance.status, balance.body) == (403, {"error": "Account suspended", "code": "ACCOUNT_SUSPENDED"})
    assert (submit.status, submit.body) == (
        403,
        {"error": "Invalid or inactive renter API key", "code": "PERMISSION_DENIED"},
    )


async def test_keys_of_a_deleted_renter_are_bad(server: Running) -> None:
    renter_id, key = server.accounts.renter_id, server.accounts.renter
    await server.database.write(lambda conn: renters.set_status(conn, renter_id, AccountStatus.DELETED))
    assert (await server.call(BALANCE, GetBalanceRequest(), x_renter_key=key)).status == 401


async def test_public_methods_ask_for_nothing(server: Running) -> None:
    answer = await server.call(
        "MarketService/ListAvailableProviders", ListAvailableProvidersRequest(), x_renter_key="bad"
    )
    assert (answer.status, server.last.principal.role) == (200, Role.PUBLIC)


async def test_a_heartbeat_s_shape_is_checked_before_its_key_is_looked_up(server: Running) -> None:
    odd = HeartbeatRequest(api_key="nope")
    odd.gpu_status.list_value.append(1)
    assert (await server.call(HEARTBEAT, odd)).body == {
        "error": "gpu_status must be an object",
        "code": "INVALID_ARGUMENT",
    }
    odd = HeartbeatRequest(api_key="nope")
    odd.gpu_info.string_value = "RTX 4090"
    assert (await server.call(HEARTBEAT, odd)).body == {
        "error": "gpu_info must be an object",
        "code": "INVALID_ARGUMENT",
    }
    fine = HeartbeatRequest(api_key=server.accounts.provider)
    fine.gpu_status.string_value = "idle"
    fine.gpu_info.null_value = 0  # type: ignore[assignment]
    assert (await server.call(HEARTBEAT, fine)).status == 200
    odd.ClearField("api_key")
    assert (await server.call(HEARTBEAT, odd)).body == {"error": "api_key required", "code": "INVALID_ARGUMENT"}
