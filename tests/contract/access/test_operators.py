"""Operators with names and roles: who may do what, and that it ends with their token (contract 1.2)."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from dc1.testing.edge import Edge
from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from dcp.v1 import options_pb2
from tests.contract.expect import answered, fields, refused, show
from tests.contract.protocol import METHODS

_WEBHOOK = "https://1.1.1.1/hooks/secret"
_IBAN = "SA0380000000608010167519"
ROLES = ("viewer", "support", "finance", "admin")
INCLUDED = {"viewer": {"viewer"}, "support": {"viewer", "support"}, "finance": {"viewer", "finance"}, "admin": {*ROLES}}


def access(method: MethodDescriptor) -> options_pb2.Access:
    return method.GetOptions().Extensions[options_pb2.access]


def least(method: MethodDescriptor) -> str:
    name = options_pb2.OperatorRole.Name(access(method).operator_role)
    return name.removeprefix("OPERATOR_ROLE_").lower()


OF_ADMINS = [method for method in METHODS if options_pb2.ROLE_ADMIN in access(method).roles]

Add = Callable[..., tuple[int, Admin]]


@pytest.fixture(scope="module")
def market(quiet_market: LocalMarket) -> LocalMarket:
    return quiet_market


@pytest.fixture(scope="module")
def add(market: LocalMarket) -> Add:
    """Makes an operator, and returns the id and who calls with the token."""

    def add(name: str, role: str, **more: Any) -> tuple[int, Admin]:
        made = answered(market.admin.post("/admin/operators", {"name": name, "role": role, **more}), 201)
        return made["operator"]["id"], Admin(market.rest, made["token"])

    return add


@pytest.fixture(scope="module")
def channel(edge: Edge) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(edge.target) as channel:
        yield channel


def revoke(market: LocalMarket, number: int) -> httpx.Response:
    return market.rest.rest("DELETE", f"/admin/operators/{number}", key=market.admin.token)


def answer(channel: grpc.Channel, method: MethodDescriptor, token: str) -> str:
    """What an empty call comes to: the text of its refusal, or nothing for one that was answered."""
    call: Any = channel.unary_stream(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=bytes,
    )
    request = GetMessageClass(method.input_type)()
    stream = call(request, timeout=20, metadata=(("authorization", f"Bearer {token}"),))
    try:
        # Of what goes on for ever the beginning.
        next(stream, None)
    except grpc.RpcError as error:
        return error.details() or ""
    finally:
        stream.cancel()
    return ""


def test_every_method_of_admins_declares_its_least_role_and_no_other_does() -> None:
    unset = options_pb2.OPERATOR_ROLE_UNSPECIFIED
    assert [method.full_name for method in OF_ADMINS if access(method).operator_role == unset] == []
    said = [method for method in METHODS if access(method).operator_role != unset]
    assert len(said) == len(OF_ADMINS)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_refused_exactly_what_is_above_it(channel: grpc.Channel, add: Add, role: str) -> None:
    _, operator = add(f"walker-{role}", role)
    for method in OF_ADMINS:
        said = answer(channel, method, operator.token)
        if least(method) in INCLUDED[role]:
            assert "Operator" not in said.replace("Operator not found", ""), method.full_name
            assert said != "Admin access denied", method.full_name
        else:
            assert said == f"Operator lacks role: {least(method)}", method.full_name


def test_who_pays_out_approves_no_machine_and_both_are_in_the_trail_by_name(market: LocalMarket, add: Add) -> None:
    number, sara = add("sara", "finance")
    provider, renter = market.register_provider(), market.add_renter()
    answered(sara.post(f"/admin/renters/{renter.id}/credit", {"amount_halala": 5, "reason": "a gift"}))
    path = f"/admin/providers/{provider.id}/approve"
    refused(sara.patch(path, {}), 403, "Operator lacks role: admin", code="ROLE_MISSING")
    assert answered(market.admin.get(f"/admin/providers/{provider.id}"))["provider"]["approval_status"] == "pending"
    trail = answered(market.admin.get("/admin/audit"))["entries"]
    assert [entry["actor"] for entry in trail if entry["path"].endswith(("/credit", path))] == [f"sara #{number}"] * 2
    _, amal = add("amal", "admin")
    answered(amal.patch(path, {}))
    decided = answered(market.admin.get(f"/admin/providers/{provider.id}/approval-audit"))["entries"]
    assert decided[0]["actor"].startswith("amal #")


def test_a_key_of_one_operator_is_not_anothers(market: LocalMarket, add: Add) -> None:
    renter = market.add_renter()
    before, headers = renter.balance(), {"idempotency-key": "monday"}
    for name in ("first-payer", "second-payer"):
        _, payer = add(name, "finance")
        for replayed in (None, "true"):
            answer = market.rest.post(
                f"/admin/renters/{renter.id}/credit",
                {"amount_halala": 5, "reason": "a gift"},
                key=payer.token,
                headers=headers,
            )
            assert (answer.status_code, answer.headers.get("idempotent-replayed")) == (200, replayed), answer.text
    assert renter.balance() == before + 10


def test_a_tools_token_is_for_its_methods_only(channel: grpc.Channel, add: Add) -> None:
    _, tool = add("exporter", "viewer", methods=["AdminJobService/ExportAllJobs", "AdminFinanceService/*"])
    answered_ones = [
        method.name for method in OF_ADMINS if not answer(channel, method, tool.token).startswith("Operator")
    ]
    reading = [m.name for m in OF_ADMINS if m.containing_service.name == "AdminFinanceService" and least(m) == "viewer"]
    # And whose it is, which any token is told.
    own = ["ExportAllJobs", "GetOwnOperator"]
    assert sorted(answered_ones) == sorted([*reading, *own])
    refused(tool.get("/admin/overview"), 403, "Operator token is not for: AdminService/GetOverview")
    refused(tool.get("/admin/overview"), 403, code="METHOD_NOT_GRANTED")
    told = answered(tool.get("/admin/operators/me"))
    assert {each["method"].partition("/")[2] for each in told["may_call"]} == {*reading, *own}


def test_who_calls_hears_what_they_may(market: LocalMarket, add: Add) -> None:
    _, viewer = add("reader", "viewer")
    told = answered(viewer.get("/admin/operators/me"))
    assert show(told["operator"], "name", "role", "revoked_at") == {
        "name": "reader",
        "role": "viewer",
        "revoked_at": None,
    }
    reading = {f"{m.containing_service.name}/{m.name}" for m in OF_ADMINS if least(m) == "viewer"}
    assert {each["method"] for each in told["may_call"]} == reading
    routes = {each["route"] for each in told["may_call"]}
    assert {"GET /admin/providers/{provider_id}", "GET /jobs/{job_id}/output/{format}"} < routes
    of_token = answered(market.admin.get("/admin/operators/me"))
    assert show(of_token["operator"], "id", "role") == {"id": None, "role": "admin"}
    assert len(of_token["may_call"]) == len(OF_ADMINS)


def test_who_only_looks_sees_no_account_and_no_address_in_full(market: LocalMarket, add: Add) -> None:
    renter, owner = market.add_renter(), market.add_provider()
    renter.top_up(10_000)
    job = renter.submit(duration_minutes=120, max_duration_seconds=7200)
    assert market.next_job(owner)["id"] == job["id"]
    market.advance(7000)
    owner.heartbeat()
    owner.result(job["id"])
    answered(owner.post("/providers/me/withdraw", {"amount_halala": 1000, "iban": _IBAN}), 201)
    answered(market.rest.patch("/renters/settings", {"webhook_url": _WEBHOOK}, key=renter.key))
    seen = {}
    for role in ROLES:
        operator = add(f"who-{role}", role)[1]
        (payout,) = answered(operator.get("/admin/withdrawals"))["withdrawals"]
        inspected = answered(operator.get(f"/admin/renters/{renter.id}"))["renter"]
        seen[role] = payout["iban"] == _IBAN, inspected["webhook_url"] == _WEBHOOK
        assert payout["iban"].endswith("7519")
        assert inspected["webhook_url"].startswith("https://1.1.1.1/")
    assert seen == {"viewer": (False, False), "support": (False, True), "finance": (True, False), "admin": (True, True)}


def test_a_token_is_shown_once_and_replaced_or_revoked_at_once(market: LocalMarket, add: Add) -> None:
    number, nora = add("nora", "support", expires_in_days=1)
    answered(nora.get("/admin/overview"))
    listed = _listed(market, number)
    assert show(listed, "name", "role", "methods", "expires_at", "last_used_at") == {
        "name": "nora",
        "role": "support",
        "methods": [],
        "expires_at": market.now(86_400),
        "last_used_at": market.now(),
    }
    assert nora.token not in str(listed)
    token = answered(market.admin.post(f"/admin/operators/{number}/rotate-token", {}))["token"]
    refused(nora.get("/admin/overview"), 401, "Admin access denied")
    again = Admin(market.rest, token)
    answered(again.get("/admin/overview"))
    revoked = answered(revoke(market, number))["operator"]
    assert revoked["revoked_at"] == market.now()
    refused(again.get("/admin/overview"), 401, "Admin access denied")
    refused(market.admin.post(f"/admin/operators/{number}/rotate-token", {}), 404, "Operator not found")
    refused(revoke(market, 999_999), 404, "Operator not found")
    # The name is free, the number is not.
    assert add("nora", "viewer")[0] > number


def test_a_token_ends_at_its_time_and_a_new_one_needs_another(market: LocalMarket, add: Add) -> None:
    number, temp = add("temp", "viewer", expires_in_days=1)
    answered(temp.get("/admin/overview"))
    market.clock.advance(86_400)
    refused(temp.get("/admin/overview"), 401, "Admin access denied")
    path = f"/admin/operators/{number}/rotate-token"
    assert fields(refused(market.admin.post(path, {}), 400)) == ["expires_in_days"]
    token = answered(market.admin.post(path, {"expires_in_days": 2}))["token"]
    answered(Admin(market.rest, token).get("/admin/overview"))


def test_what_a_token_has_open_ends_with_it(market: LocalMarket, add: Add) -> None:
    number, viewer = add("watcher", "viewer")
    with market.rest.stream("/admin/queue/stream", key=viewer.token) as stream:
        lines = stream.iter_lines()
        assert next(lines)
        answered(revoke(market, number))
        # It would go on for ever; nothing but its end ends this.
        assert [line for line in lines if "error" in line.lower()] == []
    eventually(lambda: market.server.open_streams == 0, "the server's end of the stream")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Sara Ali"}, "name"),
        ({"name": "نورة"}, "name"),
        ({"role": "owner"}, "role"),
        ({"role": ""}, "role"),
        ({"expires_in_days": 0}, "expires_in_days"),
        ({"methods": ["JobService/SubmitJob"]}, "methods"),
        ({"methods": ["AdminFinanceService/SetPrice"]}, "methods"),
        ({"methods": ["*"]}, "methods"),
    ],
)
def test_an_operator_who_could_be_none_is_not_made(market: LocalMarket, change: Json, field: str) -> None:
    before = answered(market.admin.get("/admin/operators"))
    answer = market.admin.post("/admin/operators", {"name": "odd", "role": "viewer", **change})
    assert field in str(refused(answer, 400))
    assert answered(market.admin.get("/admin/operators")) == before


def test_a_name_is_given_once(market: LocalMarket, add: Add) -> None:
    add("huda", "viewer")
    refused(market.admin.post("/admin/operators", {"name": "huda", "role": "admin"}), 409, "Operator name taken")


@pytest.mark.parametrize("carrier", ["x-renter-key", "x-provider-key", "x-api-key"])
def test_a_token_is_good_in_no_carrier_of_others(market: LocalMarket, add: Add, carrier: str) -> None:
    _, admin = add(f"carried-{carrier}", "admin")
    refused(market.rest.get("/jobs/active", headers={carrier: admin.token}), 401)
    refused(market.rest.get("/jobs/active", params={"key": admin.token}), 401)
    answered(market.rest.get("/jobs/active", headers={"authorization": f"Bearer {admin.token}"}))


def test_operators_are_listed_by_page(market: LocalMarket, add: Add) -> None:
    numbers = [add(f"paged-{turn}", "viewer")[0] for turn in range(3)]
    first, second = (
        answered(market.admin.get("/admin/operators", params={"page": page, "limit": 2})) for page in (1, 2)
    )
    assert [one["id"] for one in first["operators"]] == numbers[:0:-1]
    assert second["operators"][0]["id"] == numbers[0]
    assert first["pagination"]["total"] == numbers[0] + 2
    refused(market.admin.get("/admin/operators", params={"page": 0}), 400)


def _listed(market: LocalMarket, number: int) -> Json:
    found: list[Json] = answered(market.admin.get("/admin/operators"))["operators"]
    return next(one for one in found if one["id"] == number)
