"""A withdrawal: from a provider's earnings to its bank, or back (contract 3.4; 7, vector 64)."""

from collections.abc import Callable

import httpx
import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import MODEL, PollDaemon
from dc1.testing.rest import Json
from tests.contract.expect import answered, fields, refused, show
from tests.contract.fitting import fits, flag, integer, number, or_null, text, time

IBAN = "SA0380000000608010167519"
HINT = "SA******************7519"
PATH = "/providers/me/withdraw"
SERVING: Json = {
    "job_type": "vllm_serve",
    "duration_minutes": 60,
    "max_duration_seconds": 3600,
    "params": {"model": MODEL},
}
PENDING = "A withdrawal is already pending"

WITHDRAWAL: Json = {
    "id": text,
    "amount_halala": integer,
    "amount_sar": number,
    "iban_hint": text,
    "status": text,
    "reason": or_null(text),
    "bank_reference": or_null(text),
    "created_at": time,
    "updated_at": time,
    "cash_halala": integer,
    "promo_halala": integer,
}
CREATED: Json = {
    "success": flag,
    "withdrawal_id": text,
    "status": text,
    "message": text,
    "withdrawal_request": WITHDRAWAL,
}
FOR_ADMINS: Json = {**WITHDRAWAL, "provider_id": integer, "provider_name": text, "iban": text}
del FOR_ADMINS["iban_hint"]

small = pytest.mark.settings(withdraw_min_halala=5)


def withdraw(provider: PollDaemon, amount: object, iban: object = IBAN, **call: dict[str, str]) -> httpx.Response:
    return provider.post(PATH, {"amount_halala": amount, "iban": iban}, **call)


def available(provider: PollDaemon) -> int:
    halala: int = provider.earnings()["available_halala"]
    return halala


@pytest.fixture
def earn(market: LocalMarket, renter: Renter, provider: PollDaemon) -> Callable[[float], None]:
    """Runs a vllm_serve for some seconds, for 15 halala a minute to the provider."""

    def run(seconds: float) -> None:
        renter.top_up(1200)
        job = renter.submit(SERVING)
        assert market.next_job(provider)["id"] == job["id"]
        market.advance(seconds)
        answered(renter.cancel(job["id"]))

    return run


@pytest.fixture
def eighteen(earn: Callable[[float], None], provider: PollDaemon) -> PollDaemon:
    """P with 18 halala earned."""
    earn(70)
    assert available(provider) == 18
    return provider


def test_a_withdrawal_is_neither_too_small_nor_too_large_nor_a_second_one(
    provider: PollDaemon, earn: Callable[[float], None]
) -> None:
    """Contract 7, vector 64."""
    refused(withdraw(provider, 999), 400, "Minimum withdrawal is 1000 halala")
    earn(1873)
    assert available(provider) == 469
    text = "Insufficient available earnings"
    refused(withdraw(provider, 1000), 400, text, available_halala=469, requested_halala=1000)
    earn(3599)
    earn(522)
    assert available(provider) == 1500
    created = answered(withdraw(provider, 1000), 201)
    assert fits(created, CREATED)
    assert available(provider) == 500
    refused(withdraw(provider, 1000), 409, PENDING)


