"""Putting money into a wallet (contract 7, vector 63)."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.rest import Json
from tests.contract.expect import answered, refused, show


def test_an_amount_is_said_in_sar_or_halala(renter: Renter) -> None:
    """Contract 7, vector 63."""
    answer = answered(renter.post("/renters/topup", {"amount_sar": 12.345}))
    assert answer == {
        "success": True,
        "topped_up_halala": 1235,
        "topped_up_sar": 12.35,
        "new_balance_halala": 2235,
        "new_balance_sar": 22.35,
    }
    refused(renter.post("/renters/topup", {"amount_halala": 1.5}), 400)
    refused(renter.post("/renters/topup", {"amount_halala": 100001}), 400)
    refused(renter.post("/renters/topup", {}), 400, "Missing required fields: amount_halala", code="MISSING_FIELDS")
    assert renter.balance() == 2235


AMOUNTS: list[tuple[Json, int | None]] = [
    ({"amount_halala": 1}, 1),
    ({"amount_halala": 100000}, 100000),
    ({"amount_halala": "250"}, 250),
    ({"amount_halala": 10.0}, 10),
    ({"amount_sar": 0.01}, 1),
    ({"amount_sar": 1000}, 100000),
    ({"amount_sar": "2.5"}, 250),
    ({"amount_sar": 0.005}, None),
    ({"amount_sar": 1.005}, 101),
    ({"amount_halala": 7, "amount_sar": 5}, 7),
    ({"amount_halala": None, "amount_sar": 5}, 500),
    ({"amount_halala": 0}, None),
    ({"amount_halala": -5}, None),
    ({"amount_halala": 0, "amount_sar": 5}, None),
    ({"amount_halala": 1e300}, None),
    ({"amount_halala": "NaN"}, None),
    ({"amount_halala": "ten"}, None),
    ({"amount_halala": [5]}, None),
    ({"amount_halala": True}, None),
    ({"amount_sar": 1000.01}, None),
    ({"amount_sar": -1}, None),
    ({"amount_sar": 0}, None),
    ({"amount_sar": "Infinity"}, None),
    ({"amount_sar": {"value": 1}}, None),
]


def test_amounts_and_their_bounds(renter: Renter) -> None:
    for amount, added in AMOUNTS:
        before = renter.balance()
        response = renter.post("/renters/topup", amount)
        if added is None:
            refused(response, 400)
        else:
            assert answered(response)["topped_up_halala"] == added
        assert renter.balance() - before == (added or 0), amount


@pytest.mark.settings(topup_enabled=False)
def test_top_ups_may_be_switched_off(renter: Renter) -> None:
    refused(
        renter.post("/renters/topup", {"amount_halala": 1}), 403, "Direct top-up is disabled", code="TOPUP_DISABLED"
    )
    assert renter.balance() == 1000


def test_a_wallet_holds_two_thousand_million_at_most(renter: Renter, admin: Admin) -> None:
    for _ in range(19):
        admin.adjust(1, 100_000_000)
    admin.adjust(1, 99_998_990)
    assert renter.top_up(10)["new_balance_halala"] == 2_000_000_000
    refused(renter.post("/renters/topup", {"amount_halala": 1}), 400, "Balance limit exceeded")


@pytest.mark.settings(rate_limits_enabled=True)
def test_the_eleventh_top_up_of_a_minute_is_too_many(renter: Renter) -> None:
    for _ in range(10):
        renter.top_up(1)
    refused(renter.post("/renters/topup", {"amount_halala": 1}), 429, "Rate limit exceeded")
    assert renter.balance() == 1010


def test_top_ups_at_the_same_time_all_count(market: LocalMarket, renter: Renter) -> None:
    market.at_once([lambda: renter.top_up(10)] * 8)
    assert show(renter.wallet(), "balance_halala", "available_halala") == {
        "balance_halala": 1080,
        "available_halala": 1080,
    }
    assert market.admin.finance()["external_halala"] == 1080
