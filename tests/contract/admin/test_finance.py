"""The market's books, as operators read them."""

from collections.abc import Callable

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json
from tests.contract.expect import answered, refused, show
from tests.contract.fitting import fits, flag, integer, number, or_null, text, time

ENTRY: Json = {
    "id": integer,
    "kind": text,
    "from_account": text,
    "to_account": text,
    "renter_id": or_null(integer),
    "provider_id": or_null(integer),
    "job_id": or_null(text),
    "amount_halala": integer,
    "amount_sar": number,
    "note": or_null(text),
    "created_at": time,
    "reverses": or_null(integer),
    "reversed_by": or_null(integer),
}
ENTRIES: Json = {
    "entries": [ENTRY],
    "pagination": {"page": integer, "limit": integer, "total": integer, "pages": integer},
}
RECONCILIATION: Json = {
    "balanced": flag,
    "difference_halala": number,
    "by_day": [
        {
            "date": text,
            "entries": integer,
            "credited_halala": number,
            "charged_halala": number,
            "refunded_halala": number,
            "paid_out_halala": number,
            "difference_halala": number,
        }
    ],
}
BOOKS: Json = {
    "balanced": flag,
    "difference_halala": number,
    "accounts": [{"account": text, "balance_halala": number, "balance_sar": number}],
    "problems": [text],
    "timestamp": time,
    "carried": {"call_prices_micro_halala": number, "platform_fees_micro_halala": number},
}
IBAN = "SA0380000000608010167519"


@pytest.fixture
def traded(market: LocalMarket, renter: Renter, provider: PollDaemon) -> str:
    """One of everything that moves money but a returned payout: the public id of a job that ran for 95 s."""
    job = renter.submit()
    provider.next()
    market.advance(95)
    provider.result(job["id"])
    renter.top_up(500)
    market.admin.adjust(renter.id, -100)
    body = {"amount_halala": 10, "iban": IBAN}
    name = answered(provider.post("/providers/me/withdraw", body), 201)["withdrawal_id"]
    answered(market.admin.patch(f"/admin/withdrawals/{name}", {"status": "paid"}))
    public_id: str = job["job_id"]
    return public_id


@pytest.mark.settings(withdraw_min_halala=10)
class TestTransactions:
    def test_every_movement_with_both_its_ends(self, admin: Admin, traded: str) -> None:
        body = answered(admin.get("/admin/finance/transactions"))
        assert fits(body, ENTRIES)
        keys = ("kind", "from_account", "to_account", "renter_id", "provider_id", "job_id", "amount_halala")
        assert [tuple(entry[key] for key in keys) for entry in body["entries"]] == [
            ("payout_paid", "payout", "external", None, 1, None, 10),
            ("withdrawal", "provider", "payout", None, 1, None, 10),
            ("admin_adjustment", "wallet", "adjustment", 1, None, None, 100),
            ("topup", "external", "wallet", 1, None, None, 500),
            ("promo_release", "promo_earnings", "provider", None, 1, None, 18),
            ("refund", "hold", "wallet", 1, None, traded, 21),
            ("charge_platform", "hold", "platform", 1, None, traded, 6),
            ("charge_provider_promo", "hold", "promo_earnings", 1, 1, traded, 18),
            ("hold", "wallet", "hold", 1, None, traded, 45),
            ("starter_credit", "promo", "wallet", 1, None, None, 1000),
        ]
        assert body["pagination"] == {"page": 1, "limit": 50, "total": 10, "pages": 1}

    def test_pages(self, admin: Admin, traded: str) -> None:
        second = answered(admin.get("/admin/finance/transactions", params={"page": 2, "limit": 4}))
        assert [entry["id"] for entry in second["entries"]] == [6, 5, 4, 3]
        assert second["pagination"] == {"page": 2, "limit": 4, "total": 10, "pages": 3}

    def test_only_the_last_days(self, market: LocalMarket, renter: Renter) -> None:
        market.clock.advance(86_401)
        renter.top_up(5)
        for days, kinds in ((1, ["topup"]), (2, ["topup", "starter_credit"])):
            body = answered(market.admin.get("/admin/finance/transactions", params={"days": days}))
            assert [entry["kind"] for entry in body["entries"]] == kinds


@pytest.mark.settings(withdraw_min_halala=10)
def test_a_job_s_charge_is_given_back(admin: Admin, renter: Renter, traded: str) -> None:
    path = f"/admin/jobs/{traded}/refund"
    before = renter.balance()
    refused(admin.post(path, {"reason": " "}), 400, "reason is required")
    body = answered(admin.post(path, {"reason": "made up"}), 201)
    # Of what the provider earned 10 are paid out.
    halala = {"refunded_halala": 24, "from_provider_halala": 8, "from_platform_halala": 16}
    balance = {"new_balance_halala": before + 24, "new_balance_sar": (before + 24) / 100}
    assert body == {"success": True, "job_id": traded, **halala, **balance, "ledger_id": body["ledger_id"]}
    refused(
        admin.post(path, {"reason": "made up"}), 409, "The charge is given back already", returned_by=body["ledger_id"]
    )
    entry = answered(renter.get("/renters/me/transactions"))["entries"][0]
    assert show(entry, "kind", "direction", "amount_halala", "job_id", "note") == {
        "kind": "charge_returned",
        "direction": "credit",
        "amount_halala": 24,
        "job_id": traded,
        "note": "made up",
    }
    (today,) = answered(admin.get("/admin/finance/reconciliation", params={"days": 1}))["by_day"]
    assert today["refunded_halala"] == 21 + 24
    assert answered(admin.get("/admin/finance/books"))["balanced"]
    refused(admin.post("/admin/jobs/none/refund", {"reason": "made up"}), 404, "Job not found")