@small
def test_a_withdrawal_is_shown_with_a_masked_account(market: LocalMarket, eighteen: PollDaemon) -> None:
    created = answered(withdraw(eighteen, 10), 201)
    assert created["withdrawal_id"].startswith("wreq-")
    shown = {
        "id": created["withdrawal_id"],
        "amount_halala": 10,
        "amount_sar": 0.1,
        "iban_hint": HINT,
        "status": "pending",
        "reason": None,
        "bank_reference": None,
        "created_at": market.now(),
        "updated_at": market.now(),
        "cash_halala": 0,
        # Earned from starter credit, and released by a payment.
        "promo_halala": 10,
    }
    assert show(created, "success", "status", "withdrawal_request") == {
        "success": True,
        "status": "pending",
        "withdrawal_request": shown,
    }
    listed = eighteen.get("/providers/me/withdrawals")
    assert answered(listed) == {"withdrawals": [shown], "total": 1}
    assert IBAN not in listed.text
    earnings = eighteen.earnings()
    assert show(earnings, "total_earned_halala", "available_halala", "pending_withdrawal_sar", "withdrawn_sar") == {
        "total_earned_halala": 18,
        "available_halala": 8,
        "pending_withdrawal_sar": 0.1,
        "withdrawn_sar": 0,
    }


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "Missing required fields: amount_halala, iban"),
        ({"amount_halala": None, "iban": "  "}, "Missing required fields: amount_halala, iban"),
        ({"amount_halala": 1}, "Missing required fields: iban"),
        ({"iban": "bad"}, "Missing required fields: amount_halala"),
        ({"amount_halala": 4, "iban": "bad"}, "Minimum withdrawal is 5 halala"),
        ({"amount_halala": 0, "iban": IBAN}, "Minimum withdrawal is 5 halala"),
        ({"amount_halala": -10, "iban": IBAN}, "Minimum withdrawal is 5 halala"),
        ({"amount_halala": 19, "iban": "bad"}, "Invalid IBAN"),
        ({"amount_halala": 10, "iban": IBAN[:-1]}, "Invalid IBAN"),
        ({"amount_halala": 10, "iban": IBAN + "0"}, "Invalid IBAN"),
        ({"amount_halala": 10, "iban": IBAN + "\n"}, "Invalid IBAN"),
        ({"amount_halala": 10, "iban": IBAN.lower()}, "Invalid IBAN"),
        ({"amount_halala": 10, "iban": "SA" + "٣" * 22}, "Invalid IBAN"),
        ({"amount_halala": 19, "iban": IBAN}, "Insufficient available earnings"),
        ({"amount_halala": 10.5, "iban": IBAN}, "Validation failed"),
        ({"amount_halala": 1e30, "iban": IBAN}, "Validation failed"),
        ({"amount_halala": "ten", "iban": IBAN}, "Validation failed"),
        ({"amount_halala": 10, "iban": 5}, "Validation failed"),
    ],
)
@small
def test_a_bad_request_takes_nothing(eighteen: PollDaemon, body: Json, error: str) -> None:
    response = eighteen.post(PATH, body)
    refused(response, 400, error)
    assert IBAN not in response.text
    assert available(eighteen) == 18
    assert answered(eighteen.get("/providers/me/withdrawals"))["total"] == 0


@small
def test_an_open_withdrawal_comes_before_the_amount(eighteen: PollDaemon) -> None:
    answered(withdraw(eighteen, "10"), 201)
    refused(withdraw(eighteen, 1_000_000), 409, PENDING)
    refused(withdraw(eighteen, 1_000_000, "bad"), 400, "Invalid IBAN")


@small
@pytest.mark.parametrize("path", [PATH, "/providers/withdraw"])
def test_a_daemon_may_send_its_key_in_the_body(market: LocalMarket, eighteen: PollDaemon, path: str) -> None:
    body = {"amount_halala": 10, "iban": IBAN}
    refused(market.rest.post(path, body), 401, "API key required")
    refused(market.rest.post(path, {**body, "api_key": "bad"}), 401, "Invalid API key")
    answered(market.rest.post(path, {**body, "api_key": eighteen.key}), 201)
    assert available(eighteen) == 8


