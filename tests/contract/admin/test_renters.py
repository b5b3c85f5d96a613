"""Admins looking after renters (contract 3.5)."""

from typing import Any

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered, fields, refused, show
from tests.contract.fitting import fits, flag, integer, number, or_null, text, time
from tests.contract.renters.test_accounts import ENTRY
from tests.contract.shapes.renters import RECENT_JOB

ROW: Json = {
    "id": integer,
    "name": text,
    "email": text,
    "organization": or_null(text),
    "balance_halala": integer,
    "status": text,
    "created_at": time,
    "total_jobs": integer,
    "completed_jobs": integer,
    "failed_jobs": integer,
    "total_spent_halala": integer,
}
LIST: Json = {
    **dict.fromkeys(("total", "active", "suspended"), integer),
    "renters": [ROW],
    "pagination": dict.fromkeys(("page", "limit", "total", "pages"), integer),
}
DETAIL: Json = {
    "renter": {
        **ROW,
        "use_case": or_null(text),
        "phone": or_null(text),
        "webhook_url": or_null(text),
        "held_halala": integer,
        "live_keys": integer,
    },
    "recent_jobs": [RECENT_JOB],
    "transactions": [ENTRY],
}
CREDITED: Json = {
    "success": flag,
    "renter_id": integer,
    "ledger_id": integer,
    "new_balance_halala": integer,
    "new_balance_sar": number,
}


def delete_account(market: LocalMarket, renter: Renter) -> None:
    confirm = {"confirm": "DELETE_MY_ACCOUNT"}
    answered(market.rest.rest("DELETE", "/renters/me", key=renter.key, json=confirm))


def test_renters_are_listed_newest_first_searched_and_paged(market: LocalMarket, admin: Admin) -> None:
    first = market.add_renter(name="Noura Salem", organization="Tuwaiq Lab")
    second, third = market.add_renter(email="SARA@Riyadh.example"), market.add_renter(name="100% real_name")
    delete_account(market, market.add_renter())
    answered(admin.post(f"/admin/renters/{second.id}/suspend"))
    every = answered(admin.get("/admin/renters"))
    assert fits(every, LIST)
    assert [row["id"] for row in every["renters"]] == [4, 3, 2, 1]
    assert [row["status"] for row in every["renters"]] == ["deleted", "active", "suspended", "active"]
    assert show(every, "total", "active", "suspended") == {"total": 4, "active": 2, "suspended": 1}
    for search, found in (
        ("noura", [first.id]),
        ("TUWAIQ", [first.id]),
        ("sara@riyadh", [second.id]),
        ("%", [third.id]),
        ("l_n", [third.id]),
        ("nobody", []),
    ):
        page = answered(admin.get("/admin/renters", params={"search": search}))
        assert [row["id"] for row in page["renters"]] == found, search
        assert page["total"] == 4
    suspended = answered(admin.get("/admin/renters", params={"status": "suspended"}))
    assert [row["id"] for row in suspended["renters"]] == [second.id]
    page = answered(admin.get("/admin/renters", params={"page": 2, "limit": 3}))
    assert [row["id"] for row in page["renters"]] == [1]
    assert page["pagination"] == {"page": 2, "limit": 3, "total": 4, "pages": 2}
    assert answered(admin.get("/admin/renters", params={"limit": 5000}))["pagination"]["limit"] == 200
    for bad in ({"status": "lost"}, {"page": 0}, {"limit": "x"}, {"search": "x" * 121}):
        refused(admin.get("/admin/renters", params=bad), 400)


