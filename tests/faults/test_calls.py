"""/v1 calls on real daemons whose ends are killed: nothing of a call is left, and what was said is paid at most."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from dc1.testing.people import Renter
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, show
from tests.contract.inference.chat import Caller, envelope, streaming
from tests.faults.engine import MODEL
from tests.faults.market import Provider, RealMarket, await_status

JOB = {"id": 1}
ASKED = {"model": MODEL}


@pytest.fixture
def caller(renter: Renter) -> Iterator[Caller]:
    with ThreadPoolExecutor(1) as pool:
        yield Caller(renter, pool)


@pytest.fixture
def provider(market: RealMarket) -> Provider:
    return market.add_provider()


def assert_paid(renter: Renter, charged: int) -> None:
    assert show(renter.wallet(), "balance_halala", "held_halala") == {
        "balance_halala": 1000 - charged,
        "held_halala": 0,
    }


def test_a_real_daemon_answers(provider: Provider, renter: Renter, caller: Caller) -> None:
    call = caller.ask(**ASKED, top_p=0.5)
    provider.engine.next_request().answer("the tide.")
    answer = answered(call.result())
    assert answer["choices"][0]["message"]["content"] == "So: the tide."
    assert answer["usage"]["completion_tokens"] == 2
    assert renter.balance() == 999


def test_a_caller_who_leaves_frees_the_engine(market: RealMarket, provider: Provider, renter: Renter) -> None:
    with streaming(market.rest, renter.key, **ASKED) as chunks:
        chunks.say("So: ")
        run = provider.engine.next_request()
    assert run.abandoned.wait(20)
    await_status(renter, JOB, "cancelled")
    # The first word was said.
    assert_paid(renter, 1)


def test_a_daemon_that_is_killed(provider: Provider, renter: Renter, caller: Caller) -> None:
    call = caller.ask(**ASKED)
    provider.engine.next_request()
    provider.daemon.kill()
    envelope(call.result(), 503, "provider_unavailable")
    await_status(renter, JOB, "failed")
    # Whether the first word still came through, before the daemon was killed, is a matter of luck.
    job = renter.job(1)
    assert_paid(renter, int(job["completion_tokens"] is not None))


def test_a_server_that_is_killed(market: RealMarket, provider: Provider, renter: Renter, caller: Caller) -> None:
    call = caller.ask(**ASKED)
    run = provider.engine.next_request()
    market.server.kill()
    envelope(call.result(), 503, "provider_unavailable")
    market.start_server()
    # The daemon comes back with its run, and is told to stop it.
    assert run.abandoned.wait(20)
    assert renter.job(1)["error"] == "The server stopped while the call ran"
    assert_paid(renter, 0)
    again = caller.ask(**ASKED)
    eventually(lambda: len(provider.engine.requests) == 2, "the daemon being given the next call")
    provider.engine.next_request().answer("the ebb.")
    answered(again.result())