@small
def test_a_repeated_call_withdraws_once(eighteen: PollDaemon) -> None:
    key = {"idempotency-key": "k1"}
    first, second = withdraw(eighteen, 10, headers=key), withdraw(eighteen, 10, headers=key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert available(eighteen) == 8
    refused(withdraw(eighteen, 11, headers=key), 409, code="IDEMPOTENCY_MISMATCH")


@small
def test_two_calls_at_once_withdraw_once(market: LocalMarket, eighteen: PollDaemon) -> None:
    answers = market.at_once([lambda: withdraw(eighteen, 5)] * 8)
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert available(eighteen) == 13


@small
@pytest.mark.settings(rate_limits_enabled=True, withdraw_min_halala=5)
def test_the_eleventh_call_of_a_minute_is_too_many(provider: PollDaemon) -> None:
    for _ in range(10):
        refused(withdraw(provider, 1), 400)
    refused(withdraw(provider, 1), 429, "Rate limit exceeded")


class TestOperators:
    @pytest.mark.parametrize(
        ("moves", "left", "paid"),
        [
            (["paid"], 8, 10),
            (["processing", "paid"], 8, 10),
            (["failed"], 18, 0),
            (["rejected"], 18, 0),
            (["processing", "failed"], 18, 0),
            (["processing"], 8, 0),
        ],
    )
    @small
    def test_where_the_money_goes(
        self, market: LocalMarket, eighteen: PollDaemon, moves: list[str], left: int, paid: int
    ) -> None:
        outside = market.admin.finance()["external_halala"]
        name = answered(withdraw(eighteen, 10), 201)["withdrawal_id"]
        row: Json = {}
        for move in moves:
            market.clock.advance(1)
            row = answered(market.admin.patch(f"/admin/withdrawals/{name}", {"status": move, "reason": "نص"}))
            assert fits(row, FOR_ADMINS)
            went_back = move in ("failed", "rejected")
            assert show(row, "id", "provider_id", "status", "iban", "amount_halala", "reason", "updated_at") == {
                "id": name,
                "provider_id": eighteen.id,
                "status": move,
                "iban": IBAN,
                "amount_halala": 10,
                "reason": "نص" if went_back else None,
                "updated_at": market.now(),
            }
        assert available(eighteen) == left
        finance = market.admin.finance()
        assert finance["payouts_halala"] == 18 - left - paid
        assert outside - finance["external_halala"] == paid
        (seen,) = answered(eighteen.get("/providers/me/withdrawals"))["withdrawals"]
        assert show(seen, "status", "reason") == show(row, "status", "reason")
        summary = answered(eighteen.get("/providers/earnings/summary"))
        assert summary == {
            "total_earned": 18,
            "pending": 18 - left - paid,
            "last_payout": market.now() if paid else None,
        }

    @small
    def test_what_the_bank_calls_a_transfer_stays_with_it(self, market: LocalMarket, eighteen: PollDaemon) -> None:
        path = f"/admin/withdrawals/{answered(withdraw(eighteen, 10), 201)['withdrawal_id']}"
        admin = market.admin
        noted = answered(admin.patch(path, {"status": "processing", "bank_reference": " SARIE 2026-0042 "}))
        assert noted["bank_reference"] == "SARIE 2026-0042"
        too_long = refused(admin.patch(path, {"status": "paid", "bank_reference": "x" * 141}), 400, "Validation failed")
        assert fields(too_long) == ["bank_reference"]
        # Said once is enough: the last move has nothing new to say of it.
        assert answered(admin.patch(path, {"status": "paid"}))["bank_reference"] == "SARIE 2026-0042"
        listed = (answered(admin.get("/admin/withdrawals")), answered(eighteen.get("/providers/me/withdrawals")))
        for rows in (*listed, answered(eighteen.get("/providers/me/export"))):
            assert [row["bank_reference"] for row in rows["withdrawals"]] == ["SARIE 2026-0042"]

    @pytest.mark.parametrize(
        ("first", "then"),
        [
            ("paid", "processing"),
            ("paid", "failed"),
            ("paid", "paid"),
            ("failed", "paid"),
            ("rejected", "processing"),
            ("processing", "rejected"),
            ("processing", "processing"),
        ],
    )
    @small
    def test_other_moves_change_nothing(self, admin: Admin, eighteen: PollDaemon, first: str, then: str) -> None:
        path = f"/admin/withdrawals/{answered(withdraw(eighteen, 10), 201)['withdrawal_id']}"
        answered(admin.patch(path, {"status": first}))
        before = (available(eighteen), admin.finance())
        text = f"Cannot change withdrawal from {first} to {then}"
        refused(admin.patch(path, {"status": then}), 409, text, current_status=first)
        assert (available(eighteen), admin.finance()) == before

    @small
    def test_only_one_of_many_moves_counts(self, market: LocalMarket, eighteen: PollDaemon) -> None:
        path = f"/admin/withdrawals/{answered(withdraw(eighteen, 10), 201)['withdrawal_id']}"
        answers = market.at_once(
            [
                lambda: market.admin.patch(path, {"status": "paid"}),
                lambda: market.admin.patch(path, {"status": "failed"}),
            ]
            * 3
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5

    @small
    def test_the_next_one_may_follow(self, admin: Admin, eighteen: PollDaemon) -> None:
        for amount in (10, 8):
            name = answered(withdraw(eighteen, amount), 201)["withdrawal_id"]
            answered(admin.patch(f"/admin/withdrawals/{name}", {"status": "paid"}))
        assert available(eighteen) == 0
        rows = answered(eighteen.get("/providers/me/withdrawals"))
        assert [row["amount_halala"] for row in rows["withdrawals"]] == [8, 10]
        newest = answered(eighteen.get("/providers/me/withdrawals", params={"limit": 1}))
        assert ([row["amount_halala"] for row in newest["withdrawals"]], newest["total"]) == ([8], 2)

    @small
    def test_lists(self, market: LocalMarket, eighteen: PollDaemon) -> None:
        assert answered(market.admin.get("/admin/withdrawals")) == {"withdrawals": [], "total": 0}
        answered(withdraw(eighteen, 10), 201)
        listed = answered(market.admin.get("/admin/withdrawals"))
        flags: Json = {"shares": text, "renter_ids": [integer], "provider_ids": [integer]}
        assert fits(listed, {"withdrawals": [{**FOR_ADMINS, "flags": [flags]}], "total": integer})
        (row,) = listed["withdrawals"]
        assert show(row, "provider_id", "provider_name", "iban") == {
            "provider_id": eighteen.id,
            "provider_name": answered(eighteen.get("/providers/me"))["provider"]["name"],
            "iban": IBAN,
        }
        for status, total in (("pending", 1), ("paid", 0)):
            found = answered(market.admin.get("/admin/withdrawals", params={"status": status}))
            assert (found["total"], len(found["withdrawals"])) == (total, total)
        assert answered(market.admin.get("/admin/withdrawals?page=2"))["withdrawals"] == []
        stranger = market.add_provider()
        assert answered(stranger.get("/providers/me/withdrawals")) == {"withdrawals": [], "total": 0}

    @small
    def test_refusals(self, admin: Admin, eighteen: PollDaemon) -> None:
        path = f"/admin/withdrawals/{answered(withdraw(eighteen, 10), 201)['withdrawal_id']}"
        refused(admin.patch(path, {}), 400, "Missing required fields: status")
        allowed = "Invalid status. Allowed: processing, paid, failed, rejected"
        for status in ("pending", "PAID", "lost"):
            refused(admin.patch(path, {"status": status}), 400, allowed, code="INVALID_ENUM")
        too_long = refused(admin.patch(path, {"status": "failed", "reason": "x" * 501}), 400, "Validation failed")
        assert fields(too_long) == ["reason"]
        for name in ("1", "wreq-nope", "wreq-%00", "نص"):
            refused(admin.patch(f"/admin/withdrawals/{name}", {"status": "paid"}), 404, "Withdrawal not found")
        allowed = "Invalid status. Allowed: pending, processing, paid, failed, rejected"
        refused(admin.get("/admin/withdrawals?status=lost"), 400, allowed)
        for query in ("page=0", "page=x", "limit=0", "limit=-1"):
            refused(admin.get(f"/admin/withdrawals?{query}"), 400)
        assert available(eighteen) == 8


@small
def test_account_numbers_are_in_no_log(
    market: LocalMarket, eighteen: PollDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    name = answered(withdraw(eighteen, 10), 201)["withdrawal_id"]
    refused(withdraw(eighteen, 10), 409)
    refused(withdraw(eighteen, 10, IBAN + "0"), 400)
    answered(market.admin.patch(f"/admin/withdrawals/{name}", {"status": "failed", "reason": "no"}))
    answered(market.admin.get("/admin/withdrawals"))
    written = capfd.readouterr()
    assert "ProviderService/CreateWithdrawal" in written.out
    assert IBAN[2:] not in written.out + written.err