def test_a_renter_in_detail(market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    market.advance(60)
    provider.result(1)
    renter.submit()
    answered(renter.post("/renters/me/keys", {}), 201)
    shown = answered(admin.get("/admin/renters/1"))
    assert fits(shown, DETAIL)
    assert show(shown["renter"], "balance_halala", "held_halala", "live_keys", "completed_jobs", "total_jobs") == {
        "balance_halala": 940,
        "held_halala": 45,
        "live_keys": 1,
        "completed_jobs": 1,
        "total_jobs": 2,
    }
    assert shown["renter"]["total_spent_halala"] == 15
    assert [job["id"] for job in shown["recent_jobs"]] == [2, 1]
    assert [entry["kind"] for entry in shown["transactions"]] == ["hold", "refund", "hold", "starter_credit"]
    assert renter.key not in str(shown)


@pytest.mark.parametrize("by", ["itself", "with many"])
def test_a_suspended_renter_is_refused_at_once_and_its_jobs_are_cancelled(
    market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon, by: str
) -> None:
    daemon = market.connect(provider)
    for _ in range(2):
        renter.submit()
    lease = daemon.accept(daemon.expect("offer")).lease
    if by == "itself":
        answer = answered(admin.post("/admin/renters/1/suspend"))
        assert answer == {"success": True, "renter_id": 1, "status": "suspended"}
    else:
        answered(admin.post("/admin/bulk/renters", {"ids": [1], "action": "suspend"}))
    refused(renter.get("/renters/balance"), 403, "Account suspended", code="ACCOUNT_SUSPENDED")
    refused(renter.try_submit(), 403, "Invalid or inactive renter API key")
    stop = daemon.expect("stop")
    assert (stop.lease, stop.reason) == (lease, pb.STOP_REASON_CANCELLED)
    answered(admin.post("/admin/renters/1/suspend"))
    assert admin.stats()["active_renters"] == 0
    answer = answered(admin.post("/admin/renters/1/unsuspend"))
    assert answer == {"success": True, "renter_id": 1, "status": "active"}
    assert [renter.job(number)["status"] for number in (1, 2)] == ["cancelled", "cancelled"]
    assert renter.balance() == 1000
    assert admin.stats()["active_renters"] == 1


def test_a_key_is_replaced_for_a_renter(market: LocalMarket, admin: Admin, renter: Renter) -> None:
    renter.balance()
    answer = answered(admin.post("/admin/renters/1/rotate-key"))
    assert fits(answer, {"success": flag, "renter_id": integer, "new_api_key": text})
    refused(renter.get("/renters/balance"), 401, "Invalid API key")
    assert Renter(market.rest, 1, answer["new_api_key"]).balance() == 1000


def test_a_credit_is_one_ledger_entry(admin: Admin, renter: Renter) -> None:
    answer = answered(admin.post("/admin/renters/1/credit", {"amount_halala": 250, "reason": "a gift <3"}))
    assert fits(answer, CREDITED)
    assert show(answer, "new_balance_halala", "new_balance_sar") == {
        "new_balance_halala": 1250,
        "new_balance_sar": 12.5,
    }
    newest = answered(renter.get("/renters/me/transactions"))["entries"][0]
    assert show(newest, "id", "kind", "note", "amount_halala") == {
        "id": answer["ledger_id"],
        "kind": "admin_credit",
        "note": "a gift <3",
        "amount_halala": 250,
    }


def test_the_ledger_is_read_by_page_or_by_offset(admin: Admin, renter: Renter) -> None:
    for amount in (1, 2, 3):
        renter.top_up(amount)

    def amounts(**params: int) -> list[int]:
        page = answered(admin.get("/admin/renters/1/ledger", params=params))
        assert page["total"] == 4
        return [entry["amount_halala"] for entry in page["entries"]]

    assert amounts(limit=2) == amounts(limit=2, page=1) == [3, 2]
    assert amounts(limit=2, page=2) == amounts(limit=2, offset=2) == [1, 1000]
    assert amounts(limit=2, page=2, offset=0) == [3, 2]
    for page in ("0", "x"):
        refused(admin.get("/admin/renters/1/ledger", params={"page": page}), 400, "Validation failed")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"amount_halala": 5}, "reason is required"),
        ({"amount_halala": 5, "reason": "  "}, "reason is required"),
        ({"reason": "x"}, "Missing required fields: amount_halala"),
        ({"amount_halala": 0, "reason": "x"}, "Validation failed"),
        ({"amount_halala": -5, "reason": "x"}, "Validation failed"),
        ({"amount_halala": 100_000_001, "reason": "x"}, "Validation failed"),
        ({"amount_halala": 1, "reason": "x" * 501}, "Validation failed"),
        ({"amount_halala": 1.5, "reason": "x"}, None),
        ({"amount_halala": "lots", "reason": "x"}, None),
    ],
)
def test_bad_credits_change_nothing(admin: Admin, renter: Renter, body: Json, error: str | None) -> None:
    refused(admin.post("/admin/renters/1/credit", body), 400, error)
    assert renter.balance() == 1000


