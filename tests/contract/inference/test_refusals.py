"""Every error of /v1 has the OpenAI envelope: keys, money, limits, models and the lack of providers."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from dc1.domain.access import keys
from dc1.domain.access.keys import KeyRole
from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import MODEL, REPORT, PollDaemon
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused
from tests.contract.inference.chat import CHAT, HELLO, Caller, begin, envelope, finish, serve


def scoped(market: LocalMarket, renter: Renter, *scopes: str, lifetime_seconds: int | None = None) -> Renter:
    """R with a scoped key."""
    until = {} if lifetime_seconds is None else {"expires_at": market.now(lifetime_seconds)}
    key = answered(renter.post("/renters/me/keys", {"scopes": list(scopes), **until}), 201)["key"]
    return Renter(market.rest, renter.id, key)


def test_keys(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    def call(headers: dict[str, str]) -> httpx.Response:
        return market.rest.post(CHAT, HELLO, headers=headers)

    envelope(call({}), 401, "authentication_required")
    envelope(call({"authorization": "Basic abc"}), 401, "authentication_required")
    envelope(call({"authorization": "Bearer sk-other"}), 401, "authentication_invalid_key")
    envelope(call({"x-renter-key": keys.new_key(KeyRole.RENTER).key}), 401, "authentication_invalid_key")
    envelope(call({"authorization": f"Bearer {provider.key}"}), 401, "wrong_key_type")
    envelope(call({"x-api-key": "sk-ant-other"}), 401, "authentication_invalid_key")
    # What other APIs call their keys opens nothing but what is made for their clients.
    refused(market.rest.rest("GET", "/renters/balance", headers={"x-api-key": renter.key}), 401, "API key required")
    # The key is good: it is the model that nobody has.
    for headers in ({"authorization": f"Bearer {renter.key}"}, {"x-renter-key": renter.key}, {"x-api-key": renter.key}):
        refusal = market.rest.post(CHAT, {**HELLO, "model": "none/none"}, headers=headers)
        envelope(refusal, 404, "model_not_found")


def test_scoped_keys(market: LocalMarket, renter: Renter, daemon: StreamDaemon) -> None:
    for scope in ("jobs.read", "billing", "balance.read"):
        envelope(scoped(market, renter, scope).post(CHAT, HELLO), 403, "authentication_scope_missing")
    brief = scoped(market, renter, "inference", lifetime_seconds=60)
    with ThreadPoolExecutor(1) as pool:
        call = Caller(brief, pool).ask()
        serve(daemon)
        answered(call.result())
    market.advance(61)
    envelope(brief.post(CHAT, HELLO), 401, "authentication_key_expired")
    gone = scoped(market, renter, "inference")
    for row in answered(renter.get("/renters/me/keys"))["keys"]:
        answered(market.rest.rest("DELETE", f"/renters/me/keys/{row['id']}", key=renter.key))
    envelope(gone.post(CHAT, HELLO), 401, "authentication_invalid_key")
    envelope(brief.post(CHAT, HELLO), 401, "authentication_invalid_key")


def test_a_suspended_account(renter: Renter, admin: Admin) -> None:
    answered(admin.post(f"/admin/renters/{renter.id}/suspend"))
    envelope(renter.post(CHAT, HELLO), 403, "account_suspended")


def test_money(market: LocalMarket, renter: Renter, daemon: StreamDaemon) -> None:
    market.admin.adjust(renter.id, -1000)
    envelope(renter.post(CHAT, HELLO), 402, "billing_insufficient_balance")
    assert not daemon.beat().offers


@pytest.mark.settings(token_price_halala=10_000)
def test_too_little_money(renter: Renter, daemon: StreamDaemon, admin: Admin) -> None:
    admin.adjust(renter.id, -920)
    body = {**HELLO, "max_tokens": 8192}
    assert envelope(renter.post(CHAT, body), 402, "billing_insufficient_balance")["message"] == "Insufficient balance"
    assert renter.wallet()["held_halala"] == 0


@pytest.mark.settings(quota_monthly_halala=1, quota_daily_jobs=1)
def test_only_the_monthly_quota_counts(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, caller: Caller
) -> None:
    call = caller.ask()
    serve(daemon)
    answered(call.result())
    error = envelope(renter.post(CHAT, HELLO), 429, "quota_exceeded")
    assert error["retry_after_ms"] == error["retry_after_seconds"] * 1000
    assert error["retry_after_seconds"] > 86_400


@pytest.mark.settings(quota_daily_jobs=1)
def test_calls_do_not_count_in_the_daily_quota(renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    for _ in range(2):
        call = caller.ask()
        serve(daemon)
        answered(call.result())
    renter.submit()


def test_models_that_nobody_serves_now(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    # Offered by a daemon that polls, which is never given a call.
    envelope(renter.post(CHAT, HELLO), 503, "model_not_served")
    daemon = market.connect(provider, {**REPORT, "cached_models": ["another/model"]})
    envelope(renter.post(CHAT, HELLO), 503, "model_not_served")
    envelope(renter.post(CHAT, {**HELLO, "model": "no/such"}), 404, "model_not_found")
    market.cut(daemon)
    market.restart()
    envelope(renter.post(CHAT, {**HELLO, "model": "Another/Model"}), 503, "model_not_served")
    assert renter.wallet()["held_halala"] == 0


def test_a_model_of_a_provider_that_is_not_approved(market: LocalMarket, renter: Renter) -> None:
    stranger = market.register_provider()
    refused(stranger.post("/providers/heartbeat", REPORT), 403)
    envelope(renter.post(CHAT, HELLO), 404, "model_not_found")


@pytest.mark.settings(completion_queue_seconds=0)
def test_no_room(market: LocalMarket, renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    call = caller.ask()
    lease = begin(daemon)
    before = renter.wallet()
    envelope(renter.post(CHAT, HELLO), 503, "no_capacity_available")
    assert renter.wallet() == before
    assert market.admin.stats()["total_jobs"] == 1
    finish(daemon, lease)
    answered(call.result())
    # Pausing keeps calls away at once.
    answered(market.daemons[0].post("/providers/pause", {}))
    envelope(renter.post(CHAT, HELLO), 503, "model_not_served")


def test_a_provider_without_a_list_of_models_is_given_no_call(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    daemon = market.connect(provider, {**REPORT, "cached_models": []})
    envelope(renter.post(CHAT, HELLO), 503, "model_not_served")
    assert not daemon.beat().offers


def test_a_server_that_is_down(market: LocalMarket, renter: Renter) -> None:
    market.stop_server()
    eventually(lambda: market.rest.get("/v1/models").status_code == 503, "the edge noticing")
    envelope(market.rest.get("/v1/models"), 503, "provider_unavailable")
    envelope(renter.post(CHAT, {**HELLO, "model": MODEL}), 503, "provider_unavailable")
    market.start_server()
