"""/v1 calls on real daemons whose ends are killed: nothing of a call is left, and what was said is paid at most."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from dc1.storage.providers import providers
from dc1.testing.people import Renter
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, show
from tests.contract.inference.chat import Caller, envelope, streaming
from tests.faults.engine import MODEL
from tests.faults.market import Provider, RealMarket, await_status

JOB = {"id": 1}
STOPPED = "The server stopped while the call ran"
NOBODY_S_FAULT = {"status": "failed", "error": STOPPED, "error_category": "server_stop", "fault": "market"}
ASKED = {"model": MODEL}


@pytest.fixture
def caller(renter: Renter) -> Iterator[Caller]:
    with ThreadPoolExecutor(1) as pool:
        yield Caller(renter, pool)


@pytest.fixture
def provider(market: RealMarket) -> Provider:
    return market.add_provider()


def failures(market: RealMarket, provider: Provider) -> int:
    """How many failed jobs the provider is blamed for."""
    row = market.stored(lambda conn: providers.get(conn, provider.account.id))
    assert row is not None
    return row.failed_jobs


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
    # The engine may have the call before its hold is durable, and then nothing of it is left.
    eventually(lambda: renter.get("/jobs/1").status_code == 200, "the hold being durable")
    market.server.kill()
    envelope(call.result(), 503, "provider_unavailable")
    market.start_server()
    # The daemon comes back with its run, and is told to stop it.
    assert run.abandoned.wait(20)
    assert show(renter.job(1), *NOBODY_S_FAULT) == NOBODY_S_FAULT
    assert failures(market, provider) == 0
    assert_paid(renter, 0)
    again = caller.ask(**ASKED)
    eventually(lambda: len(provider.engine.requests) == 2, "the daemon being given the next call")
    provider.engine.next_request().answer("the ebb.")
    answered(again.result())


@pytest.mark.settings(drain_seconds=1)
@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_stops_before_the_answer_is_whole(
    market: RealMarket, provider: Provider, renter: Renter, caller: Caller, *, stream: bool
) -> None:
    """A stop is nobody's fault but the market's: the caller is told so, and pays for what came of a stream."""
    if stream:
        with streaming(market.rest, renter.key, **ASKED) as chunks:
            chunks.say("So: ")
            run = provider.engine.next_request()
            market.server.terminate()
            (last,) = chunks
        error = json.loads(last)["error"]
    else:
        call = caller.ask(**ASKED)
        run = provider.engine.next_request()
        market.server.terminate()
        error = envelope(call.result(), 503, "provider_unavailable")
    assert error["message"] == STOPPED
    assert run.abandoned.wait(20)
    assert market.server.exit_status() == 0
    market.start_server()
    assert show(renter.job(1), *NOBODY_S_FAULT) == NOBODY_S_FAULT
    assert_paid(renter, int(stream))
    assert failures(market, provider) == 0


@pytest.mark.parametrize("ends", ["kill", "stop"])
def test_a_job_outlives_the_server_that_gave_it_out(
    market: RealMarket, provider: Provider, renter: Renter, ends: str
) -> None:
    job = renter.submit(model=MODEL, params={"prompt": "Hi"})
    run = provider.engine.next_request()
    market.server.kill() if ends == "kill" else market.server.terminate()
    if ends == "stop":
        assert market.server.exit_status() == 0
    market.start_server()
    run.answer("the tide.")
    assert await_status(renter, job, "completed")["attempt_number"] == 1
    assert failures(market, provider) == 0