class TestReversal:
    def test_a_wrong_top_up_is_taken_back(self, market: LocalMarket, admin: Admin, renter: Renter) -> None:
        renter.top_up(500)
        (wrong, _) = answered(admin.get("/admin/finance/transactions"))["entries"]
        path = f"/admin/finance/transactions/{wrong['id']}/reverse"
        body = answered(admin.post(path, {"reason": "typed twice"}), 201)
        assert fits(body, {"success": flag, "entry": ENTRY, "new_balance_halala": integer, "new_balance_sar": number})
        assert show(body["entry"], "kind", "from_account", "to_account", "amount_halala", "note", "reverses") == {
            "kind": "reversal",
            "from_account": "wallet",
            "to_account": "external",
            "amount_halala": 500,
            "note": "typed twice",
            "reverses": wrong["id"],
        }
        assert body["new_balance_halala"] == renter.balance() == 1000
        refused(
            admin.post(path, {"reason": "typed twice"}),
            409,
            "Ledger entry is already reversed",
            reversed_by=body["entry"]["id"],
        )
        (last, first, _) = answered(admin.get("/admin/finance/transactions"))["entries"]
        assert last == body["entry"]
        assert first == {**wrong, "reversed_by": last["id"]}
        (today,) = answered(admin.get("/admin/finance/reconciliation", params={"days": 1}))["by_day"]
        assert (today["entries"], today["credited_halala"]) == (3, 1000)
        assert answered(admin.get("/admin/finance/books"))["balanced"]
        audited = answered(admin.get("/admin/audit"))["entries"]
        assert ("POST", path, 201) in [(entry["method"], entry["path"], entry["status"]) for entry in audited]
        assert ("POST", path, 409) in [(entry["method"], entry["path"], entry["status"]) for entry in audited]

    def test_what_cannot_be_reversed(self, admin: Admin, renter: Renter) -> None:
        renter.submit()
        (hold, credit) = answered(admin.get("/admin/finance/transactions"))["entries"]
        because = {"reason": "because"}
        paths = {name: f"/admin/finance/transactions/{name}/reverse" for name in (hold["id"], credit["id"], 99, "x", 0)}
        refused(admin.post(paths[hold["id"]], because), 409, "Ledger entry cannot be reversed", kind="hold")
        refused(admin.post(paths[credit["id"]], because), 400, "Balance cannot go below 0")
        for name in (99, "x", 0):
            refused(admin.post(paths[name], because), 404, "Ledger entry not found")
        for reason in (None, "", "  "):
            refused(admin.post(paths[credit["id"]], {"reason": reason}), 400, "reason is required")
        refused(admin.post(paths[credit["id"]], {"reason": "x" * 501}), 400)
        assert renter.balance() == 1000 - 45


@pytest.mark.settings(withdraw_min_halala=10)
class TestReconciliation:
    def test_what_moved_on_each_day(self, market: LocalMarket, traded: str) -> None:
        market.clock.advance(86_400)
        market.add_renter()
        body = answered(market.admin.get("/admin/finance/reconciliation", params={"days": 3}))
        assert fits(body, RECONCILIATION)
        nothing = {"charged_halala": 0, "refunded_halala": 0, "paid_out_halala": 0, "difference_halala": 0}
        assert body == {
            "balanced": True,
            "difference_halala": 0,
            "by_day": [
                {"date": "2026-03-21", "entries": 0, "credited_halala": 0, **nothing},
                {
                    "date": "2026-03-22",
                    "entries": 10,
                    "credited_halala": 1000 + 500 - 100,
                    "charged_halala": 24,
                    "refunded_halala": 21,
                    "paid_out_halala": 10,
                    "difference_halala": 0,
                },
                {"date": "2026-03-23", "entries": 1, "credited_halala": 1000, **nothing},
            ],
        }

    @pytest.mark.parametrize(("days", "shown"), [(None, 30), (90, 90), (1000, 90)])
    def test_days(self, admin: Admin, days: int | None, shown: int) -> None:
        body = answered(admin.get("/admin/finance/reconciliation", params={"days": days} if days else {}))
        assert len(body["by_day"]) == shown

    def test_the_trial_balance(self, admin: Admin, traded: str) -> None:
        body = answered(admin.get("/admin/finance/books"))
        assert fits(body, BOOKS)
        assert show(body, "balanced", "difference_halala", "problems") == {
            "balanced": True,
            "difference_halala": 0,
            "problems": [],
        }
        assert {account["account"]: account["balance_halala"] for account in body["accounts"]} == {
            "wallet": 1376,
            "hold": 0,
            "provider": 8,
            "promo_earnings": 0,
            "payout": 0,
            "platform": 6,
            "promo": -1000,
            "external": -490,
            "adjustment": 100,
        }
        assert admin.finance()["external_halala"] == 1376 + 8 + 6


@pytest.mark.parametrize(
    "path",
    [
        "/admin/finance/transactions",
        "/admin/finance/reconciliation",
        "/admin/finance/books",
        "/admin/withdrawals",
    ],
)
def test_the_books_are_for_operators(
    market: LocalMarket, renter: Renter, provider: PollDaemon, path: str, finished_job: Callable[[], int]
) -> None:
    refused(market.rest.get(path), 401, "Admin access denied")
    for key in ("wrong", renter.key, provider.key):
        refused(market.rest.get(path, headers={"x-admin-token": key}), 401, "Admin access denied")
    answered(market.admin.get(path))


def test_refusals(admin: Admin) -> None:
    for path, names in (
        ("/admin/finance/transactions", ("days", "page", "limit")),
        ("/admin/finance/reconciliation", ("days",)),
    ):
        for name in names:
            for value in ("0", "-1", "x", "1.5"):
                refused(admin.get(path, params={name: value}), 400)
