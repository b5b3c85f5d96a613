"""The server is killed or stopped while a job runs, and started again."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from dc1.client import AsyncClient, Client
from dc1.domain.jobs.states import JobEvent
from dc1.storage.jobs import jobs
from dc1.storage.jobs.jobs import JobFilter
from dc1.testing.people import Renter
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from tests.faults.engine import MODEL
from tests.faults.market import Provider, RealMarket, await_status, submit


def assert_done_once(market: RealMarket, renter: Renter, provider: Provider, job: Json) -> None:
    """The first attempt completed the job, and it was settled once."""
    done = await_status(renter, job, "completed")
    assert (done["attempt_number"], done["retry_count"]) == (1, 0)
    assert [(run.provider_id, run.outcome) for run in market.attempts(job)] == [(provider.account.id, "completed")]
    types = [event.event_type for event in market.events(job)]
    assert types.count(JobEvent.COMPLETED) == 1
    assert JobEvent.RETRY_SCHEDULED not in types
    assert len(provider.engine.requests) == 1

    actual = done["actual_cost_halala"]
    assert 0 < actual <= 45
    assert renter.wallet()["held_halala"] == 0
    assert renter.balance() == 1000 - actual
    assert provider.earned == done["provider_earned_halala"]


@pytest.mark.parametrize("run_ends", ["while the server is away", "after it is back"])
def test_a_job_survives_the_server_s_death(market: RealMarket, renter: Renter, run_ends: str) -> None:
    provider = market.add_provider()
    job = submit(renter)
    run = provider.engine.next_request()
    await_status(renter, job, "running")

    market.server.kill()
    if run_ends == "while the server is away":
        run.answer("the tide comes in.")
    market.start_server()
    market.await_stream(provider, 2)
    if run_ends == "after it is back":
        assert await_status(renter, job, "running")["attempt_number"] == 1
        run.answer("the tide comes in.")

    assert_done_once(market, renter, provider, job)
    output = renter.get(f"/jobs/{job['id']}/output").json()
    assert output["response"] == "So: the tide comes in."


def test_a_job_survives_a_stop_of_the_server_that_is_longer_than_the_grace(market: RealMarket, renter: Renter) -> None:
    """The time that the server was away is not the daemon's absence."""
    provider = market.add_provider()
    job = submit(renter)
    run = provider.engine.next_request()
    await_status(renter, job, "running")

    market.server.terminate()
    assert market.server.exit_status() == 0
    provider.daemon.freeze()
    market.start_server()
    provider.daemon.thaw()
    market.await_stream(provider, 2)
    run.answer("the tide comes in.")

    assert_done_once(market, renter, provider, job)


def test_what_was_accepted_before_the_server_s_death_is_kept_and_run_once(market: RealMarket, renter: Renter) -> None:
    """Clients that repeat what got no answer, each with its Idempotency-Key, have one job for each key."""
    keys = [f"key-{number}" for number in range(24)]
    benchmark: Json = {"job_type": "benchmark", "duration_minutes": 0.1}

    def accepted(key: str) -> Any:
        try:
            answer = renter.try_submit(benchmark, headers={"idempotency-key": key})
        except httpx.TransportError:
            return None
        return answer.json()["job"]["id"] if answer.status_code == 201 else None

    def insist(key: str) -> int:
        job_id: int = eventually(lambda: accepted(key), f"{key} being accepted", 30)
        return job_id

    with ThreadPoolExecutor(8) as clients:
        calls = [clients.submit(insist, key) for key in keys]
        eventually(lambda: sum(call.done() for call in calls) >= 6, "some submissions being accepted")
        market.server.kill()
        market.start_server()
        ids = [call.result() for call in calls]

    assert len(set(ids)) == len(keys)
    stored = market.stored(lambda conn: jobs.page(conn, JobFilter(), limit=100))
    assert stored.total == len(keys)
    assert (renter.balance(), renter.wallet()["held_halala"]) == (1000 - len(keys), len(keys))


def test_callers_of_the_client_outlive_the_server_s_death(market: RealMarket, renter: Renter) -> None:
    """Whoever calls while it is away has an answer once it is back, and a submission is one job."""
    provider = market.add_provider()

    async def ordered() -> str:
        async with AsyncClient(market.rest.url, renter.key) as client:
            return (await client.jobs.submit("And the sky?", minutes=1)).id

    with ThreadPoolExecutor(8) as pool, Client(market.rest.url, renter.key) as client:
        job = client.jobs.submit("Two lines about the sea", minutes=3)
        run = provider.engine.next_request()
        await_status(renter, job.data, "running")
        market.server.kill()
        before = market.stored(lambda conn: jobs.page(conn, JobFilter(), limit=1)).total
        # Ids, an amount, and words: what each is told.
        calls: list[Future[Any]] = [
            pool.submit(call)
            for call in (
                lambda: client.jobs.submit("And the sky?", minutes=1).id,
                lambda: asyncio.run(ordered()),
                lambda: client.renter.balance()["held_halala"],
                lambda: [event.kind for event in job.stream()][-1],
                lambda: job.wait(timeout_seconds=60)["status"],
            )
        ]
        market.start_server()
        run.answer("the tide comes in.")
        for _ in range(2):
            provider.engine.next_request().answer("it is blue.")
        first, second, left, said, waited = (call.result() for call in calls)
        assert (said, waited) == ("end", "completed")
        # Not what is held: who is told late finds that all of them have ended.
        assert left > 0
        assert [client.jobs.get(each).wait(60)["status"] for each in (first, second)] == ["completed"] * 2
    assert market.stored(lambda conn: jobs.page(conn, JobFilter(), limit=1)).total == before + 2


def test_a_queue_of_jobs_survives_the_server_s_death_at_any_moment(market: RealMarket, renter: Renter) -> None:
    """Every job runs once, also those that were waiting, offered or just started when the server was killed."""
    provider = market.add_provider()
    queued = [submit(renter, duration_minutes=1) for _ in range(8)]

    for number in range(len(queued)):
        run = provider.engine.next_request()
        if number in (2, 5):
            run.answer("the tide, told to nobody.")
            market.server.kill()
            market.start_server()
        else:
            run.answer("the tide.")

    for job in queued:
        assert await_status(renter, job, "completed")["attempt_number"] == 1
    assert len(provider.engine.requests) == len(queued)
    assert renter.wallet()["held_halala"] == 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_under_v1_is_answered_while_the_server_stops(market: RealMarket, renter: Renter, stream: bool) -> None:
    """A daemon keeps its stream for as long as somebody waits for its answer."""
    provider = market.add_provider()
    chat: Json = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    with ThreadPoolExecutor(1) as clients:
        call = clients.submit(renter.post, "/v1/chat/completions", chat)
        run = provider.engine.next_request()
        market.server.terminate()
        market.server.expect("draining")
        run.answer("the tide comes in.")
        answer = call.result()
    assert answer.status_code == 200
    assert "finish_reason" in answer.text
    assert market.server.exit_status() == 0
    market.start_server()
    assert renter.wallet()["held_halala"] == 0
    assert renter.balance() < 1000
    assert provider.earned > 0