def test_a_credit_is_given_once_for_its_key(admin: Admin, renter: Renter) -> None:
    def credit(amount: int, path: str = "/admin/renters/1/credit", **body: Any) -> Any:
        body = {"amount_halala": amount, "reason": "x", **body}
        return admin.post(path, body, headers={"idempotency-key": "k1"})

    first, second = credit(10), credit(10)
    assert first.content == second.content
    assert second.headers["idempotent-replayed"] == "true"
    refused(credit(11), 409, code="IDEMPOTENCY_MISMATCH")
    for _ in range(2):
        answered(credit(5, "/admin/bulk/renters", ids=[1], action="credit"))
    assert renter.balance() == 1015


def test_a_wallet_has_its_limit(admin: Admin, renter: Renter) -> None:
    for _ in range(19):
        admin.adjust(1, 100_000_000)
    body = {"amount_halala": 100_000_000, "reason": "x"}
    refused(admin.post("/admin/renters/1/credit", body), 400, "Balance limit exceeded")
    assert renter.balance() == 1_900_001_000


def test_many_renters_at_once(market: LocalMarket, admin: Admin) -> None:
    people = [market.add_renter() for _ in range(3)]
    gone = market.add_renter()
    delete_account(market, gone)
    people[0].balance()

    def bulk(**body: Any) -> Json:
        return answered(admin.post("/admin/bulk/renters", body))

    ids = [1, 2, 2, gone.id, 99]
    assert bulk(ids=ids, action="suspend") == {
        "success": False,
        "action": "suspend",
        "processed": 2,
        "failed": 2,
        "total": 4,
    }
    refused(people[0].get("/renters/balance"), 403, code="ACCOUNT_SUSPENDED")
    assert people[2].balance() == 1000
    assert bulk(ids=[1, 2, 3], action="unsuspend")["success"] is True
    assert bulk(ids=ids, action="credit", amount_halala=5, reason="sorry")["processed"] == 2
    assert [person.balance() for person in people] == [1005, 1005, 1000]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "Missing required fields: ids, action"),
        ({"ids": [], "action": "suspend"}, "Missing required fields: ids"),
        ({"ids": [1], "action": "delete"}, "Invalid action. Allowed: suspend, unsuspend, credit"),
        ({"ids": [1], "action": "credit", "reason": "x"}, "Missing required fields: amount_halala"),
        ({"ids": [1], "action": "credit", "amount_halala": 5}, "reason is required"),
        ({"ids": list(range(1, 502)), "action": "suspend"}, "Validation failed"),
        ({"ids": ["x"], "action": "suspend"}, None),
    ],
)
def test_bad_bulk_calls_change_nothing(admin: Admin, renter: Renter, body: Json, error: str | None) -> None:
    answer = refused(admin.post("/admin/bulk/renters", body), 400, error)
    if error == "Validation failed":
        assert fields(answer) == ["ids"]
    assert renter.balance() == 1000


def test_unknown_and_deleted_renters(market: LocalMarket, admin: Admin) -> None:
    gone = market.add_renter()
    delete_account(market, gone)
    credit = {"amount_halala": 1, "reason": "x"}
    for path, body in (
        ("suspend", None),
        ("unsuspend", None),
        ("rotate-key", None),
        ("credit", credit),
        ("balance", {"amount_halala": 1}),
    ):
        for renter_id in (gone.id, 99, 0, "me"):
            refused(admin.post(f"/admin/renters/{renter_id}/{path}", body), 404, "Renter not found")
    for renter_id in ("99", "0", "x"):
        refused(admin.get(f"/admin/renters/{renter_id}"), 404, "Renter not found")
    assert fits(answered(admin.get(f"/admin/renters/{gone.id}")), DETAIL)
