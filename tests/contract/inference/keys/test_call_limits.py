"""Contract 6.5: how much of /v1 a renter and its scoped keys may use, and what answers and refusals say is left."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Renter
from dc1.testing.poll_daemon import MODEL
from dc1.testing.rest import Json
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused
from tests.contract.inference.chat import CHAT, HELLO, TOKENS, Caller, begin, envelope, finish, streaming
from tests.contract.inference.paths import SPEECH, give, having, piece

NOBODYS: Json = {**HELLO, "model": "none/none", "max_tokens": 10}


def key_of(market: LocalMarket, renter: Renter, **limits: Any) -> Renter:
    """The renter with a scoped key that is held to this."""
    key = answered(renter.post("/renters/me/keys", limits), 201)["key"]
    return Renter(market.rest, renter.id, key)


def left(headers: Any, what: str) -> tuple[str, ...]:
    """How many there are, how many are left, and when all of them are."""
    return tuple(headers[f"x-ratelimit-{which}-{what}"] for which in ("limit", "remaining", "reset"))


@pytest.mark.settings(rate_limits_enabled=True, completion_requests_per_minute=3, completion_tokens_per_minute=0)
def test_calls_a_minute_come_back_steadily(market: LocalMarket, renter: Renter) -> None:
    seen = [left(renter.post(CHAT, NOBODYS).headers, "requests") for _ in range(3)]
    assert seen == [("3", "2", "20s"), ("3", "1", "40s"), ("3", "0", "1m0s")]
    limited = renter.post(CHAT, NOBODYS)
    error = envelope(limited, 429, "rate_limit_exceeded")
    assert (error["retry_after_seconds"], limited.headers["retry-after"]) == (20, "20")
    assert left(limited.headers, "requests") == ("3", "0", "1m0s")
    assert "x-ratelimit-limit-tokens" not in limited.headers
    market.advance(19)
    envelope(renter.post(CHAT, NOBODYS), 429, "rate_limit_exceeded")
    market.advance(1)
    envelope(renter.post(CHAT, NOBODYS), 404, "model_not_found")


@pytest.mark.settings(rate_limits_enabled=True)
def test_streams_do_not_wait_by_default(renter: Renter) -> None:
    for _ in range(20):
        envelope(renter.post(CHAT, {**NOBODYS, "stream": True}), 404, "model_not_found")


@pytest.mark.settings(rate_limits_enabled=True, completion_tokens_per_minute=120)
def test_tokens_are_counted_as_they_were_and_not_as_they_might_have_been(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, caller: Caller
) -> None:
    call = caller.ask(max_tokens=100)
    finish(daemon, begin(daemon))
    answer = call.result()
    assert left(answer.headers, "tokens")[:2] == ("120", "20")
    used = answered(answer)["usage"]["total_tokens"]
    assert used == sum(TOKENS.values())
    assert left(renter.post(CHAT, NOBODYS).headers, "tokens")[1] == str(120 - used - 10)
    # One that may come to more than there ever is passes when all of it is there, and what it used is owed.
    market.advance(60)
    envelope(renter.post(CHAT, {**NOBODYS, "max_tokens": 4000}), 404, "model_not_found")


@pytest.mark.settings(rate_limits_enabled=True, completion_tokens_per_minute=120)
def test_a_call_that_is_refused_or_fails_takes_no_tokens(renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    envelope(renter.post(CHAT, {**NOBODYS, "max_tokens": 100}), 404, "model_not_found")
    call = caller.ask(max_tokens=100)
    daemon.fail(begin(daemon), "gone", category="engine")
    envelope(call.result(), 503, "provider_unavailable")
    assert left(renter.post(CHAT, NOBODYS).headers, "tokens")[1] == str(120 - 10)


@pytest.mark.settings(rate_limits_enabled=True, completion_tokens_per_minute=120)
def test_a_stream_that_its_caller_leaves_counts_for_what_came(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    begun = pool.submit(begin, daemon, "He")
    with streaming(market.rest, renter.key, max_tokens=100) as chunks:
        assert left(chunks.response.headers, "tokens")[:2] == ("120", "20")
        chunks.say("He")
    begun.result()
    # A word, and of the prompt a token for four bytes.
    eventually(lambda: left(renter.post(CHAT, NOBODYS).headers, "tokens")[1] == str(120 - 2 - 10), "its own tokens")


@pytest.mark.settings(rate_limits_enabled=True, completion_tokens_per_minute=120)
def test_what_is_paid_by_its_characters_counts_for_all_of_them(
    renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    having(daemon, CHAT, SPEECH)
    call = pool.submit(renter.post, SPEECH, {"model": MODEL, "input": "x" * 100})
    give(daemon, piece("audio/mpeg", b"sound"))
    assert left(call.result().headers, "tokens")[1] == "20"
    assert left(renter.post(CHAT, NOBODYS).headers, "tokens")[1] == "10"


@pytest.mark.settings(rate_limits_enabled=True, completion_streams=1)
def test_streams_at_a_time(renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    first = caller.ask(stream=True)
    lease = begin(daemon, "He")
    limited = renter.post(CHAT, {**HELLO, "stream": True})
    envelope(limited, 429, "rate_limit_exceeded")
    assert limited.headers["retry-after"] == "1"
    finish(daemon, lease)
    assert first.result().status_code == 200
    envelope(renter.post(CHAT, {**NOBODYS, "stream": True}), 404, "model_not_found")


def test_a_key_is_held_to_its_own_limits(market: LocalMarket, renter: Renter) -> None:
    brief = key_of(market, renter, requests_per_minute=1)
    envelope(brief.post(CHAT, NOBODYS), 404, "model_not_found")
    envelope(brief.post(CHAT, NOBODYS), 429, "rate_limit_exceeded")
    envelope(renter.post(CHAT, NOBODYS), 404, "model_not_found")
    (listed,) = answered(renter.get("/renters/me/keys"))["keys"]
    assert (listed["requests_per_minute"], listed["tokens_per_minute"], listed["models"]) == (1, None, None)
    path = f"/renters/me/keys/{listed['id']}"
    changed = answered(market.rest.patch(path, {"requests_per_minute": None, "streams": 2}, key=renter.key))
    assert (changed["requests_per_minute"], changed["streams"], changed["monthly_budget_halala"]) == (None, 2, None)
    envelope(brief.post(CHAT, NOBODYS), 404, "model_not_found")


def test_a_key_names_its_models_and_no_others(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    bound = key_of(market, renter, models=[MODEL.upper()])
    call = Caller(bound, pool).ask()
    finish(daemon, begin(daemon))
    answered(call.result())
    envelope(bound.post(CHAT, NOBODYS), 403, "authentication_scope_missing")
    refused(bound.try_submit(J3), 403, code="SCOPE_MISSING")
    (listed,) = answered(renter.get("/renters/me/keys"))["keys"]
    assert listed["models"] == [MODEL.lower()]
    wrong: list[Json] = [{"models": models} for models in ([], "all", [""], [1], ["x" * 201])]
    for body in (*wrong, *({"streams": streams} for streams in (-1, 1.5, "1", True))):
        refused(market.rest.patch(f"/renters/me/keys/{listed['id']}", body, key=renter.key), 400)
    refused(bound.try_submit(J3), 403, code="SCOPE_MISSING")


@pytest.mark.settings(rate_limits_enabled=True, completion_requests_per_minute=1)
def test_an_admin_gives_a_renter_other_limits(market: LocalMarket, renter: Renter) -> None:
    shown = answered(market.admin.patch(f"/admin/renters/{renter.id}/limits", {"requests_per_minute": 2, "streams": 7}))
    assert (shown["requests_per_minute"], shown["streams"]) == (2, 7)
    for _ in range(2):
        envelope(renter.post(CHAT, NOBODYS), 404, "model_not_found")
    envelope(renter.post(CHAT, NOBODYS), 429, "rate_limit_exceeded")
