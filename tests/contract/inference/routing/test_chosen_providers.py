"""Who may answer a call and who is asked first: as the call says it in `provider` (6.2), and as its key does (6.5)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Renter
from dc1.testing.poll_daemon import MODEL
from dc1.testing.rest import Json
from dc1.testing.stream_daemon import StreamDaemon
from tests.contract.expect import answered, refused
from tests.contract.inference.chat import CHAT, HELLO, Caller, begin, carrying, envelope, finish, say_events, serve
from tests.contract.inference.keys.test_call_limits import key_of

NO_QUEUE = pytest.mark.settings(completion_queue_seconds=0)


@pytest.fixture
def daemons(market: LocalMarket, daemon: StreamDaemon) -> list[StreamDaemon]:
    """Providers 1 to 3 on the stream, of which 1 is taken where nothing else is said."""
    return [daemon, *(market.connect(market.add_provider()) for _ in range(2))]


def routed(**said: Any) -> Json:
    return {"provider": said}


@contextmanager
def busy(caller: Caller, daemon: StreamDaemon, at: int) -> Iterator[None]:
    call = caller.ask(**routed(only=[at]))
    lease = begin(daemon)
    yield
    finish(daemon, lease)
    answered(call.result())


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ({"only": [2, 3]}, 2),
        ({"only": ["3"]}, 3),
        ({"ignore": [1, 2]}, 3),
        ({"order": [3, 2]}, 3),
        ({"order": [99, 2], "only": [2, 3]}, 2),
        ({"order": [3], "ignore": [3]}, 1),
        ({"sort": "price"}, 1),
        ({}, 1),
        (None, 1),
    ],
)
def test_who_answers(daemons: list[StreamDaemon], caller: Caller, said: Json, at: int) -> None:
    call = caller.ask(provider=said)
    serve(daemons[at - 1])
    answered(call.result())


@NO_QUEUE
def test_who_is_left_out_does_not_answer_and_the_refusal_says_so(
    renter: Renter, daemons: list[StreamDaemon], caller: Caller
) -> None:
    with busy(caller, daemons[0], at=1):
        envelope(renter.post(CHAT, {**HELLO, **routed(only=[1])}), 503, "no_capacity_available")
        envelope(renter.post(CHAT, {**HELLO, **routed(order=[1], allow_fallbacks=False)}), 503, "no_capacity_available")
        falls_back = caller.ask(**routed(order=[1]))
        serve(daemons[1])
        answered(falls_back.result())
    refusal = envelope(renter.post(CHAT, {**HELLO, **routed(only=[77])}), 503, "model_not_served")
    assert refusal["message"] == f"No provider that the call and its key allow serves model '{MODEL}' now"
    envelope(renter.post(CHAT, {**HELLO, "model": "none/none", **routed(only=[1])}), 404, "model_not_found")


def test_who_waits_for_another_provider_lets_others_pass(
    market: LocalMarket, daemons: list[StreamDaemon], renter: Renter, pool: ThreadPoolExecutor, caller: Caller
) -> None:
    with busy(caller, daemons[1], at=2):
        waits = Caller(renter, pool).ask(**routed(only=[2]))
        for _ in range(2):
            passes = caller.ask(**routed(only=[1]))
            serve(daemons[0])
            answered(passes.result())
        assert not waits.done()
    serve(daemons[1])
    answered(waits.result())


def test_a_failed_call_goes_to_nobody_who_is_left_out(
    renter: Renter, daemons: list[StreamDaemon], caller: Caller
) -> None:
    call = caller.ask(**routed(allow_fallbacks=False))
    daemons[0].fail(begin(daemons[0]), "gone", category="engine")
    envelope(call.result(), 503, "provider_unavailable")
    call = caller.ask(**routed(only=[2, 3]))
    daemons[1].fail(begin(daemons[1]), "gone", category="engine")
    serve(daemons[2])
    answered(call.result())


def test_a_failed_call_keeps_the_order_that_it_asked_for(daemons: list[StreamDaemon], caller: Caller) -> None:
    call = caller.ask(**routed(order=[3, 2]))
    daemons[2].fail(begin(daemons[2]), "gone", category="engine")
    # Without an order it would be the first.
    serve(daemons[1])
    answered(call.result())


@pytest.mark.parametrize(
    "said",
    [
        "openai",
        [1],
        {"only": []},
        {"only": [0]},
        {"only": 1},
        {"ignore": [1.5]},
        {"order": ["x"]},
        {"order": [True]},
        {"only": [2**40]},
        {"only": ["999999999999"]},
        {"sort": "speed"},
        {"sort": ["price"]},
        {"allow_fallbacks": 1},
        {"data_collection": "deny"},
        {"only": list(range(1, 102))},
    ],
)
def test_what_would_go_unheeded_is_refused(renter: Renter, said: Any) -> None:
    error = envelope(renter.post(CHAT, {**HELLO, "provider": said}), 400, "invalid_request_error")
    assert "provider" in error["message"]


def test_the_engine_is_sent_nothing_of_it(daemon: StreamDaemon, caller: Caller) -> None:
    carrying(daemon)
    call = caller.ask(**routed(only=[1]), zeta=1.50)
    offer = daemon.expect("offer")
    sent = offer.assignment.inference_body.decode()
    assert "only" not in sent
    assert sent.endswith('"zeta":1.5}')
    lease = daemon.accept(offer).lease
    said = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}
    say_events(daemon, lease, said, is_last=True)
    daemon.finish(lease, {"type": "text", "response": "Hi"}, prompt_tokens=1, completion_tokens=1)
    answered(call.result())


def test_a_key_is_held_to_its_providers_in_calls_and_jobs(
    market: LocalMarket, renter: Renter, daemons: list[StreamDaemon], pool: ThreadPoolExecutor
) -> None:
    bound = key_of(market, renter, only_providers=[2, 3], ignore_providers=[2])
    call = Caller(bound, pool).ask()
    serve(daemons[2])
    answered(call.result())
    envelope(bound.post(CHAT, {**HELLO, **routed(only=[1, 2])}), 503, "model_not_served")
    refused(bound.try_submit({**J3, "provider_id": 1}), 403, code="SCOPE_MISSING")
    estimate = answered(bound.post("/jobs/estimate", J3))
    assert estimate["machines_fitting"] == 1
    job = bound.submit()
    assert job["provider_id"] == 3
    waiting = bound.submit()
    assert waiting["waiting_for"] == "1 machine fits and is busy"
    daemons[2].accept(daemons[2].expect("offer"))
    # The master key's job passes it by: who is free may not have the one that waits.
    assert renter.submit()["provider_id"] == 1


def test_what_a_key_allows_is_shown_changed_and_followed(
    market: LocalMarket, renter: Renter, daemons: list[StreamDaemon], pool: ThreadPoolExecutor
) -> None:
    bound = key_of(market, renter, only_providers=[77])
    waiting = bound.submit()
    assert waiting["waiting_for"] == "3 machines would fit and the key allows none of them"
    (listed,) = answered(renter.get("/renters/me/keys"))["keys"]
    assert (listed["only_providers"], listed["ignore_providers"]) == ([77], None)
    path = f"/renters/me/keys/{listed['id']}"
    for wrong in ([], [0], "2", [1.5], [True], list(range(1, 102))):
        refused(market.rest.patch(path, {"only_providers": wrong}, key=renter.key), 400)
    changed = answered(market.rest.patch(path, {"ignore_providers": [1]}, key=renter.key))
    assert (changed["only_providers"], changed["ignore_providers"]) == ([77], [1])
    changed = answered(market.rest.patch(path, {"only_providers": None}, key=renter.key))
    assert (changed["only_providers"], changed["ignore_providers"]) == (None, [1])
    call = Caller(bound, pool).ask()
    serve(daemons[1])
    answered(call.result())
    # A job keeps to what its key allowed when it was submitted, also over a restart.
    market.restart()
    assert renter.job(waiting["id"])["status"] == "queued"
