"""Contract 6.2: tokens that are read, read again and made cost what an admin says of each."""

from typing import Any

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import MODEL
from dc1.testing.rest import Json
from dc1.testing.stream_daemon import StreamDaemon
from tests.contract.expect import answered, refused, show
from tests.contract.inference.chat import Caller, begin

ASKED = "How deep is the sea here"
"""24 bytes."""

PRICES = ("prompt_halala", "completion_halala", "cached_halala")


def set_prices(admin: Admin, model: str = MODEL, **prices: Any) -> Json:
    row: Json = answered(admin.patch(f"/admin/token-prices/{model}", prices))
    return row


@pytest.fixture(autouse=True)
def _priced(admin: Admin) -> None:
    # In another spelling, and of a million at most.
    set_prices(admin, MODEL.upper(), prompt_halala=1_000_000, completion_halala=300_000, cached_halala=100_000)


def ask(daemon: StreamDaemon, caller: Caller, cached: Any, prompt: int = 20, made: int = 10) -> Json:
    """A call whose daemon says how many tokens of its prompt were read before; what it says it cost."""
    call = caller.ask(messages=[{"role": "user", "content": ASKED}], max_tokens=50)
    result = {"response": "x" * made, "usage_details": {"prompt_tokens_details": {"cached_tokens": cached}}}
    daemon.finish(begin(daemon), result, prompt_tokens=prompt, completion_tokens=made)
    usage: Json = answered(call.result())["usage"]
    return usage


def test_the_three_are_apart_and_nothing_below_a_halala_is_lost(
    market: LocalMarket, admin: Admin, renter: Renter, daemon: StreamDaemon, caller: Caller
) -> None:
    # 5 read, 15 read before, 10 made: 5 + 1.5 + 3.
    assert ask(daemon, caller, 15)["prompt_tokens_details"] == {"cached_tokens": 15}
    assert show(renter.job(1), "cost_halala", "actual_cost_halala") == {"cost_halala": 39, "actual_cost_halala": 10}
    ask(daemon, caller, 15)
    assert renter.job(2)["actual_cost_halala"] == 9
    assert answered(admin.get("/admin/finance/books"))["problems"] == []


@pytest.mark.parametrize(("cached", "charged"), [(10**9, 5), (2**70, 5), (-5, 23), ("many", 23), (None, 23), (7.5, 23)])
def test_no_more_is_read_before_than_was_read(
    admin: Admin, renter: Renter, daemon: StreamDaemon, caller: Caller, cached: Any, charged: int
) -> None:
    ask(daemon, caller, cached)
    assert renter.job(1)["actual_cost_halala"] == charged
    assert answered(admin.get("/admin/finance/books"))["problems"] == []


def test_a_call_keeps_the_prices_that_it_came_at(
    admin: Admin, renter: Renter, daemon: StreamDaemon, caller: Caller
) -> None:
    call = caller.ask(messages=[{"role": "user", "content": ASKED}], max_tokens=50)
    lease = begin(daemon)
    set_prices(admin, prompt_halala=0)
    daemon.finish(lease, {"response": "x" * 10}, prompt_tokens=20, completion_tokens=10)
    answered(call.result())
    assert renter.job(1)["actual_cost_halala"] == 23


def test_prices_are_listed_and_shown_to_callers(market: LocalMarket, admin: Admin, daemon: StreamDaemon) -> None:
    (listed,) = answered(admin.get("/admin/token-prices"))["prices"]
    assert show(listed, "model", *PRICES) == {
        "model": MODEL.lower(),
        "prompt_halala": 1_000_000,
        "completion_halala": 300_000,
        "cached_halala": 100_000,
    }
    assert answered(market.rest.get(f"/v1/models/{MODEL}"))["pricing"] == {
        "halala_per_1m_tokens": 1_000_000,
        "halala_per_1m_completion_tokens": 300_000,
        "halala_per_1m_cached_tokens": 100_000,
    }
    # What is left out is as the prompt's, and not what it was before.
    assert set_prices(admin, prompt_halala=40)["cached_halala"] == 40
    market.restart()
    assert answered(admin.get("/admin/token-prices"))["prices"][0]["completion_halala"] == 40


def test_what_was_read_before_is_never_dearer(admin: Admin) -> None:
    answer = admin.patch(f"/admin/token-prices/{MODEL}", {"prompt_halala": 5, "cached_halala": 6})
    refused(answer, 400, "Validation failed")
    assert answered(admin.get("/admin/token-prices"))["prices"][0]["prompt_halala"] == 1_000_000
