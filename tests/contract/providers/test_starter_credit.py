"""Starter credit is not cash: what it earns a provider is kept apart until its renter has paid (contract 5.3)."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import MODEL, PollDaemon
from dc1.testing.rest import Json
from tests.contract.expect import answered, refused, show

IBAN = "SA0380000000608010167519"
SERVING: Json = {
    "job_type": "vllm_serve",
    "duration_minutes": 50,
    "max_duration_seconds": 3000,
    "params": {"model": MODEL},
}
"""Costs 1000 halala, of which the provider has 750."""


def run(market: LocalMarket, renter: Renter, provider: PollDaemon, seconds: int = 3000, job: Json = SERVING) -> None:
    ordered = renter.submit(job)
    assert market.next_job(provider)["id"] == ordered["id"]
    market.advance(seconds - 1)
    answered(renter.cancel(ordered["id"]))


def withdraw(provider: PollDaemon, amount: int) -> Json:
    return answered(provider.post("/providers/me/withdraw", {"amount_halala": amount, "iban": IBAN}), 201)


def earnings(provider: PollDaemon) -> tuple[int, int, int]:
    """Earned, available, kept apart."""
    found = provider.earnings()
    assert found["claimable_earnings_halala"] == found["available_halala"]
    return found["total_earned_halala"], found["available_halala"], found["promo_earnings_halala"]


def check_books(admin: Admin) -> None:
    books = answered(admin.get("/admin/finance/books"))
    assert books["problems"] == []
    assert books["balanced"] is True


def test_fresh_renters_cannot_be_turned_into_a_withdrawal(
    market: LocalMarket, provider: PollDaemon, admin: Admin
) -> None:
    for _ in range(3):
        run(market, market.add_renter(), provider)
    assert earnings(provider) == (2250, 0, 2250)
    response = provider.post("/providers/me/withdraw", {"amount_halala": 2000, "iban": IBAN})
    refused(
        response,
        400,
        "Insufficient available earnings",
        available_halala=0,
        requested_halala=2000,
    )
    summary = answered(admin.get("/admin/finance/summary"))
    assert (summary["provider_earnings_halala"], summary["promo_earnings_halala"]) == (2250, 2250)
    check_books(admin)


def test_a_payment_releases_what_its_renter_spent_and_nothing_else(
    market: LocalMarket, renter: Renter, provider: PollDaemon, admin: Admin
) -> None:
    run(market, renter, provider)
    run(market, market.add_renter(), provider)
    renter.top_up(1)
    assert earnings(provider) == (1500, 750, 750)
    # From now on what the renter has left of the credit is as good as money.
    another = market.add_renter()
    another.top_up(1)
    run(market, another, provider)
    assert earnings(provider) == (2250, 1500, 750)
    withdraw(provider, 1500)
    assert provider.earnings()["withdrawn_sar"] == 0
    check_books(admin)


@pytest.mark.parametrize("is_payment", [True, False, None])
def test_a_credit_of_an_admin_releases_only_as_a_payment(
    market: LocalMarket, renter: Renter, provider: PollDaemon, admin: Admin, is_payment: bool | None
) -> None:
    run(market, renter, provider)
    body = {"amount_halala": 900, "reason": "by hand"} | ({} if is_payment is None else {"is_payment": is_payment})
    entry = answered(admin.post(f"/admin/renters/{renter.id}/credit", body))
    assert earnings(provider) == ((750, 750, 0) if is_payment else (750, 0, 750))
    kind = answered(renter.get("/renters/me/transactions"))["entries"][0]["kind"]
    assert kind == ("admin_payment" if is_payment else "admin_credit")
    # What was given by hand is not starter credit, and what it earns is money.
    run(market, renter, provider, 1200, {**SERVING, "duration_minutes": 25})
    assert earnings(provider) == ((1050, 1050, 0) if is_payment else (1050, 300, 750))
    if is_payment:
        # A payment that was none is one no more; what was released until then is not taken back.
        reason = {"reason": "it bounced"}
        refused(admin.post(f"/admin/finance/transactions/{entry['ledger_id']}/reverse", reason), 400)
        answered(admin.post(f"/admin/renters/{renter.id}/credit", {"amount_halala": 900, "reason": "again"}))
        answered(admin.post(f"/admin/finance/transactions/{entry['ledger_id']}/reverse", reason), 201)
    check_books(admin)


def split(row: Json) -> tuple[int, int, int]:
    return row["amount_halala"], row["cash_halala"], row["promo_halala"]


def test_a_withdrawal_says_how_much_of_it_was_starter_credit(
    market: LocalMarket, renter: Renter, provider: PollDaemon, admin: Admin
) -> None:
    run(market, renter, provider)
    renter.top_up(1000)
    run(market, renter, provider)
    asked = withdraw(provider, 1000)
    # What was earned from starter credit goes first.
    assert split(asked["withdrawal_request"]) == (1000, 250, 750)
    rejected = admin.patch(f"/admin/withdrawals/{asked['withdrawal_id']}", {"status": "rejected", "reason": "who?"})
    assert split(answered(rejected)) == (1000, 250, 750)
    # What went back is asked for anew, and what was paid is not.
    withdraw(provider, 1000)
    (newest, _) = answered(admin.get("/admin/withdrawals"))["withdrawals"]
    answered(admin.patch(f"/admin/withdrawals/{newest['id']}", {"status": "paid"}))
    renter.top_up(1000)
    run(market, renter, provider)
    assert split(withdraw(provider, 1000)["withdrawal_request"]) == (1000, 1000, 0)
    assert [split(row) for row in answered(provider.get("/providers/me/withdrawals"))["withdrawals"]] == [
        (1000, 1000, 0),
        (1000, 250, 750),
        (1000, 250, 750),
    ]


def flags(admin: Admin) -> dict[str, tuple[list[int], list[int]]]:
    found = answered(admin.get("/admin/withdrawals"))["withdrawals"][0]["flags"]
    return {flag["shares"]: (flag["renter_ids"], flag["provider_ids"]) for flag in found}


def test_a_withdrawal_tells_whom_its_owner_has_something_in_common_with(market: LocalMarket, admin: Admin) -> None:
    """Everybody here calls from one address."""
    owner = market.register_provider(email="owner@acme.sa")
    admin.approve(owner.id)
    owner.heartbeat()
    same = market.add_renter(email="owner+1@acme.sa")
    staff = market.add_renter(email="staff@acme.sa")
    stranger = market.add_renter(email="somebody@gmail.com")
    idle = market.add_renter(email="owner@acme.sa")
    for renter in (same, staff, stranger):
        run(market, renter, owner)
    other = market.register_provider(email="other@gmail.com")
    answered(admin.post(f"/admin/providers/{owner.id}/release-promo", {"reason": "known to us"}))
    withdraw(owner, 1500)
    everybody = sorted(one.id for one in (same, staff, stranger, idle))
    assert flags(admin) == {
        "address": (everybody, [other.id]),
        "email": ([same.id, idle.id], []),
        "email_host": ([staff.id], []),
    }


def test_a_bank_account_is_shared_by_owners(market: LocalMarket, provider: PollDaemon, admin: Admin) -> None:
    other = market.add_provider()
    for one in (provider, other):
        for _ in range(2):
            run(market, market.add_renter(), one, job={**SERVING, "provider_id": one.id})
        answered(admin.post(f"/admin/providers/{one.id}/release-promo", {"reason": "known to us"}))
        withdraw(one, 1000)
    assert flags(admin)["bank_account"] == ([], [provider.id])


def test_an_admin_releases_by_renter_or_all(
    market: LocalMarket, renter: Renter, provider: PollDaemon, admin: Admin
) -> None:
    path = f"/admin/providers/{provider.id}/release-promo"
    for each in (renter, market.add_renter(), market.add_renter()):
        run(market, each, provider)
    refused(admin.post(path, {}), 400, "reason is required")
    refused(admin.post("/admin/providers/99/release-promo", {"reason": "x"}), 404, "Provider not found")
    refused(admin.post(path, {"reason": "x", "renter_id": 0}), 400)
    refused(provider.post(path, {"reason": "x"}), 401)
    refused(renter.post(path, {"reason": "x"}), 401)
    assert earnings(provider) == (2250, 0, 2250)
    one = answered(admin.post(path, {"reason": "known to us", "renter_id": renter.id}))
    assert show(one, "released_halala", "promo_earnings_halala", "available_halala") == {
        "released_halala": 750,
        "promo_earnings_halala": 1500,
        "available_halala": 750,
    }
    assert answered(admin.post(path, {"reason": "again", "renter_id": renter.id}))["released_halala"] == 0
    rest = answered(admin.post(path, {"reason": "all of them"}))
    assert (rest["success"], rest["released_halala"], rest["available_halala"]) == (True, 1500, 2250)
    entries = answered(admin.get("/admin/finance/transactions"))["entries"]
    released = [show(each, "from_account", "to_account", "amount_halala", "note") for each in entries[:2]]
    assert (
        released
        == [{"from_account": "promo_earnings", "to_account": "provider", "amount_halala": 750, "note": "all of them"}]
        * 2
    )
    audit = answered(admin.get("/admin/audit"))["entries"]
    assert {"method": "POST", "path": path, "status": 200} in [show(each, "method", "path", "status") for each in audit]
    check_books(admin)


def test_of_a_mixed_wallet_the_credit_is_spent_first_and_comes_back_last(
    market: LocalMarket, renter: Renter, provider: PollDaemon, admin: Admin
) -> None:
    answered(admin.post(f"/admin/renters/{renter.id}/credit", {"amount_halala": 1000, "reason": "a gift"}))
    mixed = {**SERVING, "duration_minutes": 60, "max_duration_seconds": 3600, "pricing_class": "priority"}
    # 1440 held, 1200 charged: all of the credit and 200 of the gift, of which the provider has three quarters.
    run(market, renter, provider, 3000, mixed)
    assert earnings(provider) == (900, 150, 750)
    # The 240 that came back are of the gift; so are the 560 that were never held.
    run(market, renter, provider, 1200, {**SERVING, "duration_minutes": 20})
    assert earnings(provider) == (1200, 450, 750)
    check_books(admin)


def test_no_detour_makes_money_of_starter_credit(
    market: LocalMarket, renter: Renter, provider: PollDaemon, admin: Admin
) -> None:
    # Held and refunded by a cancel, twice, then taken and given back by an admin.
    for _ in range(2):
        answered(renter.cancel(renter.submit(SERVING)["id"]))
    adjusted = {"amount_halala": -1000, "reason": "a test"}
    answered(admin.post(f"/admin/renters/{renter.id}/balance", adjusted))
    taken = answered(admin.get(f"/admin/renters/{renter.id}/ledger"))["entries"][0]["id"]
    answered(admin.post(f"/admin/finance/transactions/{taken}/reverse", {"reason": "it was one"}), 201)
    assert renter.balance() == 1000
    run(market, renter, provider)
    assert earnings(provider) == (750, 0, 750)
    # Closing either account opens nothing.
    closing = {"confirm": "DELETE_MY_ACCOUNT"}
    answered(market.rest.rest("DELETE", "/renters/me", key=renter.key, json=closing))
    assert earnings(provider) == (750, 0, 750)
    check_books(admin)
